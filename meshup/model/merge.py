"""Views of several clusters put together: a set union, so that order and repetition change nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from meshup.model.held import RANKS, Held
from meshup.model.report import View

Views = tuple[View, ...]
"""One view a cluster, one for each name that could not be read; sorted."""


def merge(*several: Iterable[View]) -> Views:
    """Put views together; associative, commutative, idempotent.

    Of one cluster the newer look counts, and every record that any view has, at the latest phase any of them knows.
    """
    found: dict[tuple[str, frozenset[str], str], View] = {}
    for views in several:
        for each in views:
            key = (each.cluster, frozenset(), "") if each.cluster else ("", each.names, each.why)
            found[key] = _joined(found[key], each) if key in found else replace(each, held=latest(each.held))
    return tuple(sorted(found.values(), key=lambda each: (each.cluster, sorted(each.names), each.why)))


def latest(found: Iterable[Held]) -> tuple[Held, ...]:
    """Give each record once, at the latest phase that is known, oldest first."""
    known: dict[tuple[str, ...], Held] = {}
    for each in found:
        key = (each.cluster, each.namespace, each.name, each.uid, each.service, each.since)
        there = known.get(key)
        if there is None or _newness(each) > _newness(there):
            known[key] = each
    return tuple(sorted(known.values()))


def _newness(each: Held) -> tuple[int, bool, tuple[str, ...]]:
    """Order readings of one record: the later phase, then the one whose reader could tell how far it is to be relied on."""
    return RANKS.get(each.phase, 0), each.trust != "unknown", tuple(each)


def _joined(one: View, other: View) -> View:
    newer = max(one, other, key=_age)
    return replace(
        newer,
        names=one.names | other.names,
        held=latest((*one.held, *other.held)),
        odd=tuple(sorted({*one.odd, *other.odd})),
    )


def _age(view: View) -> tuple[object, ...]:
    """Tell two looks at one cluster apart by when they were taken; by what they show when that is the same."""
    return view.looked, view.at, view.seen, view.states, view.revisions
