"""Numbers by trust: never one number for what is enforced, declared and inferred together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from meshup.model.ledger import Trust

TRUSTS: tuple[Trust, ...] = ("enforced", "declared", "inferred", "unknown")
"""Strongest first: what is not known is relied on least."""


class Counts(NamedTuple):
    """One count per trust, apart. There is no sum on purpose: what nobody checked must not look like what somebody did.

    enforced: the API server checked the record. declared: nobody did. inferred: seen in the pods, no record. unknown: there
    is a record, and whoever read it may not see whether the API server checked it.
    """

    enforced: int = 0
    declared: int = 0
    inferred: int = 0
    unknown: int = 0

    def down_to(self, trust: Trust) -> int:
        """Count what is trusted at least as much; the caller says beside the number how far down that is."""
        return sum(self[: TRUSTS.index(trust) + 1])


def weaker(one: Trust, other: Trust) -> Trust:
    """Give the weaker of two trusts."""
    return max(one, other, key=TRUSTS.index)


def counted(trusts: Iterable[str]) -> Counts:
    """Count trusts."""
    every = list(trusts)
    return Counts(*(every.count(each) for each in TRUSTS))


def distinct(found: Iterable[tuple[Trust, str]]) -> Counts:
    """Count (trust, name) pairs so that each name counts once, at the strongest trust it has. Raises KeyError for another word."""
    names: dict[Trust, set[str]] = {trust: set() for trust in TRUSTS}
    for trust, name in found:
        names[trust].add(name)
    seen: set[str] = set()
    counts = []
    for several in names.values():
        counts.append(len(several - seen))
        seen |= several
    return Counts(*counts)
