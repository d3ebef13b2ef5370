"""managedFields: who owns which field after each kind of write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from meshup.simulate.api import ssa, validate
from meshup.simulate.api.kinds import Kind
from meshup.simulate.api.problems import Refusal, cause
from meshup.simulate.api.store import Obj


def _entries(obj: Obj | None) -> list[Obj]:
    found: list[Obj] = list((obj or {}).get("metadata", {}).get("managedFields") or ())
    return found


def _entry(manager: str, operation: str, *, api_version: str, time: str, sub: str, paths: set[ssa.Path]) -> Obj:
    made: Obj = {
        "manager": manager,
        "operation": operation,
        "apiVersion": api_version,
        **({"time": time} if time else {}),
        "fieldsType": "FieldsV1",
        "fieldsV1": ssa.to_fields(paths),
    }
    if sub:
        made["subresource"] = sub
    return made


def _with(obj: Obj, entries: Sequence[Obj]) -> Obj:
    order = sorted(entries, key=lambda each: (each["operation"] != "Apply", each.get("time", ""), each["manager"]))
    meta = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    if order:
        meta["managedFields"] = order
    return {**obj, "metadata": meta}


def after_update(
    old: Obj | None,
    new: Obj,
    node: dict[str, Any],
    *,
    manager: str,
    api_version: str,
    time: str,
    sub: str = "",
    owned_as: str = "",
) -> Obj:
    """Give the object with ownership after a create, update or patch: changed fields belong to the writer.

    sub: the subresource written through, whose field alone can change. owned_as: one that wrote fields of the main path.
    """
    before = _plain(old) if old is not None else {"metadata": {}, "apiVersion": "", "kind": ""}
    found = ssa.compare(before, _plain(new), node)
    if sub:
        top = f"f:{sub}"
        found = ssa.Compared(
            *({each for each in several if each[0] == top} for several in (found.added, found.changed, found.removed))
        )
    sub = owned_as or sub
    touched = found.added | found.changed
    entries = _entries(old)
    if not touched and not found.removed:
        return _with(new, entries)
    if owned_as:  # a Scale leaves out replicas of 0, so nobody owns them
        touched = {path for path in touched if ssa.value_at(new, node, path) != 0}
    result: list[Obj] = []
    mine: set[ssa.Path] = set()
    for each in entries:
        paths = ssa.from_fields(each.get("fieldsV1") or {})
        if (
            each["manager"] == manager
            and each["operation"] == "Update"
            and each.get("subresource", "") == sub
            and each["apiVersion"] == api_version
        ):
            mine = paths
            continue
        kept = {path for path in paths - found.changed if not _gone(path, found.removed)}
        if kept == paths:
            result.append(each)
        elif kept:
            result.append({**each, "fieldsV1": ssa.to_fields(kept)})
    mine = {path for path in mine if not _gone(path, found.removed)} | touched
    if mine:
        result.append(_entry(manager, "Update", api_version=api_version, time=time, sub=sub, paths=mine))
    return _with(new, result)


def _gone(path: ssa.Path, removed: set[ssa.Path]) -> bool:
    return path in removed


def _plain(obj: Obj | None) -> Obj | None:
    if obj is None:
        return None
    return {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key != "managedFields"}}


def apply(
    live: Obj | None,
    applied: Obj,
    node: dict[str, Any],
    *,
    manager: str,
    api_version: str,
    time: str,
    force: bool,
    sub: str = "",
    apart: bool = False,
) -> tuple[Obj, set[ssa.Path]]:
    """Lay an applied configuration over the live object; give it and the fields the manager owns now.

    Raises Refusal 409 naming every field that another manager owns with another value, unless forced.
    """
    wanted = {path for path in ssa.fields_of(_plain(applied), node) if path[0] not in _foreign(sub, apart=apart)}
    applied = {key: value for key, value in applied.items() if f"f:{key}" not in _foreign(sub, apart=apart)}
    applied["metadata"] = {key: value for key, value in applied["metadata"].items() if key not in OURS}
    base: Obj = live if live is not None else {"metadata": {}}
    result = ssa.merged(_plain(base), _plain(applied), node)
    entries = _entries(live)
    if live is not None and not entries:
        first = ssa.compare({"metadata": {}, "apiVersion": "", "kind": ""}, _plain(live), node).added
        if first:
            entries = [_entry("before-first-apply", "Update", api_version=api_version, time=time, sub="", paths=first)]
    before: set[ssa.Path] = set()
    others: list[tuple[Obj, set[ssa.Path]]] = []
    for each in entries:
        paths = ssa.from_fields(each.get("fieldsV1") or {})
        if each["manager"] == manager and each["operation"] == "Apply" and each.get("subresource", "") == sub:
            before = paths
        else:
            others.append((each, paths))
    fights: list[tuple[Obj, list[ssa.Path]]] = []
    for each, paths in others:
        clash = [
            path
            for path in sorted(paths & wanted)
            if path[-1] != "." and ssa.value_at(base, node, path) != ssa.value_at(result, node, path)
        ]
        if clash:
            fights.append((each, clash))
    if fights and not force:
        raise _conflict(fights)
    for each, clash in fights:
        at = next(n for n, (entry, _) in enumerate(others) if entry is each)
        others[at] = (each, others[at][1] - set(clash))
    held = set().union(*(paths for _, paths in others)) if others else set()
    gone = {path for path in before - wanted if path not in held and not _has_owned_child(path, held | wanted)}
    result = ssa.without(result, node, gone)
    kept = [
        each if ssa.from_fields(each.get("fieldsV1") or {}) == paths else {**each, "fieldsV1": ssa.to_fields(paths)}
        for each, paths in others
        if paths
    ]
    old = next(
        (
            each
            for each in entries
            if each["manager"] == manager and each["operation"] == "Apply" and each.get("subresource", "") == sub
        ),
        None,
    )
    moved = ssa.compare(base, _plain(result), node)
    changes = live is None or bool(moved.added or moved.changed or moved.removed)
    if wanted:
        stamp = time if changes else str((old or {}).get("time", ""))
        kept.append(_entry(manager, "Apply", api_version=api_version, time=stamp, sub=sub, paths=wanted))
    return _with(result, kept), wanted


OURS = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink")


def _foreign(sub: str, *, apart: bool) -> tuple[str, ...]:
    """Give the top fields that this path cannot write. apart: status has a path of its own."""
    if sub == "status":
        return ("f:spec",)
    return ("f:status",) if apart else ()


def check_declared(kind: Kind, body: Obj, node: dict[str, Any], *, sent_namespace: str) -> None:
    """Refuse an applied configuration that the schema cannot type: unknown fields, keys given twice."""
    name = str(body["metadata"].get("name", ""))
    for path in validate.unknown_fields({key: value for key, value in body.items() if key != "metadata"}, node):
        raise _untyped(kind, sent_namespace, name, f".{path}: field not declared in schema")
    for path, key in ssa.doubled(body, node):
        raise _untyped(kind, sent_namespace, name, f"{path}: duplicate entries for key {key}")


def _untyped(kind: Kind, namespace: str, name: str, why: str) -> Refusal:
    text = f"failed to create typed patch object ({namespace}/{name}; {kind.api_version}, Kind={kind.kind}): {why}"
    return Refusal(500, text, reason="")


def _has_owned_child(path: ssa.Path, owned: set[ssa.Path]) -> bool:
    stem = path[:-1] if path and path[-1] == "." else path
    return any(each[: len(stem)] == stem and len(each) > len(stem) and each != path for each in owned)


def _conflict(fights: list[tuple[Obj, list[ssa.Path]]]) -> Refusal:
    causes = []
    shown: list[str] = []
    count = 0
    for each, paths in sorted(fights, key=lambda pair: str(pair[0]["manager"])):
        who = f'"{each["manager"]}"'
        if each.get("subresource"):
            who += f' with subresource "{each["subresource"]}"'
        if each["operation"] == "Update":
            who += f" using {each['apiVersion']}"
        for path in paths:
            count += 1
            causes.append(cause("FieldManagerConflict", f"conflict with {who}", ssa.said(path)))
        if len(fights) == 1 and len(paths) == 1:
            shown.append(f"conflict with {who}: {ssa.said(paths[0])}")
        else:
            shown.append(f"conflicts with {who}:\n" + "\n".join(f"- {ssa.said(path)}" for path in paths))
    noun = "conflict" if count == 1 else "conflicts"
    joined = shown[0] if len(shown) == 1 else "\n".join(shown)
    message = f"Apply failed with {count} {noun}: {joined}"
    return Refusal(409, message, reason="Conflict", details={"causes": causes})
