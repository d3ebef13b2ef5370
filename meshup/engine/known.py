"""What can be told without asking the server: what is right already, and what only a later stage makes askable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from meshup.cluster.paths import KNOWN
from meshup.cluster.ports import MANAGER
from meshup.engine.draft import Drafting
from meshup.journal.home import HOME
from meshup.model.change import Apply, Change, Create, Label, Restart
from meshup.model.fields import below
from meshup.model.objects import TEMPLATE_PATH, Object, Ref, dig, is_map
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
        case Apply(whole=True):
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
    if is_map(wanted):
        if not is_map(there):
            return not wanted and there is None
        for key, value in wanted.items():  # noqa: SIM110 - a generator per level costs as much as the comparing
            if not _covers(value, there.get(key), key):
                return False
        return True
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        if not isinstance(there, Sequence) or isinstance(there, str) or len(wanted) != len(there):
            return False
        if name not in KEYED:
            return list(wanted) == list(there)
        return all(_covers(mine, theirs, "") for mine, theirs in zip(wanted, there, strict=True))
    return type(wanted) is type(there) and bool(wanted == there)


def _dropped(body: Object, there: Object) -> bool:
    """Tell whether meshup owns a field of the object that the body no longer sets: applying would remove it."""
    return any(
        _leaves_out(entry.get("fieldsV1") or {}, body, there, "")
        for entry in dig(there, "metadata", "managedFields") or ()
        if entry.get("manager") == MANAGER and entry.get("operation") == "Apply"
    )


def _leaves_out(fields: Mapping[str, Any], body: Object, there: Object, at: str) -> bool:
    """Walk owned fields beside the parts of a body and of the object at the same pointer.

    What the body sets as a whole (a list, a value, an empty map) it also sets below; a list that it lacks is left out
    whatever of it is owned.
    """
    for key, inner in fields.items():
        name = key[2:]
        if not key.startswith("f:") or there.get(name) is None:
            continue
        now, where = there[name], below(at, name)
        wanted = body.get(name) if name in body else {}
        if name not in body and not any(each.startswith("f:") for each in inner):
            if not where.startswith(OURS):
                return True
        elif is_map(wanted) and (wanted or name not in body) and is_map(now) and _leaves_out(inner, wanted, now, where):
            return True
    return False


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
