"""A work queue on the clock: keys are reconciled once, a moment after the last change that named them."""

from __future__ import annotations

from collections.abc import Callable

from meshup.simulate.clock import VirtualClock

Key = tuple[str, str]


class Queue:
    """One controller's queue. delay_s: between a change and its reconciliation. work: called with (namespace, name)."""

    def __init__(self, clock: VirtualClock, work: Callable[[str, str], None], *, delay_s: float = 0.05) -> None:
        self._clock, self._work, self._delay_s = clock, work, delay_s
        self._waiting: set[Key] = set()

    def add(self, namespace: str, name: str, *, after_s: float | None = None) -> None:
        """Ask for a reconciliation; several before it runs are one."""
        key = (namespace, name)
        if after_s is None:
            if key in self._waiting:
                return
            self._waiting.add(key)
        self._clock.call_later(self._delay_s if after_s is None else after_s, lambda: self._run(key))

    def _run(self, key: Key) -> None:
        self._waiting.discard(key)
        self._work(*key)
