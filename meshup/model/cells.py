"""What has ended, added up per release and trust: small, exact for any window, and enough to answer without the records."""

from __future__ import annotations

import heapq
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from meshup.model.held import Chain, Held, Moved, lineage
from meshup.model.ledger import Trust
from meshup.model.moment import stamp

LISTED = 200
"""How many ended records a report lists; `ledger export` has them all."""


def seconds(text: str) -> int:
    """Give a record's time as seconds since 1970. Raises ValueError for what is no time."""
    return int(datetime.fromisoformat(text).timestamp())


def text_of(moment: int) -> str:
    """Write seconds since 1970 as records do."""
    return stamp(datetime.fromtimestamp(moment, UTC))


def alike(reason: str) -> str:
    """Give what reasons that read alike have in common: case, blanks and the full stop put aside."""
    return " ".join(reason.casefold().split()).rstrip(".!")


@dataclass(slots=True)
class Given:
    """One reason. text: as it was first given, at `first`. times: seconds, sorted once the cell is sealed."""

    first: str
    text: str
    times: array[int] = field(default_factory=lambda: array("q"))

    def since(self, moment: int) -> int:
        """Count how often it was given since then."""
        return len(self.times) - bisect_left(self.times, moment)


@dataclass(slots=True)
class Cell:
    """Ended records that left one release, of one trust. who, places: name -> when their last rollback began."""

    who: dict[str, int] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, Given] = field(default_factory=dict)
    renewed: array[int] = field(default_factory=lambda: array("q"))
    failed: array[int] = field(default_factory=lambda: array("q"))

    def since(self, moment: int) -> int:
        """Count the rollbacks begun since then."""
        return sum(each.since(moment) for each in self.reasons.values())

    def seal(self) -> None:
        """Put the times in order; a cell is read only after that."""
        for given in self.reasons.values():
            given.times = array("q", sorted(given.times))
        self.renewed = array("q", sorted(self.renewed))
        self.failed = array("q", sorted(self.failed))


Key = tuple[str, Trust]


@dataclass(slots=True)
class Tallied:
    """All records, added up. cells: by (release that was left, trust). open: still in effect, oldest first.

    newest: the last that ended, newest first by when they began. ended: how many ended.
    """

    cells: dict[Key, Cell] = field(default_factory=dict)
    open: tuple[Moved, ...] = ()
    newest: tuple[Moved, ...] = ()
    ended: int = 0


def place_text(held: Held) -> str:
    """Name a service among clusters."""
    return f"{held.cluster} {held.namespace}/{held.service}"


def tallied(found: Iterable[Held], chain: Chain | None = None) -> Tallied:
    """Add records up. found: each once (see merge.latest), in any order. Raises ValueError for a time that is none.

    chain: where services stood before; is updated.
    """
    cells: dict[Key, Cell] = {}
    still: list[Moved] = []
    over: list[Moved] = []
    for each in lineage(found, chain):
        if each.held.is_open:
            still.append(each)
            continue
        over.append(each)
        key = (each.origin, each.held.trust)
        cell = cells.get(key)
        if cell is None:
            cell = cells[key] = Cell()
        _add(cell, each)
    for cell in cells.values():
        cell.seal()
    return Tallied(cells, tuple(still), tuple(heapq.nlargest(LISTED, over)), len(over))


def _add(cell: Cell, each: Moved) -> None:
    """Add one record. They come oldest first, so that the last one of a name is its newest."""
    held = each.held
    began = seconds(held.since)
    if held.phase == "Failed":
        cell.failed.append(began)
    elif not each.is_away:
        return
    elif each.renews:
        cell.renewed.append(began)
    else:
        cell.who[held.who] = began
        cell.places[place_text(held)] = began
        key = alike(held.reason)
        given = cell.reasons.get(key)
        if given is None:
            given = cell.reasons[key] = Given(held.since, held.reason)
        given.times.append(began)
