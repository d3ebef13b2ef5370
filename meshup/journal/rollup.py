"""What an export came to up to one of its lines, so that a report reads on from there and says the same. Pure.

Only what can no longer change is added up: of each service the records before its first one that still holds. The rest is
kept as it is. Whatever does not fit (a record that is older than what was added up, one reading of it that differs) makes
`resumed` give None, and every line is read.
"""

from __future__ import annotations

import base64
import heapq
import sys
from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from meshup.model.cells import LISTED, Cell, Given, Key, Tallied, tallied
from meshup.model.held import Chain, Held, Moved
from meshup.model.merge import latest

VERSION = 1
"""Of the numbers, not of their form alone: a change of what counts as a rollback makes it another."""
Place = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollup:
    """Records added up. tally: those that can't change (none of them open). rest: the others.

    until: service -> (since, name) of its last record that was added up. chain: where lineage goes on.
    """

    tally: Tallied
    rest: tuple[Held, ...]
    until: Mapping[Place, tuple[str, str]]
    chain: Chain


def rolled(found: Iterable[Held]) -> Rollup:
    """Add up what can't change. found: any readings of records. Raises ValueError for a time that is none."""
    settled: list[Held] = []
    rest: list[Held] = []
    going: set[Place] = set()
    until: dict[Place, tuple[str, str]] = {}
    for each in latest(found):
        place = each.place
        if each.is_open or place in going:
            going.add(place)
            rest.append(each)
        else:
            until[place] = (each.since, each.name)
            settled.append(each)
    chain: Chain = {}
    return Rollup(tally=tallied(settled, chain), rest=tuple(rest), until=until, chain=chain)


def resumed(before: Rollup, more: Iterable[Held]) -> Tallied | None:
    """Add up the rest and further readings of records; None when a record reaches back into what was added up."""
    rest = latest((*before.rest, *more))
    if any(each.place in before.until and (each.since, each.name) <= before.until[each.place] for each in rest):
        return None
    after = tallied(rest, dict(before.chain))
    cells: dict[Key, Cell] = dict(before.tally.cells)
    for key, cell in after.cells.items():
        there = cells.get(key)
        both = cell if there is None else _joined(there, cell)
        if both is None:
            return None
        cells[key] = both
    return Tallied(
        cells,
        after.open,
        tuple(heapq.nlargest(LISTED, (*before.tally.newest, *after.newest))),
        before.tally.ended + after.ended,
    )


def _joined(one: Cell, other: Cell) -> Cell | None:
    """Put two cells together; None where two reasons that read alike were given at once, so that neither was first."""
    reasons = dict(one.reasons)
    for key, given in other.reasons.items():
        there = reasons.get(key)
        if there is None:
            reasons[key] = given
            continue
        if there.first == given.first and there.text != given.text:
            return None
        first = min(there, given, key=lambda each: each.first)
        reasons[key] = Given(first.first, first.text, _in_order(there.times, given.times))
    return Cell(
        who=_newest(one.who, other.who),
        places=_newest(one.places, other.places),
        reasons=reasons,
        renewed=_in_order(one.renewed, other.renewed),
        failed=_in_order(one.failed, other.failed),
    )


def _newest(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {**one, **{name: max(at, one.get(name, at)) for name, at in other.items()}}


def _in_order(one: array[int], other: array[int]) -> array[int]:
    return array("q", sorted((*one, *other))) if other else one


def dump(found: Rollup, pack: Callable[[array[int]], Any] | None = None) -> dict[str, Any]:
    """Give it as JSON, equal for equal records in whatever order they were read. pack: how times are kept, else as text."""
    pack = pack or _packed
    tally = found.tally
    return {
        "version": VERSION,
        "ended": tally.ended,
        "newest": [[list(each.held), each.origin, each.renews] for each in tally.newest],
        "cells": [[*key, _cell(cell, pack)] for key, cell in sorted(tally.cells.items())],
        "rest": [list(each) for each in found.rest],
        "places": [[*place, *last, *found.chain.get(place, ())] for place, last in sorted(found.until.items())],
    }


def load(raw: Mapping[str, Any], unpack: Callable[[Any], array[int]] | None = None) -> Rollup:
    """Read it back. unpack: the way back of `pack`. Raises ValueError, KeyError, TypeError or IndexError for what is none, or of another version."""
    if raw["version"] != VERSION:
        raise ValueError(f"version {raw['version']}")
    unpack = unpack or _unpacked
    until: dict[Place, tuple[str, str]] = {}
    chain: Chain = {}
    for cluster, namespace, service, since, name, *stood in raw["places"]:
        place = (cluster, namespace, service)
        until[place] = (since, name)
        if stood:
            chain[place] = (stood[0], stood[1])
    return Rollup(
        tally=Tallied(
            cells={(release, trust): _filled(cell, unpack) for release, trust, cell in raw["cells"]},
            newest=tuple(Moved(Held(*held), origin, renews) for held, origin, renews in raw["newest"]),
            ended=raw["ended"],
        ),
        rest=tuple(Held(*each) for each in raw["rest"]),
        until=until,
        chain=chain,
    )


def _cell(cell: Cell, pack: Callable[[array[int]], Any]) -> dict[str, Any]:
    return {
        "who": cell.who,
        "places": cell.places,
        "reasons": [[key, each.first, each.text, pack(each.times)] for key, each in sorted(cell.reasons.items())],
        "renewed": pack(cell.renewed),
        "failed": pack(cell.failed),
    }


def _filled(raw: Mapping[str, Any], unpack: Callable[[Any], array[int]]) -> Cell:
    return Cell(
        who=raw["who"],
        places=raw["places"],
        reasons={key: Given(first, text, unpack(times)) for key, first, text, times in raw["reasons"]},
        renewed=unpack(raw["renewed"]),
        failed=unpack(raw["failed"]),
    )


def _packed(times: array[int]) -> str:
    return base64.b64encode(to_bytes(times)).decode()


def _unpacked(text: str) -> array[int]:
    return from_bytes(base64.b64decode(text))


def to_bytes(times: array[int]) -> bytes:
    """Give times as bytes: 8 each, little-endian."""
    return _little(times).tobytes()


def from_bytes(raw: bytes | memoryview) -> array[int]:
    """Read them back. Raises ValueError for a length that is none."""
    found = array("q")
    found.frombytes(raw)
    return _little(found)


def _little(times: array[int]) -> array[int]:
    if sys.byteorder == "little":
        return times
    turned = array("q", times)
    turned.byteswap()
    return turned
