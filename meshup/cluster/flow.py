"""How many requests may be under way at once: what a server asks for by 429, and what it shows it can take."""

from __future__ import annotations

import threading


class Flow:
    """How many requests may be in flight: halved by a 429, one more per 20 successes (AIMD)."""

    def __init__(self, most: int) -> None:
        self._most = self._limit = most
        self._turn = threading.Condition()
        self._in_flight = self._good = self._round = 0
        self.peak = 0

    @property
    def limit(self) -> int:
        """Requests that may be in flight now."""
        return self._limit

    def enter(self) -> int:
        """Wait for a free place; give the round it belongs to."""
        with self._turn:
            self._turn.wait_for(lambda: self._in_flight < self._limit)
            self._in_flight += 1
            self.peak = max(self.peak, self._in_flight)
            return self._round

    def leave(self, began: int, *, throttled: bool, good: bool) -> None:
        """Free the place. Sixteen answers 429 to one burst halve it once, not sixteen times."""
        with self._turn:
            self._in_flight -= 1
            if throttled and began == self._round:
                self._limit, self._good, self._round = max(1, self._limit // 2), 0, self._round + 1
            elif good:
                self._good += 1
                if self._good >= 20 and self._limit < self._most:
                    self._limit, self._good = self._limit + 1, 0
            self._turn.notify_all()
