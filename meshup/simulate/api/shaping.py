"""From what was sent to an object of its kind: checked against the path, unknown fields dropped, defaults filled in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from meshup.simulate.api import forms, protobuf, validate
from meshup.simulate.api import schema as sc
from meshup.simulate.api.defaults import fill, fill_by_schema
from meshup.simulate.api.kinds import Kind
from meshup.simulate.api.problems import bad_request
from meshup.simulate.api.store import Obj
from meshup.simulate.api.users import ADMIN, User

ORDER = ("kind", "apiVersion", "metadata")


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """Circumstances of a write.

    manager: field manager; "" leaves ownership untracked. sent_manager: what the request named as that, "" = nothing.
    validation: what an unknown field is: Strict refuses, Warn warns, Ignore drops. controller: trusted, from within: no
    shaping of what is not a Pod, no validation. collection: the object is one of many that one request deletes.
    """

    user: User = ADMIN
    manager: str = "unknown"
    sent_manager: str = ""
    dry_run: bool = False
    force: bool = False
    validation: str = "Ignore"
    controller: bool = False
    collection: bool = False
    warnings: list[str] = field(default_factory=list, compare=False)


def decoded(kind: Kind, namespace: str, body: Any, node: dict[str, Any], how: How, *, name: str) -> Obj:
    """Give the object that a body describes, with its defaults. name: of the path, "" for a creation. Raises Refusal."""
    if not isinstance(body, dict):
        raise bad_request(f"the object provided is unrecognized (must be of type {kind.kind})")
    _right_kind(kind, body)
    meta = body.get("metadata")
    meta = dict(meta) if isinstance(meta, dict) else {}
    if kind.namespaced:
        if meta.get("namespace") and meta["namespace"] != namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        meta["namespace"] = namespace
    elif meta.get("namespace"):
        raise bad_request("namespace specified for a cluster-scoped object")
    if name:
        if meta.get("name") not in (None, "", name):
            raise bad_request(f"the name of the object ({meta['name']}) does not match the name on the URL ({name})")
        meta["name"] = name
    rest = {key: value for key, value in body.items() if key not in ORDER}
    obj: Obj = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": meta, **rest}
    if not kind.custom:
        wrong = next(mistyped(obj, node), None)
        if wrong is not None:
            raise _unfit(kind, f"json: cannot unmarshal {wrong}")
        unreadable = next(forms.unreadable(obj, node), None)
        if unreadable is not None:
            raise _unfit(kind, unreadable)
    unknown(kind, obj, node, how)
    return settled(kind, obj, node)


def settled(kind: Kind, obj: Obj, node: dict[str, Any]) -> Obj:
    """Drop what is unknown and fill in defaults."""
    if kind.custom:
        return fill_by_schema(validate.pruned(obj, node), node)  # type: ignore[no-any-return]
    return fill(kind.group, kind.kind, told(validate.pruned(obj, node), node))


def told(value: Any, node: dict[str, Any]) -> Any:
    """Drop what built-in kinds leave out when written: nulls, empty maps, empty lists not required, some zeros."""
    if isinstance(value, dict):
        if "properties" not in node and "additionalProperties" not in node:
            return value
        required = node.get("required") or ()
        zero = sc.omitted_when_zero(node)
        made = {}
        texts = sc.resolved(node.get("additionalProperties") or {}).get("type") == "string"
        for key, inner in value.items():
            if inner is None and texts:
                made[key] = ""
                continue
            if inner is None or (not inner and key in zero and not isinstance(inner, dict | list)):
                continue
            if inner in ({}, []) and key not in required and "properties" in node:
                below = sc.child(node, key)
                if inner == [] or "additionalProperties" in below:
                    continue
            made[key] = told(inner, sc.child(node, key)) if isinstance(inner, dict | list) else inner
        return made
    if isinstance(value, list):
        inner_node = sc.item(node)
        return [told(inner, inner_node) if isinstance(inner, dict | list) else inner for inner in value]
    return value


def unknown(kind: Kind, obj: Obj, node: dict[str, Any], how: How) -> None:
    """Refuse or warn of unknown fields, as asked."""
    if how.validation == "Ignore" or how.controller:
        return
    found = [f'unknown field "{each}"' for each in validate.unknown_fields(obj, node)]
    if not found:
        return
    if how.validation == "Warn":
        how.warnings.extend(found)
        return
    raise _unfit(kind, "strict decoding error: " + ", ".join(found))


def _unfit(kind: Kind, why: str) -> Exception:
    return bad_request(f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {why}')


def _right_kind(kind: Kind, body: Obj) -> None:
    sent_version, sent_kind = body.get("apiVersion"), body.get("kind")
    if sent_kind in (None, kind.kind) and sent_version in (None, kind.api_version):
        return
    if kind.custom:
        raise bad_request(
            f"the API version in the data ({sent_version}) does not match the expected API version ({kind.api_version})"
            if sent_kind == kind.kind
            else f"the kind in the data ({sent_kind}) does not match the expected kind ({kind.kind})"
        )
    if sent_kind == kind.kind:
        told = f'no kind "{sent_kind}" is registered for version "{sent_version}" in scheme "pkg/runtime/scheme.go:110"'
        shown = str(sent_version).rpartition("/")[2]
        raise bad_request(f'{sent_kind} in version "{shown}" cannot be handled as a {kind.kind}: {told}')
    title = str(sent_kind)
    version = str(sent_version or "").rpartition("/")[2]
    raise bad_request(
        f'{title} in version "{version}" cannot be handled as a {kind.kind}: converting (v1.{title}) to (core.{kind.kind}): '
        "unknown conversion"
    )


GO = {
    "string": "string",
    "boolean": "bool",
    "array": "array",
    "object": "object",
    "integer": "number",
    "number": "number",
}


def mistyped(value: Any, node: dict[str, Any], path: str = "", struct: str = "") -> Iterator[str]:
    """Yield what Go's JSON decoder would say of values of the wrong type."""
    wanted = node.get("type")
    if value is None or wanted is None or node.get("x-kubernetes-preserve-unknown-fields"):
        return
    if node.get("format") == "int-or-string" or (isinstance(value, dict) and wanted != "object"):
        if isinstance(value, dict | list) and wanted in ("string", "integer", "boolean"):
            yield f"{_go_name(value)} into Go struct field {struct}.{path} of type {_go_type(node)}"
        return
    kinds = validate.TYPES[wanted]
    if not isinstance(value, kinds) or (isinstance(value, bool) and wanted != "boolean"):
        if wanted == "string" and isinstance(value, int | float) and not isinstance(value, bool) and node.get("format"):
            return
        yield f"{_go_name(value)} into Go struct field {struct}.{path} of type {_go_type(node)}"
    elif isinstance(value, dict):
        properties = node.get("properties") or {}
        more = node.get("additionalProperties")
        for key, inner in value.items():
            if key in properties or isinstance(more, dict):
                below = sc.child(node, key)
                name = _struct(node) or struct
                yield from mistyped(inner, below, f"{path}.{key}" if path else key, name)
    elif isinstance(value, list):
        below = sc.item(node)
        for inner in value:
            yield from mistyped(inner, below, path, struct)


def _struct(node: dict[str, Any]) -> str:
    return sc.name_of(node).rpartition(".")[2]


def _go_name(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def _go_type(node: dict[str, Any]) -> str:
    match node.get("type"):
        case "integer":
            return str(node.get("format") or "int32")
        case "boolean":
            return "bool"
        case "array":
            inner = sc.item(node)
            name = sc.name_of(inner)
            return f"[]v1.{name.rpartition('.')[2]}" if name else f"[]{_go_type(inner)}"
        case "object":
            name = sc.name_of(node)
            return f"v1.{name.rpartition('.')[2]}" if name else "map[string]string"
        case _:
            return "string"


def go_map(value: Any) -> str:
    """Write a value as Go prints a map."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{go_map(inner)}" for key, inner in sorted(value.items())) + "]"
    if isinstance(value, list):
        return "[" + " ".join(go_map(each) for each in value) + "]"
    return "<nil>" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def parsed(body: bytes, content: str, kind: str = "Status") -> Any:
    """Read a body as JSON or YAML. Raises Refusal."""
    if content == protobuf.CONTENT:
        return protobuf.decoded(body)
    try:
        return json.loads(body)
    except ValueError as error:
        if "yaml" not in content:
            shown = body[:400].decode(errors="replace")
            ended = not body or body.count(b"{") != body.count(b"}")
            why = "unexpected end of JSON input" if ended else str(error)
            told = f"couldn't get version/kind; json parse error: {why} ({shown})"
            raise bad_request(f"the object provided is unrecognized (must be of type {kind}): {told}") from None
    import yaml

    try:
        return yaml.load(body, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe loaders
    except (yaml.YAMLError, ValueError) as error:
        raise bad_request(f"error decoding YAML: {error}") from None
