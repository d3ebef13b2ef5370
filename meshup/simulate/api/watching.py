"""Watches: events from a version on, by selection, with bookmarks, and 410 for what is forgotten."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from meshup.simulate.api import selectors
from meshup.simulate.api.answers import packed
from meshup.simulate.api.kinds import Kind
from meshup.simulate.api.listing import check_initial, version_number
from meshup.simulate.api.problems import Refusal
from meshup.simulate.api.store import Change, Obj, Store
from meshup.simulate.clock import VirtualClock

BOOKMARK_S = 60.0
LONGEST_S = 1800.0
Idle: TypeAlias = Callable[["Watch", float], None]
"""Lets time pass until something happens or that many virtual seconds are over."""


class Watch:
    """One open watch. Its lines end at its deadline, or when it is closed."""

    def __init__(
        self,
        store: Store,
        clock: VirtualClock,
        kind: Kind,
        namespace: str,
        query: Mapping[str, str],
        *,
        write: Callable[[Obj], bytes],
        idle: Idle,
    ) -> None:
        self._store, self._clock, self._kind, self._write, self._idle = store, clock, kind, write, idle
        self._namespace = namespace
        self._test = selectors.both(
            selectors.labels(query.get("labelSelector", "")),
            selectors.fields(query.get("fieldSelector", ""), kind.group, kind.plural, custom=kind.custom),
        )
        self._bookmarks = query.get("allowWatchBookmarks", "") in ("1", "true")
        self._end = clock.elapsed() + min(float(query.get("timeoutSeconds") or LONGEST_S), LONGEST_S)
        self.waiting: deque[bytes] = deque()
        self.changed = threading.Condition(clock.lock)
        self.closed = False
        self._sent = store.version
        check_initial(query)
        version = query.get("resourceVersion", "")
        number = version_number(version)
        initial = query.get("sendInitialEvents", "") in ("1", "true")
        if number == 0 or initial:
            for each in store.list(kind.key, namespace):
                if self._test is None or self._test(each):
                    self._put("ADDED", each)
            if initial and self._bookmarks:
                self._bookmark({"k8s.io/initial-events-end": "true"})
        elif number < store.oldest:
            why = f"too old resource version: {number} ({store.oldest})"
            self.waiting.append(packed({"type": "ERROR", "object": Refusal(410, why, reason="Expired").status()}))
            self.closed = True
        else:
            for change in store.since(number):
                self._see(change)
        self._stop = store.subscribe(self._see)

    def _see(self, change: Change) -> None:
        if change.key != self._kind.key or (self._namespace and change.namespace != self._namespace):
            return
        if change.kind == "DELETED":
            if change.new is not None and (self._test is None or (change.old is not None and self._test(change.old))):
                self._put("DELETED", change.new)
            return
        is_in = change.new is not None and (self._test is None or self._test(change.new))
        was_in = change.old is not None and (self._test is None or self._test(change.old))
        if is_in and change.new is not None:
            self._put("MODIFIED" if was_in else "ADDED", change.new)
        elif was_in and change.old is not None:
            meta = {**change.old["metadata"], "resourceVersion": str(change.version)}
            self._put("DELETED", {**change.old, "metadata": meta})

    def _put(self, kind: str, obj: Obj) -> None:
        self.waiting.append(b'{"type":"%b","object":%b}' % (kind.encode(), self._write(obj)))
        self.changed.notify_all()

    def _bookmark(self, annotations: dict[str, str] | None = None) -> None:
        meta: Obj = {"resourceVersion": str(self._store.version)}
        if annotations:
            meta["annotations"] = annotations
        mark = {"kind": self._kind.kind, "apiVersion": self._kind.api_version, "metadata": meta}
        self.waiting.append(packed({"type": "BOOKMARK", "object": mark}))

    def close(self) -> None:
        """End the watch."""
        with self._clock.lock:
            self._stop()
            self.closed = True
            self.changed.notify_all()

    def lines(self) -> Iterator[bytes]:
        """Yield one line per event until the deadline."""
        next_mark = self._clock.elapsed() + BOOKMARK_S
        try:
            while True:
                with self._clock.lock:
                    line = self.waiting.popleft() if self.waiting else None
                    now = self._clock.elapsed()
                    if line is None:
                        if self.closed or now >= self._end:
                            return
                        if self._bookmarks and now >= next_mark:
                            self._bookmark()
                            next_mark = now + BOOKMARK_S
                            continue
                        until = min(self._end, next_mark) if self._bookmarks else self._end
                        self._idle(self, until - now)
                if line is not None:
                    yield line
        finally:
            self.close()


def step_clock(clock: VirtualClock) -> Idle:
    """Let virtual time run to its next timer: what waiting means inside one process."""

    def idle(watch: Watch, seconds: float) -> None:
        due = clock.next_due()
        ahead = seconds if due is None else min(seconds, max(0.0, due - clock.elapsed()))
        clock.advance(ahead)

    return idle


def wait_for_others(speed: Callable[[], float]) -> Idle:
    """Let real time pass until another thread changes something; speed: virtual seconds per real second."""

    def idle(watch: Watch, seconds: float) -> None:
        watch.changed.wait(min(seconds / max(speed(), 0.001), 0.5))

    return idle
