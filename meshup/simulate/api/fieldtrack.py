"""metadata.managedFields: who wrote which field, kept up to date at updates and applies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from meshup.simulate.api import ssa
from meshup.simulate.api.problems import Refusal, cause
from meshup.simulate.api.store import Obj

Owner: TypeAlias = tuple[str, str, str, str]
"""(manager, operation, apiVersion, subresource)."""

LEAST = ("f:apiVersion", "f:kind", "f:metadata")


@dataclass(slots=True)
class Entry:
    """One row of managedFields."""

    paths: set[ssa.Path]
    time: str


def rows(obj: Obj | None) -> dict[Owner, Entry]:
    """Read the rows of an object, in order."""
    found: dict[Owner, Entry] = {}
    for row in ((obj or {}).get("metadata") or {}).get("managedFields") or ():
        owner = (row.get("manager", ""), row["operation"], row.get("apiVersion", ""), row.get("subresource", ""))
        found[owner] = Entry(ssa.from_fields(row.get("fieldsV1") or {}), row.get("time", ""))
    return found


def written(entries: dict[Owner, Entry]) -> list[Obj]:
    """Write rows: applied ones first, then by time, then by name, as the real server orders them."""

    def order(item: tuple[Owner, Entry]) -> tuple[int, str, str, str, str]:
        (manager, operation, version, sub), entry = item
        return (0 if operation == "Apply" else 1, entry.time, manager, version, sub)

    found = []
    for (manager, operation, version, sub), entry in sorted(entries.items(), key=order):
        if not entry.paths:
            continue
        row: Obj = {"manager": manager, "operation": operation, "apiVersion": version}
        if entry.time:
            row["time"] = entry.time
        row["fieldsType"] = "FieldsV1"
        row["fieldsV1"] = ssa.to_fields(entry.paths)
        if sub:
            row["subresource"] = sub
        found.append(row)
    return found


def updated(
    live: Obj | None, new: Obj, node: dict[str, Any], *, owner: Owner, now: str, reset: tuple[ssa.Path, ...] = ()
) -> list[Obj]:
    """Give managedFields after an update. reset: fields that the request cannot set (status, or all but it)."""
    entries = rows(live)
    moved = ssa.compare(_plain(live or {}), _plain(new), node)
    touched = moved.added | moved.changed
    for other, entry in entries.items():
        if other != owner:
            entry.paths -= touched
        entry.paths -= moved.removed
    mine = entries.get(owner)
    before = set(mine.paths) if mine else set()
    paths = (before | touched) - moved.removed
    paths = {path for path in paths if not _under(path, reset)}
    if paths:
        same = mine is not None and mine.paths == paths and not (touched or moved.removed)
        entries[owner] = Entry(paths, mine.time if same and mine else now)
    else:
        entries.pop(owner, None)
    return written(entries)


def _plain(obj: Obj) -> Obj:
    if "managedFields" in (obj.get("metadata") or {}):
        meta = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
        return {**obj, "metadata": meta}
    return obj


def _under(path: ssa.Path, tops: tuple[ssa.Path, ...]) -> bool:
    return any(path[: len(top)] == top for top in tops)


def applied(
    live: Obj | None,
    config: Obj,
    node: dict[str, Any],
    *,
    owner: Owner,
    now: str,
    force: bool,
    reset: tuple[ssa.Path, ...] = (),
) -> Obj | None:
    """Lay an applied configuration over the live object; None when nothing at all changes.

    Raises Refusal 409 naming the managers of fields that would change hands, unless forced.
    """
    base = _plain(live or {"apiVersion": config["apiVersion"], "kind": config["kind"]})
    entries = rows(live)
    if live is not None and not entries:
        first = ssa.compare({}, base, node)
        paths = {each for each in first.added if each[0] != "f:metadata" or len(each) > 2}
        entries["before-first-apply", "Update", owner[2], ""] = Entry(paths, now)
    wanted = {path for path in ssa.fields_of(config, node) if not _under(path, reset)}
    last = entries.get(owner)
    if reset:
        config = {key: value for key, value in config.items() if (f"f:{key}",) not in reset}
    new = ssa.merged(base, config, node)
    if last is not None:
        gone = last.paths - wanted
        kept = {path for other, entry in entries.items() if other != owner for path in entry.paths}
        new = ssa.without(new, node, _prunable(gone, kept | wanted))
    moved = ssa.compare(base, new, node)
    touched = moved.added | moved.changed
    clashes = {other: entry.paths & touched for other, entry in entries.items() if other != owner}
    clashes = {other: paths for other, paths in clashes.items() if paths}
    if clashes and not force:
        raise conflicting(clashes, entries)
    for other, entry in entries.items():
        if other != owner:
            entry.paths -= touched if force else set()
            entry.paths -= moved.removed
    same = last is not None and last.paths == wanted
    if live is not None and same and not (touched or moved.removed):
        return None
    entries[owner] = Entry(wanted, last.time if same and last and not (touched or moved.removed) else now)
    return {**new, "metadata": {**(new.get("metadata") or {}), "managedFields": written(entries)}}


def _prunable(gone: set[ssa.Path], kept: set[ssa.Path]) -> set[ssa.Path]:
    """Leave out what somebody still holds, or what holds something of somebody."""
    return {
        path
        for path in gone
        if path not in kept
        and not any(other[: len(top)] == top for top in (path[:-1] if path[-1] == "." else path,) for other in kept)
    }


def conflicting(clashes: dict[Owner, set[ssa.Path]], entries: dict[Owner, Entry]) -> Refusal:
    """Name managers and fields, worded as the real server does."""
    causes = []
    lines: dict[str, list[str]] = {}
    for owner in sorted(clashes):
        manager, operation, version, sub = owner
        text = f'conflict with "{manager}"'
        if sub:
            text += f' with subresource "{sub}"'
        if operation == "Update":
            text += f" using {version}"
            if entries[owner].time:
                text += f" at {entries[owner].time}"
        for path in sorted(clashes[owner], key=ssa.said):
            causes.append(cause("FieldManagerConflict", text, ssa.said(path)))
            lines.setdefault(text, []).append(ssa.said(path))
    total = len(causes)
    if total == 1:
        shown = f"{causes[0]['message']}: {causes[0]['field']}"
        message = f"Apply failed with 1 conflict: {shown}"
    else:
        told = []
        for text, fields in lines.items():
            told.append(f"{text}: {fields[0]}" if len(fields) == 1 else f"{text}:\n- " + "\n- ".join(fields))
        if len(lines) == 1:
            message = f"Apply failed with {total} conflicts: {told[0]}"
        else:
            message = f"Apply failed with {total} conflicts: " + "\n".join(f"{each}" for each in told)
    return Refusal(409, message, reason="Conflict", details={"causes": causes})
