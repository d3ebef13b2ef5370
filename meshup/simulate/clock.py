"""Virtual time with a queue of timers: a rollout of hours passes in seconds, always in the same order."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 2, 9, 0, 0, tzinfo=UTC)


class VirtualClock:
    """Time that moves only when asked. Timers run in order of their time, ties in order of their making."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._elapsed = 0.0
        self._shift = 0.0
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._made = 0
        self.lock = threading.RLock()

    def now(self) -> datetime:
        """Give virtual wall time in UTC."""
        return self._start + timedelta(seconds=self._elapsed + self._shift)

    def elapsed(self) -> float:
        """Give virtual seconds since the start."""
        return self._elapsed

    def sleep(self, seconds: float) -> None:
        """Advance by that much."""
        self.advance(seconds)

    def jump(self, seconds: float) -> None:
        """Let wall time jump, forward or back, as a bad clock does; elapsed time goes on undisturbed."""
        self._shift += seconds

    def call_at(self, elapsed: float, action: Callable[[], None]) -> None:
        """Run an action once virtual time reaches `elapsed`."""
        with self.lock:
            self._made += 1
            heapq.heappush(self._timers, (max(elapsed, self._elapsed), self._made, action))

    def call_later(self, seconds: float, action: Callable[[], None]) -> None:
        """Run an action after that many seconds."""
        self.call_at(self._elapsed + max(0.0, seconds), action)

    def every(self, seconds: float, action: Callable[[], None]) -> None:
        """Run an action again and again, first after one period."""

        def again() -> None:
            action()
            self.call_later(seconds, again)

        self.call_later(seconds, again)

    def advance(self, seconds: float) -> None:
        """Move on, running every timer that falls due, at its own time."""
        with self.lock:
            end = self._elapsed + max(0.0, seconds)
            while self._timers and self._timers[0][0] <= end:
                due, _, action = heapq.heappop(self._timers)
                self._elapsed = max(self._elapsed, due)
                action()
            self._elapsed = end

    def next_due(self) -> float | None:
        """Give the time of the next timer, None when there is none."""
        return self._timers[0][0] if self._timers else None
