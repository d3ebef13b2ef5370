"""The way back of each change, derived when it is planned, and the same as kubectl commands."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any, assert_never

from meshup.model.change import Apply, Change, Create, Delete, Evict, Handoff, Label, Restart
from meshup.model.fields import steps
from meshup.model.objects import Object, Ref

SERVER_FIELDS = frozenset(
    {"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink", "deletionTimestamp"}
)


STAYS = frozenset({"Namespace", "CustomResourceDefinition", "MeshRelease"})
"""Never deleted on a way back (RELIABILITY section 4): what others keep in them, or decided of them, would go too."""


def inverse(change: Change) -> Change | None:
    """Give the change that takes one back, or None when nothing is there to take back.

    The inverse of something that is made is a Delete whose UID is known only once it was made: uid is "" then, and the
    executor fills it in from the journal.
    """
    match change:
        case Create():
            return Delete(on=change.on, uid="", before=change.body)
        case Apply(before=None):
            return Delete(on=change.on, uid="", before=change.body)
        case Apply():
            return Apply(
                on=change.on,
                body=change.before or {},
                before=change.body,
                uid=change.uid,
                force=change.force,
                whole=change.whole,
            )
        case Label():
            return Label(
                on=change.on,
                at=change.at,
                set=change.before,
                before=change.set,
                annotations=change.annotations_before,
                annotations_before=change.annotations,
                uid=change.uid,
                force=change.force,
                marks=change.marks,
                holds=change.holds_before,
                holds_before=change.holds,
            )
        case Restart():
            value = f"{change.value}-back"
            return Restart(on=change.on, value=value, before=change.value, uid=change.uid, marks=change.marks)
        case Evict():
            return None
        case Delete():
            return Create(on=change.on, body=creatable(change.before))
        case Handoff():
            return Handoff(
                on=change.on,
                to=change.to,
                what=change.back,
                until=change.until_back,
                back=change.what,
                until_back=change.until,
            )
        case _:
            assert_never(change)


def creatable(body: Object) -> Object:
    """Give an object without what only the server writes, so that it can be created again."""
    meta = {key: value for key, value in (body.get("metadata") or {}).items() if key not in SERVER_FIELDS}
    return {**{key: value for key, value in body.items() if key != "status"}, "metadata": meta}


def as_kubectl(change: Change) -> str:
    """Write a change as a command for the day when meshup itself can't run. One line; bodies as JSON."""
    match change:
        case Create():
            return f"kubectl create -f - <<< {shlex.quote(_json(change.body))}"
        case Apply(whole=True):
            return f"kubectl replace -f - <<< {shlex.quote(_json(change.body))}"
        case Apply():
            return f"kubectl apply --server-side --field-manager=meshup -f - <<< {shlex.quote(_json(change.body))}"
        case Label():
            patch = _nested(change.at, change.set)
            if change.annotations:
                patch = _merged(patch, _nested((*change.at[:-1], "annotations"), change.annotations))
            for field in {**change.holds_before, **change.holds}:
                *path, key = steps(field)
                patch = _merged(patch, _nested(tuple(path), {key: change.holds.get(field)}))
            return f"kubectl patch {_named(change.on)} --type=merge -p {shlex.quote(_json(patch))}"
        case Restart():
            return f"kubectl rollout restart {_named(change.on)}"
        case Evict():
            return f"kubectl delete {_named(change.on)}"
        case Delete():
            return f"kubectl delete {_named(change.on)}"
        case Handoff():
            return f"# {change.to}: {change.what}"
        case _:
            assert_never(change)


def _named(ref: Ref) -> str:
    kind = f"{ref.kind.lower()}.{ref.group}" if ref.group else ref.kind.lower()
    where = f" -n {shlex.quote(ref.namespace)}" if ref.namespace else ""
    return f"{shlex.quote(kind)}/{shlex.quote(ref.name)}{where}"


def _json(body: Any) -> str:
    return json.dumps(body, sort_keys=True, separators=(",", ":"))


def _nested(path: tuple[str, ...], values: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = dict(values)
    for step in reversed(path):
        found = {step: found}
    return found


def _merged(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    both = dict(left)
    for key, value in right.items():
        both[key] = _merged(both[key], value) if isinstance(both.get(key), dict) and isinstance(value, dict) else value
    return both
