"""Looks from a Prometheus: one grouped query per count for all services, and two more about the scraping itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from meshup.gates.canary.port import Wanted
from meshup.gates.evidence.arms import Member, Roll
from meshup.gates.evidence.asking import Asking
from meshup.gates.evidence.holding import Held, held, told_apart
from meshup.gates.evidence.since import Since
from meshup.gates.evidence.told import asked_at
from meshup.gates.gate import Eyes
from meshup.model.samples import Look


class Scraped:
    """Fills the port from one Prometheus. What it remembers between looks is only what saves it from asking again."""

    def __init__(self, eyes: Eyes, *, control: str, canary: str, known: Iterable[Member] = ()) -> None:
        """control, canary: revisions. known: pods that an earlier source saw since the comparison began."""
        self._eyes, self._revisions, self._known = eyes, (control, canary), tuple(known)
        self._roll: Roll | None = None
        self._held: Held | None = None
        self._until: float | None = None
        self._since = Since(eyes.clock)

    @property
    def told(self) -> str:
        """Say how much of the evidence this source reads; "" = all that is scraped."""
        return ""

    @property
    def roll(self) -> Roll | None:
        """The pods seen so far; None before the first look."""
        return self._roll

    def look(self, wanted: Sequence[Wanted], *, began: datetime, before: Look | None) -> Look:
        """Look once; see the port. Raises only when the cluster itself can't be read."""
        eyes = self._eyes
        start = round(began.timestamp(), 3)
        if self._roll is None or self._roll.began != start:
            control, canary = self._revisions
            self._roll = Roll(control=control, canary=canary, began=start, known=self._known)
            self._until, self._since = None, Since(eyes.clock)
        self._roll.see(eyes)
        now, at = eyes.clock.now(), asked_at(eyes)
        elapsed = self._since.elapsed(now.timestamp() - start, before)
        if self._held is None or self._held.error or self._held.scrape_s is None or not told_apart(eyes, self._held):
            # Who only just began to count is scraped a little later.
            self._held = held(eyes)
        names = {each.service for each in wanted}
        services = [each for each in eyes.book.services if each.id in names]
        since = self._until if self._until is not None else _told_until(eyes, before)
        asking = Asking(eyes, self._held, services, self._roll, start=start, at=at, since=since)
        making = asking.made({each.service for each in wanted if each.callers})
        self._until = at
        pairs = making.pairs([each.service for each in wanted], now.timestamp(), skew_s=asking.skew_s or 0.0)
        origins = tuple(making.origins)
        return Look(at=now, elapsed_s=elapsed, skew_s=asking.skew_s, origins=origins, pairs=pairs)


def _told_until(eyes: Eyes, before: Look | None) -> float | None:
    """Give the Unix time up to which an earlier look had gauge points; None when there was none."""
    return None if before is None else before.at.timestamp() - eyes.book.metrics.ingest_delay_s
