"""Small questions that several controllers ask of objects."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from meshup.model.objects import dig, labels
from meshup.simulate.api.store import Obj

HASH_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


class Selecting:
    """Who selects which labels in a namespace; those that choose a pod are found without asking everybody."""

    def __init__(self) -> None:
        self._selectors: dict[tuple[str, str], Mapping[str, str]] = {}
        self._by: dict[tuple[str, str, str], set[str]] = {}

    def put(self, namespace: str, name: str, selector: Mapping[str, str]) -> None:
        """Let somebody select; an empty selector selects nothing."""
        self.drop(namespace, name)
        self._selectors[namespace, name] = selector
        for pair in list(selector.items())[:1]:
            self._by.setdefault((namespace, *pair), set()).add(name)

    def drop(self, namespace: str, name: str) -> None:
        """Forget somebody."""
        for pair in list(self._selectors.pop((namespace, name), {}).items())[:1]:
            self._by[namespace, *pair].discard(name)

    def get(self, namespace: str, name: str) -> Mapping[str, str]:
        """Give what somebody selects; empty for nobody."""
        return self._selectors.get((namespace, name), {})

    def of(self, namespace: str, labels: Mapping[str, str]) -> Iterator[str]:
        """Yield who selects these labels, in order of their names."""
        names = {name for pair in labels.items() for name in self._by.get((namespace, *pair), ())}
        for name in sorted(names):
            if all(labels.get(key) == value for key, value in self._selectors[namespace, name].items()):
                yield name


def template_hash(template: Obj) -> str:
    """Name a pod template by its content, in the letters a real controller uses."""
    raw = int(hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:12], 16)
    text = ""
    while len(text) < 10:
        raw, rest = divmod(raw, len(HASH_LETTERS))
        text += HASH_LETTERS[rest]
    return text


def owned_by(obj: Obj) -> Obj | None:
    """Give the controller reference of an object."""
    return next((each for each in dig(obj, "metadata", "ownerReferences") or () if each.get("controller")), None)


def owner_of(obj: Obj) -> Obj:
    """Make a controller reference to an object."""
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "name": obj["metadata"]["name"],
        "uid": obj["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def amount(raw: Any, of: int, *, up: bool) -> int:
    """Read an int-or-percent."""
    if isinstance(raw, str) and raw.endswith("%"):
        share = of * int(raw[:-1]) / 100
        return math.ceil(share) if up else math.floor(share)
    return int(raw or 0)


def is_ready(pod: Obj) -> bool:
    """Tell whether a pod is ready and not on its way out."""
    if dig(pod, "metadata", "deletionTimestamp"):
        return False
    return any(
        each.get("type") == "Ready" and each.get("status") == "True" for each in dig(pod, "status", "conditions") or ()
    )


def condition(kind: str, status: str, *, reason: str, message: str, time: str) -> Obj:
    """Make a condition."""
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": time,
        "lastUpdateTime": time,
    }


def from_template(
    owner: Obj, template: Obj, *, name: str = "", generate: str = "", extra: dict[str, str] | None = None
) -> Obj:
    """Make a pod of a template."""
    meta = dict(template.get("metadata") or {})
    meta.pop("creationTimestamp", None)
    meta["labels"] = {**(meta.get("labels") or {}), **(extra or {})}
    meta["namespace"] = owner["metadata"]["namespace"]
    meta["ownerReferences"] = [owner_of(owner)]
    if name:
        meta["name"] = name
    else:
        meta["generateName"] = generate
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": dict(template.get("spec") or {})}


def serves_alike(old: Obj, new: Obj) -> bool:
    """Tell whether a change of a pod means nothing to traffic."""
    return (
        is_ready(old) == is_ready(new)
        and labels(old) == labels(new)
        and bool(old["metadata"].get("deletionTimestamp")) == bool(new["metadata"].get("deletionTimestamp"))
        and dig(old, "status", "podIP") == dig(new, "status", "podIP")
    )
