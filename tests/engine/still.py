"""A clock that only sleeping moves, and a cluster for what never asks one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class StillClock:
    """Virtual time without anything that happens in it."""

    def __init__(self):
        self._elapsed = 0.0
        self.slept = []

    def now(self):
        return datetime(2026, 11, 2, 9, tzinfo=UTC) + timedelta(seconds=self._elapsed)

    def elapsed(self):
        return self._elapsed

    def sleep(self, seconds):
        self.slept.append(seconds)
        self._elapsed += seconds
