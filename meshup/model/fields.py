"""Fields of API objects by JSON pointer (RFC 6901), and who owns them by managedFields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from meshup.model.objects import Object, dig, is_map

IDENTITY = frozenset({"/apiVersion", "/kind", "/metadata/name", "/metadata/namespace", "/metadata/uid"})


def pointer(path: Sequence[str]) -> str:
    """Write a path as a JSON pointer."""
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in path)


def below(text: str, step: str) -> str:
    """Give the pointer to a key below another pointer."""
    return f"{text}/{step.replace('~', '~0').replace('/', '~1')}" if "~" in step or "/" in step else f"{text}/{step}"


def steps(text: str) -> tuple[str, ...]:
    """Read a JSON pointer as a path."""
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in text.split("/")[1:])


def value_at(obj: Object | None, text: str) -> Any:
    """Give the value a pointer leads to; None when it is absent."""
    return dig(obj, *steps(text)) if obj is not None else None


def leaves(body: Object) -> dict[str, Any]:
    """Give pointer -> value for every field a body sets, identity left out. Lists and empty maps are values."""
    found: dict[str, Any] = {}
    _gather(body, "", found)
    return found


def _gather(value: Any, at: str, found: dict[str, Any]) -> None:
    if is_map(value) and value:
        for key, inner in value.items():
            _gather(inner, below(at, str(key)), found)
    elif at not in IDENTITY:
        found[at] = value


def said(text: str) -> str:
    """Say a pointer as people do: "label istio.io/rev", "annotation x", or a dotted path."""
    path = steps(text)
    for where, word in (("labels", "label"), ("annotations", "annotation")):
        if len(path) > 1 and path[-2] == where:
            inside = " of the pod template" if "template" in path else ""
            return f"{word} {path[-1]}{inside}"
    return ".".join(path)


def managers_of(obj: Object | None, text: str) -> tuple[str, ...]:
    """Name the field managers whose sets hold a field, latest first; empty when none does."""
    found: list[tuple[str, str]] = []
    for entry in dig(obj, "metadata", "managedFields") or ():
        if _holds(entry.get("fieldsV1") or {}, steps(text)):
            found.append((str(entry.get("time") or ""), str(entry.get("manager") or "")))
    return tuple(dict.fromkeys(manager for _, manager in sorted(found, reverse=True)))


def _holds(fields: Mapping[str, Any], path: tuple[str, ...]) -> bool:
    node: Any = fields
    for step in path:
        if not isinstance(node, Mapping) or f"f:{step}" not in node:
            return False
        node = node[f"f:{step}"]
        if not node:
            return True
    return True


def comes_to(wanted: Any, now: Any) -> bool:
    """Tell whether a value is what was wanted, what the API server filled in beside it aside."""
    if is_map(wanted) and is_map(now):
        return all(key in now and comes_to(value, now[key]) for key, value in wanted.items())
    if isinstance(wanted, list | tuple) and isinstance(now, list | tuple):
        return len(wanted) == len(now) and all(map(comes_to, wanted, now))
    return bool(wanted == now)


def owned_keys(obj: Object, manager: str, path: Sequence[str]) -> frozenset[str]:
    """Give the keys of one map whose values a manager owns by server-side apply; path: of the map.

    What it owns within a further map is not the value of that key: to say the whole of it would be to say what others set.
    """
    keys: set[str] = set()
    for entry in dig(obj, "metadata", "managedFields") or ():
        if entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource"):
            node = dig(entry.get("fieldsV1") or {}, *(f"f:{step}" for step in path)) or {}
            keys |= {key[2:] for key, inner in node.items() if key.startswith("f:") and not set(inner) - {"."}}
    return frozenset(keys)
