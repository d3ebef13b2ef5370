"""How long ago a comparison began, by the clock that counts suspend."""

from __future__ import annotations

from meshup.model.clock import Clock
from meshup.model.samples import Look


class Since:
    """The wall clock only says where a comparison began; from the first look on the other clock counts."""

    def __init__(self, clock: Clock) -> None:
        """clock: whose elapsed seconds are counted."""
        self._clock = clock
        self._zero: float | None = None

    def elapsed(self, by_wall: float, before: Look | None) -> float:
        """Give the seconds since it began. by_wall: what the wall clock says. before: the look before this one."""
        now = self._clock.elapsed()
        if self._zero is None:
            self._zero = now - (by_wall if before is None else max(by_wall, before.elapsed_s))
        return now - self._zero
