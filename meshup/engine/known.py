"""What can be told without asking the server: what is right already, and what only a later stage makes askable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from meshup.cluster.paths import KNOWN
from meshup.cluster.ports import MANAGER
from meshup.engine.draft import Drafting
from meshup.journal.home import HOME
from meshup.model.change import Apply, Change, Create, Label, Restart
from meshup.model.fields import leaves, steps
from meshup.model.objects import TEMPLATE_PATH, Object, Ref, dig
from meshup.model.snapshot import Snapshot

KEYED = frozenset(
    {"containers", "initContainers", "env", "ports", "volumes", "volumeMounts", "webhooks", "imagePullSecrets"}
)
"""Lists whose items the server defaults and that are merged by key: more fields there than we set are no change."""


OURS = ("/metadata/annotations/meshup.dev", "/metadata/labels/meshup.dev")


def same(change: Change, there: Object) -> bool:
    """Tell whether a write would certainly change nothing. In doubt it would: the server is asked then."""
    match change:
        case Create():
            return False
        case Apply():
            return _covers(change.body, there, "") and not _dropped(change.body, there)
        case Label():
            beside = (*change.at[:-1], "annotations")
            values = {**{(*change.at, key): value for key, value in change.set.items()}}
            values.update({(*beside, key): value for key, value in change.annotations.items()})
            return all(dig(there, *path) == value for path, value in values.items())
        case Restart():
            path = (*TEMPLATE_PATH[change.on.kind], "metadata", "annotations", "meshup.dev/restart")
            return bool(dig(there, *path) == change.value)
        case _:
            return False


def _covers(wanted: Any, there: Any, name: str) -> bool:
    if isinstance(wanted, Mapping):
        if not isinstance(there, Mapping):
            return not wanted and there is None
        return all(_covers(value, there.get(key), key) for key, value in wanted.items())
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        if not isinstance(there, Sequence) or isinstance(there, str) or len(wanted) != len(there):
            return False
        if name not in KEYED:
            return list(wanted) == list(there)
        return all(_covers(mine, theirs, "") for mine, theirs in zip(wanted, there, strict=True))
    return type(wanted) is type(there) and bool(wanted == there)


def _dropped(body: Object, there: Object) -> bool:
    """Tell whether meshup owns a field of the object that the body no longer sets: applying would remove it."""
    wanted = set(leaves(body))
    prefixes = {pointer[: at + 1] for pointer in wanted for at, char in enumerate(pointer) if char == "/"}
    for entry in dig(there, "metadata", "managedFields") or ():
        if entry.get("manager") != MANAGER or entry.get("operation") != "Apply":
            continue
        for pointer in _owned(entry.get("fieldsV1") or {}, ""):
            if pointer.startswith(OURS):
                continue
            above = any(pointer[:at] in wanted for at, char in enumerate(pointer) if char == "/")
            if pointer in wanted or f"{pointer}/" in prefixes or above:
                continue
            if dig(there, *steps(pointer)) is not None:
                return True
    return False


def _owned(fields: Mapping[str, Any], at: str) -> list[str]:
    found: list[str] = []
    for key, inner in fields.items():
        if not key.startswith("f:"):
            continue
        where = f"{at}/{key[2:].replace('~', '~0').replace('/', '~1')}"
        below = _owned(inner, where) if isinstance(inner, Mapping) else []
        found += below or ([where] if not any(k.startswith(("k:", "v:", "i:")) for k in inner) else [])
    return found


def served(on: Ref, snapshot: Snapshot) -> bool:
    """Tell whether the server knows a kind now."""
    if (on.api_version, on.kind) in snapshot.kinds:
        return True
    return (on.api_version, on.kind) in KNOWN and on.group != "meshup.dev"


Makers = Mapping[tuple[str, str], tuple[int, str]]
"""("", NAMESPACE) or (group, kind) -> number of the first draft that makes it, and its stage."""


def makers(drafting: Drafting) -> Makers:
    """Say which drafts make namespaces and define kinds."""
    found: dict[tuple[str, str], tuple[int, str]] = {}
    for number, (place, each) in enumerate(drafting.drafts()):
        change = each.draft.change
        if not isinstance(change, Create | Apply):
            continue
        if change.on.kind == "Namespace":
            found.setdefault(("", change.on.name), (number, place.stage.name))
        elif change.on.kind == "CustomResourceDefinition":
            group, kind = dig(change.body, "spec", "group"), dig(change.body, "spec", "names", "kind")
            found.setdefault((str(group), str(kind)), (number, place.stage.name))
    return found


def known_after(on: Ref, snapshot: Snapshot, made: Makers, *, number: int) -> str:
    """Name the stage that makes an object's kind or namespace when it is not there yet.

    number: of the draft that asks. "" = it can be asked now; "?" = nothing makes it before it is needed. meshup's own
    namespace is made with the lock, before any change.
    """
    needs: list[tuple[str, str]] = []
    if not served(on, snapshot):
        needs.append((on.group, on.kind))
    if (
        on.namespace not in ("", HOME)
        and snapshot.get(Ref(api_version="v1", kind="Namespace", name=on.namespace)) is None
    ):
        needs.append(("", on.namespace))
    stage = ""
    for need in needs:
        at, stage = made.get(need, (number, "?"))
        if at >= number:
            return "?"
    return stage
