"""What another schema of a definition would drop of an object that is stored, and what it would refuse; pure.

Only fields that the schema knows are kept by a server (structural schemas, kubernetes.io, "field pruning"). Rules in CEL
(x-kubernetes-validations) and formats are not evaluated here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from meshup.model.objects import Object, dig, is_map

OWN = frozenset({"apiVersion", "kind", "metadata", "status"})
"""What no definition's spec is about, or what the control plane writes again by itself."""
TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (Mapping,),
    "array": (list, tuple),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}


def schema_of(definition: Object, version: str) -> Object | None:
    """Give the schema of one version of a definition; None when it has no such version, {} when it says nothing."""
    for each in dig(definition, "spec", "versions") or ():
        if each.get("name") == version:
            return dig(each, "schema", "openAPIV3Schema") or {}
    return None


def dropped(obj: Object, schema: Object) -> Iterator[str]:
    """Yield the paths of an object's fields that a schema does not know, outermost first."""
    for key, value in obj.items():
        if key not in OWN:
            yield from _dropped({key: value}, schema, "")


def _dropped(value: Any, schema: Object, path: str) -> Iterator[str]:
    if is_map(value):
        known, rest = schema.get("properties") or {}, schema.get("additionalProperties")
        kept = bool(schema.get("x-kubernetes-preserve-unknown-fields")) or rest is True
        kept = kept or not ("type" in schema or known or rest)
        embedded = OWN if schema.get("x-kubernetes-embedded-resource") else frozenset()
        for key, inner in value.items():
            at = f"{path}.{key}" if path else str(key)
            if key in known:
                yield from _dropped(inner, known[key], at)
            elif is_map(rest):
                yield from _dropped(inner, rest, at)
            elif not kept and key not in embedded:
                yield at
    elif isinstance(value, list):
        items = schema.get("items") or {}
        for number, inner in enumerate(value):
            yield from _dropped(inner, items, f"{path}[{number}]")


def refused(obj: Object, schema: Object) -> Iterator[tuple[str, str]]:
    """Yield (path, why) of every value that a schema refuses."""
    yield from _refused({key: value for key, value in obj.items() if key not in OWN}, schema, "")


def _refused(value: Any, schema: Object, path: str) -> Iterator[tuple[str, str]]:
    if value is None:
        if path and not schema.get("nullable") and schema.get("type"):
            yield path, "it may not be null"
        return
    kind = str(schema.get("type") or "")
    if kind and not schema.get("x-kubernetes-int-or-string") and not _is(value, kind):
        yield path, f"it must be {kind}"
        return
    why = _bounds(value, schema)
    if why:
        yield path, why
    if is_map(value):
        known, rest = schema.get("properties") or {}, schema.get("additionalProperties")
        for each in schema.get("required") or ():
            if each not in value and each not in OWN:
                yield f"{path}.{each}" if path else str(each), "it is needed"
        for key, inner in value.items():
            below = known.get(key, rest if is_map(rest) else None)
            if below is not None:
                yield from _refused(inner, below, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _refused(inner, schema.get("items") or {}, f"{path}[{number}]")
    yield from _together(value, schema, path)


def _together(value: Any, schema: Object, path: str) -> Iterator[tuple[str, str]]:
    """Yield what the schema's allOf, anyOf, oneOf and not refuse."""

    def fits(each: Object) -> bool:
        return next(_refused(value, each, path), None) is None

    for each in schema.get("allOf") or ():
        yield from _refused(value, each, path)
    if schema.get("anyOf") and not any(fits(each) for each in schema["anyOf"]):
        yield path, "it fits none of several forms"
    if schema.get("oneOf") and sum(fits(each) for each in schema["oneOf"]) != 1:
        yield path, "it fits none or several of forms that exclude each other"
    if schema.get("not") and fits(schema["not"]):
        yield path, "it has a form that is excluded"


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, TYPES.get(kind, (object,)))


def _bounds(value: Any, schema: Object) -> str:
    """Say which bound of a schema a value is outside of, "" = none."""
    if schema.get("enum") and value not in schema["enum"]:
        return f"{value!r} is none of {', '.join(map(str, schema['enum']))}"
    least, most = schema.get("minimum"), schema.get("maximum")
    if isinstance(value, int | float) and not isinstance(value, bool):
        if (least is not None and value < least) or (most is not None and value > most):
            return f"{value} is not from {least} to {most}"
        return ""
    for low, high, of in (("minLength", "maxLength", str), ("minItems", "maxItems", Sequence)):
        if (
            isinstance(value, of)
            and (isinstance(value, str) is (of is str))
            and _outside(len(value), schema, low, high)
        ):
            return f"its length {len(value)} is out of bounds"
    if is_map(value) and _outside(len(value), schema, "minProperties", "maxProperties"):
        return f"it has {len(value)} keys, which is out of bounds"
    if isinstance(value, str) and schema.get("pattern") and not _matches(str(schema["pattern"]), value):
        return f"it does not match {schema['pattern']}"
    return ""


def _outside(length: int, schema: Object, low: str, high: str) -> bool:
    return length < int(schema.get(low) or 0) or (schema.get(high) is not None and length > int(schema[high]))


def _matches(pattern: str, value: str) -> bool:
    """Match as RE2 does; a pattern that only RE2 knows refuses nothing here."""
    try:
        return re.search(pattern, value) is not None
    except re.error:
        return True
