"""OpenAPI v3 documents: enough for kubectl to explain, to validate and to know what the server can do."""

from __future__ import annotations

import hashlib
from typing import Any

from meshup.simulate.api.kinds import Kind, shape
from meshup.simulate.api.registry import Registry
from meshup.simulate.api.store import Obj

PARAMETERS = [
    {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
    for name in ("dryRun", "fieldManager", "fieldValidation")
]
CONTENTS = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)


def paths(registry: Registry) -> list[str]:
    """Give the group versions that have a document: "api/v1", "apis/apps/v1"."""
    return list(dict.fromkeys(each.version_path.strip("/") for each in registry.all()))


def index(registry: Registry) -> Obj:
    """Give the document of documents."""
    found = {}
    for each in paths(registry):
        kinds = sorted(f"{kind.plural}:{kind.custom}" for kind in registry.all() if kind.version_path == f"/{each}")
        digest = hashlib.sha256(",".join(kinds).encode()).hexdigest()[:32].upper()
        found[each] = {"serverRelativeURL": f"/openapi/v3/{each}?hash={digest}"}
    return {"paths": found}


def document(registry: Registry, path: str) -> Obj | None:
    """Give one group version's document, None when it is not served."""
    kinds = [each for each in registry.all() if each.version_path == f"/{path}"]
    if not kinds:
        return None
    recorded = shape("openapi.json.gz").get(path)
    schemas: dict[str, Any]
    if recorded is not None:
        schemas = recorded["components"]["schemas"]
    else:
        meta = "io.k8s.apimachinery.pkg.apis.meta.v1"
        core = shape("openapi.json.gz")["api/v1"]["components"]["schemas"]
        schemas = {name: body for name, body in core.items() if name.startswith(meta)}
        for kind in kinds:
            schemas |= _custom(registry, kind)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.34.4+meshup-simulator"},
        "paths": _paths(kinds),
        "components": {"schemas": schemas},
    }


def _custom(registry: Registry, kind: Kind) -> dict[str, Any]:
    domain = ".".join(reversed(kind.group.split(".")))
    name = f"{domain}.{kind.version}.{kind.kind}"
    body = dict(registry.schema(kind))
    reference = {"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}
    body["properties"] = {**(body.get("properties") or {}), "metadata": {"allOf": [reference]}}
    body["x-kubernetes-group-version-kind"] = [{"group": kind.group, "version": kind.version, "kind": kind.kind}]
    return {name: body}


def _paths(kinds: list[Kind]) -> Obj:
    found: Obj = {}
    for kind in kinds:
        where = f"{kind.version_path}/namespaces/{{namespace}}" if kind.namespaced else kind.version_path
        gvk = {"group": kind.group, "version": kind.version, "kind": kind.kind}
        common = {"x-kubernetes-group-version-kind": gvk, "parameters": PARAMETERS, "responses": {}}
        contents = {
            each: {"schema": {"type": "object"}} for each in CONTENTS if not (kind.custom and "strategic" in each)
        }
        if "create" in kind.verbs:
            found[f"{where}/{kind.plural}"] = {
                "get": {"x-kubernetes-action": "list", "x-kubernetes-group-version-kind": gvk, "responses": {}},
                "post": {"x-kubernetes-action": "post", **common},
            }
        if "patch" in kind.verbs:
            found[f"{where}/{kind.plural}/{{name}}"] = {
                "get": {"x-kubernetes-action": "get", "x-kubernetes-group-version-kind": gvk, "responses": {}},
                "put": {"x-kubernetes-action": "put", **common},
                "patch": {"x-kubernetes-action": "patch", **common, "requestBody": {"content": contents}},
                "delete": {"x-kubernetes-action": "delete", **common},
            }
    return found
