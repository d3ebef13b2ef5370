"""OpenAPI schemas of the built-in kinds and of custom definitions, behind one small node."""

from __future__ import annotations

from functools import cache
from typing import Any

from meshup.simulate.api.kinds import shape

ANY: dict[str, Any] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


@cache
def _definitions() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for document in shape("openapi.json.gz").values():
        for name, body in document["components"]["schemas"].items():
            found.setdefault(name, body)
    return found


@cache
def _by_kind() -> dict[tuple[str, str, str], str]:
    found: dict[tuple[str, str, str], str] = {}
    for name, body in _definitions().items():
        for gvk in body.get("x-kubernetes-group-version-kind", ()):
            if len(body.get("x-kubernetes-group-version-kind", ())) == 1:
                found[gvk["group"], gvk["version"], gvk["kind"]] = name
    return found


@cache
def _names() -> dict[int, str]:
    return {id(body): name for name, body in _definitions().items()}


def name_of(node: dict[str, Any]) -> str:
    """Give the name of a shared definition, "" for an inline schema."""
    return _names().get(id(node), "")


@cache
def _zeros() -> dict[str, frozenset[str]]:
    return {name: frozenset(several) for name, several in shape("omitted.json").items()}


def omitted_when_zero(node: dict[str, Any]) -> frozenset[str]:
    """Give the fields of a shared definition that are left out when they are "", 0 or false."""
    return _zeros().get(name_of(node), frozenset())


def built_in_schema(group: str, version: str, kind: str) -> dict[str, Any] | None:
    """Give the schema of a built-in kind; None when there is none."""
    name = _by_kind().get((group, version, kind))
    return _definitions()[name] if name is not None else None


def object_meta() -> dict[str, Any]:
    """Give the schema of metadata, the same for every kind."""
    return _definitions()["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"]


def resolved(node: dict[str, Any] | None) -> dict[str, Any]:
    """Follow references; gives ANY for a schema that says nothing."""
    if node is None:
        return ANY
    ref = _reference(node)
    return node if ref is None else _referenced(ref)


def _reference(node: dict[str, Any]) -> str | None:
    if "$ref" in node:
        return str(node["$ref"])
    if "allOf" in node and len(node["allOf"]) == 1 and "$ref" in node["allOf"][0]:
        return str(node["allOf"][0]["$ref"])
    return None


@cache
def _referenced(ref: str) -> dict[str, Any]:
    """Give the shared definition at the end of a chain of references, ANY when there is none."""
    for _ in range(10):
        node = _definitions().get(ref.rpartition("/")[2])
        if node is None:
            return ANY
        following = _reference(node)
        if following is None:
            return node
        ref = following
    return ANY


def child(node: dict[str, Any], key: str) -> dict[str, Any]:
    """Give the schema of one key of an object, resolved; ANY when the schema does not know it."""
    return resolved(raw_child(node, key))


def raw_child(node: dict[str, Any], key: str) -> dict[str, Any]:
    """Give the schema of one key as it stands, so that its default can be read."""
    properties = node.get("properties") or {}
    if key in properties:
        found: dict[str, Any] = properties[key]
        return found
    more = node.get("additionalProperties")
    return more if isinstance(more, dict) else ANY


def item(node: dict[str, Any]) -> dict[str, Any]:
    """Give the schema of a list's items, resolved."""
    return resolved(node.get("items"))


def is_atomic(node: dict[str, Any], value: Any) -> bool:
    """Tell whether a value is owned as a whole."""
    if isinstance(value, dict):
        return bool(node.get("x-kubernetes-map-type") == "atomic")
    if isinstance(value, list):
        return bool(node.get("x-kubernetes-list-type", "atomic") == "atomic")
    return True


def list_keys(node: dict[str, Any]) -> tuple[str, ...]:
    """Give the keys of an associative list, () for others."""
    return tuple(node.get("x-kubernetes-list-map-keys", ())) if node.get("x-kubernetes-list-type") == "map" else ()


def is_set(node: dict[str, Any]) -> bool:
    """Tell whether a list is a set of scalars."""
    return node.get("x-kubernetes-list-type") == "set"


def is_struct(node: dict[str, Any]) -> bool:
    """Tell whether a schema names its fields, so that an unknown one is a mistake."""
    return (
        "properties" in node
        and not node.get("additionalProperties")
        and not node.get("x-kubernetes-preserve-unknown-fields")
    )


TEMPLATES: dict[str, tuple[str, ...]] = {
    "Deployment": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicationController": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "PodTemplate": ("template",),
}
"""Where each kind keeps its pod template."""


def pod_template(obj: dict[str, Any]) -> dict[str, Any]:
    """Give the pod spec of a kind's template; empty when there is none."""
    found: Any = obj
    for step in TEMPLATES[obj["kind"]]:
        found = (found or {}).get(step)
    spec: dict[str, Any] = (found or {}).get("spec") or {}
    return spec
