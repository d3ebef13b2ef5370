"""The clock as a seam: real time, or virtual time that a rollout of hours passes in seconds."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Time as an argument. `now` is aware UTC and may jump; `elapsed` never goes back and counts suspend."""

    def now(self) -> datetime:
        """Give the wall clock's time in UTC."""
        ...

    def elapsed(self) -> float:
        """Give seconds since an arbitrary start, counting the time the machine was suspended."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return after that many seconds. Only engine/wait.py and background beats call it."""
        ...
