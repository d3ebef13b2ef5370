"""Server-side apply and field ownership, after structured-merge-diff (the library of the real API server)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from meshup.simulate.api import schema as sc

Path: TypeAlias = tuple[str, ...]
"""Elements as fieldsV1 writes them: "f:name", 'k:{"name":"x"}', 'v:"x"', and "." for the thing itself."""

UNOWNED = frozenset(
    {
        ("f:apiVersion",),
        ("f:kind",),
        ("f:metadata",),
        *(
            ("f:metadata", f"f:{name}")
            for name in (
                "name",
                "namespace",
                "creationTimestamp",
                "selfLink",
                "uid",
                "clusterName",
                "generation",
                "managedFields",
                "resourceVersion",
                "deletionTimestamp",
                "deletionGracePeriodSeconds",
            )
        ),
    }
)


def _key(keys: tuple[str, ...], node: dict[str, Any], value: dict[str, Any]) -> str:
    found = {}
    for each in keys:
        if each in value:
            found[each] = value[each]
        else:
            default = sc.raw_child(node, each).get("default")
            if default is not None:
                found[each] = default
    return "k:" + json.dumps(found, sort_keys=True, separators=(",", ":"))


def fields_of(value: Any, node: dict[str, Any], path: Path = ()) -> set[Path]:
    """Give the fields that a configuration sets, as an applied one is owned."""
    found: set[Path] = set()
    _collect(value, node, path, found)
    return {each for each in found if each not in UNOWNED}


def _collect(value: Any, node: dict[str, Any], path: Path, found: set[Path]) -> None:
    if isinstance(value, dict) and not sc.is_atomic(node, value):
        if not value and path:
            found.add(path)
        for key, inner in value.items():
            _collect(inner, sc.child(node, key), (*path, f"f:{key}"), found)
        return
    if isinstance(value, list) and not sc.is_atomic(node, value):
        keys = sc.list_keys(node)
        inner_node = sc.item(node)
        if not value and path:
            found.add(path)
        for inner in value:
            if keys and isinstance(inner, dict):
                at = (*path, _key(keys, inner_node, inner))
                found.add((*at, "."))
                _collect(inner, inner_node, at, found)
            else:
                found.add((*path, "v:" + json.dumps(inner)))
        return
    if path:
        found.add(path)


@dataclass(slots=True)
class Compared:
    """What an update did, as field paths."""

    added: set[Path]
    changed: set[Path]
    removed: set[Path]


def compare(old: Any, new: Any, node: dict[str, Any]) -> Compared:
    """Compare two versions of an object."""
    found = Compared(set(), set(), set())
    _compare(old, new, node, (), found, solid=True)
    return Compared(found.added - UNOWNED, found.changed - UNOWNED, found.removed - UNOWNED)


def _whole(value: Any, node: dict[str, Any], path: Path, into: set[Path], *, solid: bool) -> None:
    """Collect all of a value; `solid` parents exist in every object, so they are not owned themselves."""
    if isinstance(value, dict) and not sc.is_atomic(node, value):
        if path and not solid:
            into.add((*path, ".") if value else path)
        for key, inner in value.items():
            raw = sc.raw_child(node, key)
            if solid and _is_default(raw, inner):
                continue
            _whole(inner, sc.resolved(raw), (*path, f"f:{key}"), into, solid=solid and _always(node, key, raw))
        return
    if isinstance(value, list) and not sc.is_atomic(node, value):
        keys = sc.list_keys(node)
        inner_node = sc.item(node)
        if path and value and not solid:
            into.add((*path, "."))
        if not value and path:
            into.add(path)
        for inner in value:
            if keys and isinstance(inner, dict):
                _whole(inner, inner_node, (*path, _key(keys, inner_node, inner)), into, solid=False)
            else:
                into.add((*path, "v:" + json.dumps(inner)))
        return
    if path:
        into.add(path)


def _is_default(raw: dict[str, Any], value: Any) -> bool:
    """Tell whether a value is what the field holds in every object."""
    if "default" not in raw or raw["default"] != value:
        return False
    return not isinstance(value, dict) or sc.is_atomic(sc.resolved(raw), value)


def _always(node: dict[str, Any], key: str, raw: dict[str, Any]) -> bool:
    """Tell whether a field is there in every object: a plain struct, or a list that is written even when empty."""
    if raw.get("default") == {}:
        return True
    return key in node.get("required", ()) and bool(sc.name_of(node)) and sc.resolved(raw).get("type") == "array"


def _compare(old: Any, new: Any, node: dict[str, Any], path: Path, found: Compared, *, solid: bool) -> None:
    if old is None and new is None:
        return
    if old is None:
        _whole(new, node, path, found.added, solid=solid)
        return
    if new is None:
        _whole(old, node, path, found.removed, solid=solid)
        return
    if isinstance(old, dict) and isinstance(new, dict) and not sc.is_atomic(node, new):
        for key in {**old, **new}:
            raw = sc.raw_child(node, key)
            left, right = old.get(key), new.get(key)
            if left is None and right is not None and _is_default(raw, right):
                continue
            _compare(left, right, sc.resolved(raw), (*path, f"f:{key}"), found, solid=_always(node, key, raw))
        return
    keys = sc.list_keys(node)
    if isinstance(old, list) and isinstance(new, list) and not sc.is_atomic(node, new):
        inner = sc.item(node)
        if keys:
            left = {_key(keys, inner, each): each for each in old if isinstance(each, dict)}
            right = {_key(keys, inner, each): each for each in new if isinstance(each, dict)}
            for key in {**left, **right}:
                _compare(left.get(key), right.get(key), inner, (*path, key), found, solid=False)
        else:
            left_set = {json.dumps(each) for each in old}
            right_set = {json.dumps(each) for each in new}
            found.added |= {(*path, f"v:{each}") for each in right_set - left_set}
            found.removed |= {(*path, f"v:{each}") for each in left_set - right_set}
        return
    if old != new:
        found.changed.add(path)


def merged(live: Any, applied: Any, node: dict[str, Any]) -> Any:
    """Lay an applied configuration over the live object."""
    if isinstance(live, dict) and isinstance(applied, dict) and not sc.is_atomic(node, applied):
        result = dict(live)
        for key, value in applied.items():
            result[key] = merged(live.get(key), value, sc.child(node, key)) if key in live else value
        return result
    if isinstance(live, list) and isinstance(applied, list) and not sc.is_atomic(node, applied):
        keys = sc.list_keys(node)
        inner = sc.item(node)
        if keys:
            position = {_key(keys, inner, each): at for at, each in enumerate(live) if isinstance(each, dict)}
            both = list(live)
            for each in applied:
                at = position.get(_key(keys, inner, each))
                if at is None:
                    both.append(each)
                else:
                    both[at] = merged(both[at], each, inner)
            return both
        return live + [each for each in applied if each not in live]
    return applied


def without(value: Any, node: dict[str, Any], gone: Iterable[Path]) -> Any:
    """Remove fields by their paths; an item or map that is owned by nobody any more goes as a whole."""
    for path in sorted(gone, key=lambda each: (each[-1] != ".", -len(each))):
        value = _removed(value, node, path)
    return value


def _removed(value: Any, node: dict[str, Any], path: Path) -> Any:
    if not path:
        return value
    head, rest = path[0], path[1:]
    if head.startswith("f:") and isinstance(value, dict):
        name = head[2:]
        if name not in value:
            return value
        if not rest or rest == (".",):
            return {key: inner for key, inner in value.items() if key != name}
        return {**value, name: _removed(value[name], sc.child(node, name), rest)}
    if head.startswith("k:") and isinstance(value, list):
        keys, inner = sc.list_keys(node), sc.item(node)
        result = []
        for each in value:
            if isinstance(each, dict) and _key(keys, inner, each) == head:
                if not rest or rest == (".",):
                    continue
                result.append(_removed(each, inner, rest))
            else:
                result.append(each)
        return result
    if head.startswith("v:") and isinstance(value, list):
        return [each for each in value if json.dumps(each) != head[2:]]
    return value


def value_at(value: Any, node: dict[str, Any], path: Path) -> Any:
    """Give the value at a path; None when absent."""
    for step in path:
        if step == ".":
            return value
        if step.startswith("f:") and isinstance(value, dict):
            value, node = value.get(step[2:]), sc.child(node, step[2:])
        elif step.startswith("k:") and isinstance(value, list):
            keys, inner = sc.list_keys(node), sc.item(node)
            value = next((each for each in value if isinstance(each, dict) and _key(keys, inner, each) == step), None)
            node = inner
        elif step.startswith("v:") and isinstance(value, list):
            value = step[2:] if any(json.dumps(each) == step[2:] for each in value) else None
        else:
            return None
    return value


def to_fields(paths: Iterable[Path]) -> dict[str, Any]:
    """Write paths as fieldsV1."""
    root: dict[str, Any] = {}
    for path in sorted(paths):
        node = root
        for step in path:
            node = node.setdefault(step, {})
    return root


def from_fields(fields: dict[str, Any], path: Path = ()) -> set[Path]:
    """Read fieldsV1 as paths."""
    found: set[Path] = set()
    for key, inner in fields.items():
        if inner:
            found |= from_fields(inner, (*path, key))
        else:
            found.add((*path, key))
    return found


def said(path: Path) -> str:
    """Say a path as conflict messages do: .spec.template.spec.containers[name="x"].image."""
    text = ""
    for step in path:
        if step.startswith("f:"):
            text += f".{step[2:]}"
        elif step.startswith("k:"):
            pairs = ",".join(f"{key}={json.dumps(value)}" for key, value in json.loads(step[2:]).items())
            text += f"[{pairs}]"
        elif step.startswith("v:"):
            text += f"[={step[2:]}]"
    return text


def doubled(value: Any, node: dict[str, Any], path: str = "") -> Iterable[tuple[str, str]]:
    """Yield associative lists that have one key twice: (path, key)."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from doubled(inner, sc.child(node, key), f"{path}.{key}")
    elif isinstance(value, list):
        keys, below = sc.list_keys(node), sc.item(node)
        seen: set[str] = set()
        for each in value:
            if keys and isinstance(each, dict):
                found = _key(keys, below, each)
                shown = said((found,))
                if found in seen:
                    yield path, shown
                seen.add(found)
                yield from doubled(each, below, f"{path}{shown}")
            elif sc.is_set(node):
                found = json.dumps(each)
                if found in seen:
                    yield path, f"[={found}]"
                seen.add(found)
