"""Objects with one resourceVersion counter, their history for watches, and indexes for selection.

Stored objects are never altered in place: a write stores a new mapping, so readers may keep what they got.
"""

from __future__ import annotations

import json
import threading
from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

Obj: TypeAlias = dict[str, Any]
Key: TypeAlias = tuple[str, str]
"""(group, plural)."""

HISTORY = 20_000


@dataclass(frozen=True, slots=True)
class Change:
    """One event. kind: ADDED, MODIFIED, DELETED. version: the counter after it."""

    kind: str
    key: Key
    namespace: str
    name: str
    old: Obj | None
    new: Obj | None
    version: int


class Store:
    """All objects of one cluster."""

    def __init__(self) -> None:
        self.version = 1
        self.lock = threading.RLock()
        self._objects: dict[Key, dict[tuple[str, str], Obj]] = {}
        self._sorted: dict[Key, list[tuple[str, str]] | None] = {}
        self._encoded: dict[str, tuple[str, bytes]] = {}
        self._labelled: dict[tuple[Key, str, str, str], set[tuple[str, str]]] = {}
        self.history: deque[Change] = deque(maxlen=HISTORY)
        self.oldest = 1
        self._listeners: list[Callable[[Change], None]] = []
        self._untold: deque[Change] = deque()
        self._telling = False

    def subscribe(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Let somebody see every event, in order, as it happens; give the way to stop that.

        What a listener writes is told after the event at hand, so that nobody sees events out of order.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def get(self, key: Key, namespace: str, name: str) -> Obj | None:
        """Give an object, None when it is absent. Not to be altered."""
        return self._objects.get(key, {}).get((namespace, name))

    def list(self, key: Key, namespace: str = "") -> Iterator[Obj]:
        """Yield objects in order of namespace and name; "" = all namespaces. Not to be altered."""
        kept = self._objects.get(key)
        if not kept:
            return
        names = self._sorted.get(key)
        if names is None:
            names = self._sorted[key] = sorted(kept)
        if not namespace:
            for each in list(names):
                if each in kept:
                    yield kept[each]
            return
        after = bisect_left(names, (namespace + "\0", ""))
        for each in names[bisect_right(names, (namespace, "")) : after]:
            if each in kept:
                yield kept[each]

    def labelled(self, key: Key, namespace: str, label: str, value: str) -> Iterator[Obj]:
        """Yield the objects of a namespace with that label, in order of their names, found without looking at each."""
        for at in sorted(self._labelled.get((key, namespace, label, value), ())):
            found = self.get(key, *at)
            if found is not None:
                yield found

    def _relabel(self, key: Key, at: tuple[str, str], old: Obj | None, new: Obj | None) -> None:
        """Keep the index of labels; most versions of an object have the labels of the one before."""
        before = (old["metadata"].get("labels") if old is not None else None) or {}
        after = (new["metadata"].get("labels") if new is not None else None) or {}
        if before is after or before == after:
            return
        for pair in before.items() - after.items():
            place = (key, at[0], *pair)
            names = self._labelled[place]
            names.discard(at)
            if not names:
                del self._labelled[place]
        for pair in after.items() - before.items():
            self._labelled.setdefault((key, at[0], *pair), set()).add(at)

    def keys(self) -> tuple[Key, ...]:
        """Give every resource that has objects."""
        return tuple(key for key, kept in self._objects.items() if kept)

    def count(self, key: Key) -> int:
        """Count the objects of a resource."""
        return len(self._objects.get(key, ()))

    def put(self, key: Key, obj: Obj) -> Obj:
        """Store a new version and give it, its resourceVersion filled in."""
        with self.lock:
            meta = obj["metadata"]
            at = (meta.get("namespace", ""), meta["name"])
            kept = self._objects.setdefault(key, {})
            old = kept.get(at)
            self.version += 1
            new = {**obj, "metadata": {**meta, "resourceVersion": str(self.version)}}
            kept[at] = new
            self._relabel(key, at, old, new)
            if old is None:
                order = self._sorted.get(key)
                if order is not None:
                    insort(order, at)
            self._tell(Change("ADDED" if old is None else "MODIFIED", key, at[0], at[1], old, new, self.version))
            return new

    def remove(self, key: Key, namespace: str, name: str) -> Obj | None:
        """Remove an object and give its last version."""
        with self.lock:
            old = self._objects.get(key, {}).pop((namespace, name), None)
            if old is None:
                return None
            order = self._sorted.get(key)
            if order is not None:
                del order[bisect_left(order, (namespace, name))]
            self._relabel(key, (namespace, name), old, None)
            self.version += 1
            last = {**old, "metadata": {**old["metadata"], "resourceVersion": str(self.version)}}
            self._encoded.pop(str(old["metadata"].get("uid")), None)
            self._tell(Change("DELETED", key, namespace, name, old, last, self.version))
            return last

    def since(self, version: int) -> Iterator[Change]:
        """Yield events after a version, oldest first. The caller checks `oldest` first."""
        for each in self.history:
            if each.version > version:
                yield each

    def encoded(self, obj: Obj) -> bytes:
        """Give an object's JSON without kind and apiVersion, made once per version."""
        uid, version = str(obj["metadata"].get("uid")), str(obj["metadata"].get("resourceVersion"))
        found = self._encoded.get(uid)
        if found is not None and found[0] == version:
            return found[1]
        bare = {key: value for key, value in obj.items() if key not in ("kind", "apiVersion")}
        made = json.dumps(bare, separators=(",", ":"), ensure_ascii=False).encode()
        self._encoded[uid] = (version, made)
        return made

    def compact(self) -> None:
        """Forget history, as a real server does in time: older watches and pages answer 410."""
        self.history.clear()
        self.oldest = self.version

    def _tell(self, change: Change) -> None:
        if len(self.history) == HISTORY:
            self.oldest = self.history[0].version
        self.history.append(change)
        self._untold.append(change)
        if self._telling:
            return
        self._telling = True
        try:
            while self._untold:
                told = self._untold.popleft()
                for listener in tuple(self._listeners):
                    listener(told)
        finally:
            self._telling = False


def copied(value: Any) -> Any:
    """Copy plain JSON values deeply, faster than the general way."""
    if isinstance(value, dict):
        return {key: copied(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [copied(inner) for inner in value]
    return value
