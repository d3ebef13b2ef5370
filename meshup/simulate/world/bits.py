"""Small questions that several controllers ask of objects."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

from meshup.model.objects import dig
from meshup.simulate.api.store import Obj

HASH_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


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
