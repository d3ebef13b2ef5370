"""Parameters of admission policies: which objects a binding chooses, and what its absence means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from meshup.model.objects import matches
from meshup.simulate.api.kinds import Kind
from meshup.simulate.api.problems import cause
from meshup.simulate.api.registry import Registry
from meshup.simulate.api.store import Obj, Store


class Unserved(Exception):
    """The kind of the parameter is not served; the message is the server's."""


class Missing(Exception):
    """The binding denies without a parameter, and there is none."""


def chosen(store: Store, registry: Registry, policy: Obj, binding: Obj, namespace: str) -> list[Obj | None]:
    """Give the parameters that are asked one after the other; [None] when there are none to ask. Raises Unserved, Missing."""
    wanted = (policy.get("spec") or {}).get("paramKind")
    if not wanted:
        return [None]
    group, _, version = str(wanted["apiVersion"]).rpartition("/")
    kind = registry.of(group, version, str(wanted["kind"]))
    if kind is None:
        title = f"{wanted['apiVersion']}, Kind={wanted['kind']}"
        raise Unserved(f"failed to configure policy: failed to find resource referenced by paramKind: '{title}'")
    ref = (binding.get("spec") or {}).get("paramRef")
    if not ref:
        return [None]
    found: list[Obj | None] = list(_found(store, kind, ref, namespace))
    if found:
        return found
    if ref.get("parameterNotFoundAction") == "Deny":
        why = "no params found for policy binding with `Deny` parameterNotFoundAction"
        raise Missing(f"failed to configure binding: {why}")
    return []


def _found(store: Store, kind: Kind, ref: Obj, namespace: str) -> Iterator[Obj]:
    where = str(ref.get("namespace") or namespace) if kind.namespaced else ""
    if ref.get("name"):
        one = store.get(kind.key, where, str(ref["name"]))
        if one is not None:
            yield one
        return
    for each in store.list(kind.key, where):
        if matches(ref.get("selector") or {}, each["metadata"].get("labels") or {}):
            yield each


def kind_rules(kind: Any) -> Iterator[dict[str, str]]:
    """Yield what is wrong with the kind of a policy's parameters."""
    if kind is None:
        return
    for key in ("apiVersion", "kind"):
        if not kind.get(key):
            yield cause("FieldValueRequired", "Required value", f"spec.paramKind.{key}")


def ref_rules(ref: Any) -> Iterator[dict[str, str]]:
    """Yield what is wrong with a binding's choice of parameters."""
    if ref is None:
        return
    at = "spec.paramRef"
    if ref.get("name") and "selector" in ref:
        for key in ("name", "selector"):
            yield cause("FieldValueForbidden", "Forbidden: name and selector are mutually exclusive", f"{at}.{key}")
    if not ref.get("name") and "selector" not in ref:
        yield cause("FieldValueRequired", "Required value: one of name or selector must be specified", at)
    action = ref.get("parameterNotFoundAction")
    if not action:
        yield cause("FieldValueRequired", "Required value", f"{at}.parameterNotFoundAction")
    elif action not in ("Deny", "Allow"):
        message = f'Unsupported value: "{action}": supported values: "Deny", "Allow"'
        yield cause("FieldValueNotSupported", message, f"{at}.parameterNotFoundAction")
