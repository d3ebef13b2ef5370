"""Kinds that custom definitions add."""

from __future__ import annotations

from typing import Any

from meshup.simulate.api import schema as sc
from meshup.simulate.api.kinds import Kind
from meshup.simulate.api.store import Obj, Store

KEY = ("apiextensions.k8s.io", "customresourcedefinitions")


def established(definition: Obj) -> bool:
    """Tell whether a definition is served."""
    conditions = (definition.get("status") or {}).get("conditions") or ()
    return any(each.get("type") == "Established" and each.get("status") == "True" for each in conditions)


def kinds_of(definition: Obj) -> list[Kind]:
    """Give the kinds of one definition, one per served version."""
    spec = definition["spec"]
    names = spec["names"]
    found = []
    for version in spec.get("versions") or ():
        if not version.get("served"):
            continue
        subs = frozenset(version.get("subresources") or ())
        found.append(
            Kind(
                group=spec["group"],
                version=version["name"],
                plural=names["plural"],
                kind=names["kind"],
                singular=names.get("singular", names["kind"].lower()),
                namespaced=spec["scope"] == "Namespaced",
                verbs=frozenset({"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}),
                subresources=subs,
                short=tuple(names.get("shortNames", ())),
                categories=tuple(names.get("categories", ())),
                custom=True,
            )
        )
    return found


def version_of(definition: Obj, version: str) -> Obj:
    """Give one version's block; empty when there is none."""
    found: Obj = next((each for each in definition["spec"].get("versions") or () if each["name"] == version), {})
    return found


def schema_of(definition: Obj, version: str) -> dict[str, Any]:
    """Give the schema of one version, metadata included."""
    body = (version_of(definition, version).get("schema") or {}).get("openAPIV3Schema") or dict(sc.ANY)
    properties = {**(body.get("properties") or {}), "metadata": sc.object_meta()}
    for name in ("apiVersion", "kind"):
        properties.setdefault(name, {"type": "string"})
    return {**body, "properties": properties}


def find(store: Store, group: str, plural: str) -> Obj | None:
    """Give the definition behind a resource; None for a built-in one."""
    return store.get(KEY, "", f"{plural}.{group}")


def ending(definition: Obj, time: str) -> Obj:
    """Give a definition that is being deleted, with the condition that says so."""
    status = definition.get("status") or {}
    condition = {
        "type": "Terminating",
        "status": "True",
        "lastTransitionTime": time,
        "reason": "InstanceDeletionPending",
        "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
    }
    return {**definition, "status": {**status, "conditions": [*(status.get("conditions") or ()), condition]}}


def accepted(definition: Obj, time: str) -> Obj:
    """Give a definition with its names accepted and served."""
    names = definition["spec"]["names"]
    stored = [each["name"] for each in definition["spec"].get("versions") or () if each.get("storage")]
    old = (definition.get("status") or {}).get("storedVersions") or []
    status = {
        "acceptedNames": names,
        "conditions": [
            {
                "type": "NamesAccepted",
                "status": "True",
                "lastTransitionTime": time,
                "reason": "NoConflicts",
                "message": "no conflicts found",
            },
            {
                "type": "Established",
                "status": "True",
                "lastTransitionTime": time,
                "reason": "InitialNamesAccepted",
                "message": "the initial names have been accepted",
            },
        ],
        "storedVersions": list(dict.fromkeys([*old, *stored])),
    }
    return {**definition, "status": status}
