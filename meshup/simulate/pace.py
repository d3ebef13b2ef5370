"""Virtual time beside real time: 1:1 while nobody advances it, at once when somebody does."""

from __future__ import annotations

import threading
import time
from typing import Any

from meshup.simulate.clock import VirtualClock

TICK_S = 0.05


class Pace:
    """Lets a clock follow real time in the background. speed: virtual seconds per real second; 0 stands still."""

    def __init__(self, clock: VirtualClock, speed: float = 1.0) -> None:
        self._clock, self.speed = clock, speed
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to follow real time."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stand still."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(2)

    def _run(self) -> None:
        before = time.monotonic()
        while not self._ended.wait(TICK_S):
            now = time.monotonic()
            if self.speed > 0:
                self._clock.advance((now - before) * self.speed)
            before = now

    def advance(self, seconds: float) -> None:
        """Move virtual time on by that much, timers included; returns when it is there. Raises ValueError below 0."""
        if seconds < 0:
            raise ValueError("time does not go back")
        self._clock.advance(seconds)

    def shown(self) -> str:
        """Give virtual time as RFC 3339."""
        return self._clock.now().isoformat().replace("+00:00", "Z")

    def told(self) -> dict[str, Any]:
        """Give virtual time as /simulator/clock answers it."""
        return {"now": self.shown(), "elapsed_s": self._clock.elapsed(), "speed": self.speed}
