"""What moves, heard from one watch per kind: it wakes who waits, and judges nothing."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping

from meshup.cluster.errors import Forbidden
from meshup.cluster.ports import Event, Reader
from meshup.model.objects import Object, Ref, ref_of
from meshup.model.problem import MeshupError
from meshup.model.transport import TransportFailure

WATCH_S = 300.0
AGAIN_S = 5.0

Kind = tuple[str, str]


class Hearing:
    """Hears of objects that are expected to move. Its threads end with the process, or soon after `close`.

    stirred: set when one of them moved. A watch that can't be had, or broke, is no error: `hears` is false meanwhile, and
    whoever waits looks at intervals. A kind that may not be watched is not tried again.
    """

    def __init__(self, cluster: Reader) -> None:
        self.stirred = threading.Event()
        self._cluster = cluster
        self._lock = threading.Lock()
        self._expected: set[Ref] = set()
        self._moved: dict[Ref, Object | None] = {}
        self._stands: dict[Kind, bool] = {}
        self._ended = threading.Event()

    def expect(self, refs: Collection[Ref]) -> None:
        """Hear of these too, from now on. One list and one watch are opened for a kind that has none yet."""
        with self._lock:
            self._expected.update(refs)
            fresh = {(ref.api_version, ref.kind) for ref in refs} - self._stands.keys()
            self._stands.update(dict.fromkeys(fresh, False))
        for kind in sorted(fresh):
            threading.Thread(target=self._follow, args=(kind,), daemon=True).start()

    def forget(self, refs: Collection[Ref]) -> None:
        """Hear of these no longer; the watches stay."""
        with self._lock:
            self._expected.difference_update(refs)
            for ref in refs:
                self._moved.pop(ref, None)

    def hears(self, refs: Collection[Ref]) -> bool:
        """Tell whether a watch stands now for the kind of each."""
        return all(self._stands.get((ref.api_version, ref.kind), False) for ref in refs)

    def taken(self, refs: Collection[Ref]) -> Mapping[Ref, Object | None]:
        """Give those of these that moved since they were last taken, as they were heard to be; None = gone."""
        with self._lock:
            self.stirred.clear()
            return {ref: self._moved.pop(ref) for ref in refs if ref in self._moved}

    def close(self) -> None:
        """Let the threads end with what they hear next."""
        self._ended.set()

    def _follow(self, kind: Kind) -> None:
        while not self._ended.is_set():
            try:
                for event in self._cluster.watch(*kind, for_s=WATCH_S):
                    self._take(kind, event)
                    if self._ended.is_set():
                        return
            except Forbidden:
                self._stands[kind] = False
                return
            except (MeshupError, TransportFailure):
                self._stands[kind] = False
                self._ended.wait(AGAIN_S)

    def _take(self, kind: Kind, event: Event) -> None:
        found: dict[Ref, Object | None] = {ref_of(each): each for each in event.objects}
        with self._lock:
            if event.kind == "LISTED":
                gone = {ref for ref in self._expected if (ref.api_version, ref.kind) == kind} - found.keys()
                found.update(dict.fromkeys(gone))
                self._stands[kind] = True
            elif event.kind == "DELETED":
                found = dict.fromkeys(found)
            moved = {ref: each for ref, each in found.items() if ref in self._expected}
            self._moved.update(moved)
            if moved:
                self.stirred.set()
