"""What a schema refuses: unknown fields, wrong types, values out of bounds, bad names and labels."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from meshup.simulate.api import schema as sc
from meshup.simulate.api.problems import cause
from meshup.simulate.api.store import Obj

SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end "
    "with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with "
    "an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
FREE_NAMES = frozenset(
    {("rbac.authorization.k8s.io", kind) for kind in ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")}
)


def unknown_fields(value: Any, node: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yield the paths of fields that the schema does not have, as strict decoding names them."""
    if isinstance(value, dict):
        struct = sc.is_struct(node)
        for key, inner in value.items():
            at = f"{path}.{key}" if path else key
            if struct and key not in node["properties"]:
                yield at
            else:
                yield from unknown_fields(inner, sc.child(node, key), at)
    elif isinstance(value, list):
        inner_node = sc.item(node)
        for number, inner in enumerate(value):
            yield from unknown_fields(inner, inner_node, f"{path}[{number}]")


def _free(node: dict[str, Any]) -> bool:
    """Tell whether a schema says nothing of what is inside, as for raw JSON."""
    return "type" not in node and "properties" not in node and "additionalProperties" not in node


def pruned(value: Any, node: dict[str, Any], *, top: bool = True) -> Any:
    """Drop what a structural schema does not know."""
    if isinstance(value, dict):
        if _free(node) or (node.get("x-kubernetes-preserve-unknown-fields") and not node.get("properties")):
            return value
        keep_all = bool(node.get("x-kubernetes-preserve-unknown-fields"))
        if node.get("x-kubernetes-embedded-resource") or top:
            kept = {"apiVersion", "kind", "metadata"}
        else:
            kept = set()
        properties = node.get("properties") or {}
        more = node.get("additionalProperties")
        result = {}
        for key, inner in value.items():
            if key in properties:
                result[key] = inner if key in kept else pruned(inner, sc.child(node, key), top=False)
            elif isinstance(more, dict):
                result[key] = pruned(inner, sc.resolved(more), top=False)
            elif more is True or keep_all or key in kept:
                result[key] = inner
        return result
    if isinstance(value, list):
        return [pruned(each, sc.item(node), top=False) for each in value]
    return value


TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


def by_schema(value: Any, node: dict[str, Any], path: str) -> Iterator[dict[str, str]]:
    """Yield what a custom definition's schema finds wrong."""
    wanted = node.get("type")
    if node.get("x-kubernetes-int-or-string"):
        if not isinstance(value, int | str) or isinstance(value, bool):
            yield _of_type(value, "integer,string", path)
        return
    if value is None and node.get("nullable"):
        return
    if wanted in TYPES and (not isinstance(value, TYPES[wanted]) or (isinstance(value, bool) and wanted != "boolean")):
        yield _of_type(value, str(wanted), path)
        return
    if "enum" in node and value not in node["enum"]:
        listed = ", ".join(f'"{each}"' for each in node["enum"])
        yield cause("FieldValueNotSupported", f'Unsupported value: "{value}": supported values: {listed}', path)
    yield from _bounds(value, node, path)
    if isinstance(value, dict):
        for name in node.get("required", ()):
            if name not in value:
                yield cause("FieldValueRequired", "Required value", f"{path}.{name}" if path else name)
        for key, inner in value.items():
            if key in (node.get("properties") or {}) or isinstance(node.get("additionalProperties"), dict):
                yield from by_schema(inner, sc.child(node, key), f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        yield from _unique(value, node, path)
        for number, inner in enumerate(value):
            yield from by_schema(inner, sc.item(node), f"{path}[{number}]")


def _of_type(value: Any, wanted: str, path: str) -> dict[str, str]:
    message = f'Invalid value: "{_type(value)}": {path} in body must be of type {wanted}: "{_type(value)}"'
    return cause("FieldValueTypeInvalid", message, path)


def _unique(value: list[Any], node: dict[str, Any], path: str) -> Iterator[dict[str, str]]:
    """Yield items that a set or an associative list has twice."""
    keys = sc.list_keys(node)
    if not keys and not sc.is_set(node):
        return
    seen: set[str] = set()
    for number, each in enumerate(value):
        named = {key: each.get(key) for key in keys} if keys and isinstance(each, dict) else each
        shown = json.dumps(named, separators=(",", ":"))
        if shown in seen:
            yield cause("FieldValueDuplicate", f"Duplicate value: {shown}", f"{path}[{number}]")
        seen.add(shown)


def _bounds(value: Any, node: dict[str, Any], path: str) -> Iterator[dict[str, str]]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if "minimum" in node and value < node["minimum"]:
            message = f"Invalid value: {value}: {path} in body should be greater than or equal to {node['minimum']}"
            yield cause("FieldValueInvalid", message, path)
        if "maximum" in node and value > node["maximum"]:
            message = f"Invalid value: {value}: {path} in body should be less than or equal to {node['maximum']}"
            yield cause("FieldValueInvalid", message, path)
    if isinstance(value, str):
        if "pattern" in node and not re.search(node["pattern"], value):
            yield cause(
                "FieldValueInvalid",
                f"Invalid value: \"{value}\": {path} in body should match '{node['pattern']}'",
                path,
            )
        if "maxLength" in node and len(value) > node["maxLength"]:
            yield cause("FieldValueTooLong", f"Too long: may not be more than {node['maxLength']} bytes", path)
        if "minLength" in node and len(value) < node["minLength"]:
            message = f'Invalid value: "{value}": {path} in body should be at least {node["minLength"]} chars long'
            yield cause("FieldValueInvalid", message, path)
    if isinstance(value, list) and len(value) > node.get("maxItems", len(value)):
        yield cause("FieldValueTooMany", f"Too many: {len(value)}: must have at most {node['maxItems']} items", path)


def _type(value: Any) -> str:
    return next(
        (
            name
            for name, kinds in TYPES.items()
            if isinstance(value, kinds) and not (isinstance(value, bool) and name != "boolean")
        ),
        "null",
    )


def metadata(obj: Obj, group: str, kind: str) -> Iterator[dict[str, str]]:
    """Yield what is wrong with name, labels and annotations."""
    meta = obj.get("metadata") or {}
    name = str(meta.get("name", ""))
    if not name:
        yield cause("FieldValueRequired", "Required value: name or generateName is required", "metadata.name")
    elif (group, kind) in FREE_NAMES:
        if "/" in name or "%" in name or name in (".", ".."):
            yield cause("FieldValueInvalid", f"Invalid value: \"{name}\": may not contain '/'", "metadata.name")
    elif len(name) > 253 or not SUBDOMAIN.fullmatch(name):
        yield cause("FieldValueInvalid", f'Invalid value: "{name}": {SUBDOMAIN_TEXT}', "metadata.name")
    yield from labels(meta.get("labels") or {}, "metadata.labels")
    size = sum(len(key) + len(str(value)) for key, value in (meta.get("annotations") or {}).items())
    if size > LARGEST_NOTES:
        yield cause(
            "FieldValueTooLong", f"Too long: may not be more than {LARGEST_NOTES} bytes", "metadata.annotations"
        )
    yield from _owners(meta.get("ownerReferences") or ())
    for number, each in enumerate(meta.get("finalizers") or ()):
        yield from _finalizer(str(each), number)


LARGEST_NOTES = 256 * 1024
STANDARD_FINALIZERS = frozenset({"kubernetes", "orphan", "foregroundDeletion"})
QUALIFIED = re.compile(r"(?:[^/]+/)?([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
QUALIFIED_TEXT = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


def _finalizer(name: str, number: int) -> Iterator[dict[str, str]]:
    if not QUALIFIED.fullmatch(name):
        yield cause("FieldValueInvalid", f'Invalid value: "{name}": {QUALIFIED_TEXT}', "metadata.finalizers")
    if "/" not in name and name not in STANDARD_FINALIZERS:
        why = "name is neither a standard finalizer name nor is it fully qualified"
        yield cause("FieldValueInvalid", f'Invalid value: "{name}": {why}', f"metadata.finalizers[{number}]")


def _owners(several: Sequence[dict[str, Any]]) -> Iterator[dict[str, str]]:
    at = "metadata.ownerReferences"
    for each in several:
        for key in ("apiVersion", "kind", "name", "uid"):
            if not each.get(key):
                yield cause("FieldValueInvalid", 'Invalid value: "": must not be empty', f"{at}.{key}")
    leading = [each for each in several if each.get("controller")]
    if len(leading) > 1:
        first, second = leading[:2]
        shown = json.dumps(list(several), separators=(",", ":"))
        told = f'"true" in references for {first["kind"]}/{first["name"]} and {second["kind"]}/{second["name"]}'
        why = f"Only one reference can have Controller set to true. Found {told}"
        yield cause("FieldValueInvalid", f"Invalid value: {shown}: {why}", at)


def labels(found: dict[str, Any], path: str) -> Iterator[dict[str, str]]:
    """Yield what is wrong with labels."""
    for key, value in found.items():
        if key.startswith("/"):
            yield cause("FieldValueInvalid", f'Invalid value: "{key}": prefix part must be non-empty', path)
        text = str(value)
        if len(text) > 63:
            yield cause("FieldValueInvalid", f'Invalid value: "{text}": must be no more than 63 bytes', path)
        elif not LABEL_VALUE.fullmatch(text):
            yield cause("FieldValueInvalid", f'Invalid value: "{text}": {LABEL_TEXT}', path)


def metadata_change(obj: Obj, old: Obj) -> Iterator[dict[str, str]]:
    """Yield what may not change in metadata: finalizers are not added to what is being deleted."""
    if not old["metadata"].get("deletionTimestamp"):
        return
    before = old["metadata"].get("finalizers") or ()
    new = [each for each in obj["metadata"].get("finalizers") or () if each not in before]
    if new:
        listed = ", ".join(f'"{each}"' for each in new)
        message = (
            "Forbidden: no new finalizers can be added if the object is being deleted, "
            f"found new finalizers []string{{{listed}}}"
        )
        yield from [cause("FieldValueForbidden", message, "metadata.finalizers")] * 2  # the real server says it twice
