"""Two states of a cluster compared field by field: what people wrote, without what the cluster itself makes of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

MADE_BY_OTHERS = frozenset(
    {
        # What controllers make of what people wrote; it follows from the objects that are compared.
        "Pod",
        "ReplicaSet",
        "ControllerRevision",
        "Endpoints",
        "EndpointSlice",
        "Event",
        "Lease",
        "Node",
        "CSINode",
        "ComponentStatus",
        "PodMetrics",
        "NodeMetrics",
        "Job",
    }
)
LEFT = {
    # Kept on purpose: the record, namespaces and definitions, which are never deleted by default.
    "namespace meshup-system and what is in it: journal, plans and pins are the record": lambda each: (
        "meshup-system" in each
    ),
    "a pin is the record of a rollback": lambda each: each.startswith("MeshPin "),
    "definitions are never deleted by default": lambda each: each.startswith(
        ("CustomResourceDefinition ", "APIService ")
    ),
    "namespaces are never deleted by default": lambda each: each.startswith("Namespace "),
    "what the cluster makes for every namespace": lambda each: (
        each.endswith(("/kube-root-ca.crt", "/default")) and each.startswith(("ConfigMap ", "ServiceAccount "))
    ),
    "the mesh's own certificates in every namespace": lambda each: each.endswith(
        ("/istio-ca-root-cert", "/istio-ca-crl")
    ),
    "what the mesh's control plane keeps for its elections": lambda each: "-leader" in each or "election" in each,
}
"""Reason -> which objects may be there that were not."""
MARKS = ("meshup.dev/run", "meshup.dev/step", "meshup.dev/epoch")
TIMES = frozenset({"resourceVersion", "generation", "managedFields", "creationTimestamp", "selfLink", "uid"})
COUNTED = frozenset({"deployment.kubernetes.io/revision", "control-plane.alpha.kubernetes.io/leader"})
"""Annotations that the cluster itself counts in."""


def snapshot(kubectl: Callable[..., str]) -> dict[str, Any]:
    """Give "Kind namespace/name" -> what people wrote there, for every kind that can be listed."""
    found: dict[str, Any] = {}
    for line in kubectl("api-resources", "--verbs=list", "--output=name").split():
        for each in json.loads(kubectl("get", line, "--all-namespaces", "--output=json", "--show-managed-fields"))[
            "items"
        ]:
            kind, meta = each["kind"], each["metadata"]
            if kind in MADE_BY_OTHERS:
                continue
            name = f"{meta['namespace']}/{meta['name']}" if meta.get("namespace") else meta["name"]
            found[f"{kind} {name}"] = _written(each)
    return found


def _written(each: Mapping[str, Any]) -> dict[str, Any]:
    meta = {key: value for key, value in each["metadata"].items() if key not in TIMES}
    notes = {key: value for key, value in (meta.get("annotations") or {}).items() if key not in COUNTED}
    meta = {**meta, "annotations": notes}
    managers = sorted(
        {entry["manager"] for entry in each["metadata"].get("managedFields", ()) if not entry.get("subresource")}
    )
    rest = {key: value for key, value in each.items() if key not in ("metadata", "status", "apiVersion", "kind")}
    return {"metadata": {key: value for key, value in meta.items() if value}, "managers": managers, **rest}


def written_by_people(one: Mapping[str, Any]) -> dict[str, Any]:
    """Give a workload of a snapshot without what meshup marks it with: annotations, and itself as a manager."""
    template = {**one["spec"]["template"], "metadata": {"labels": one["spec"]["template"]["metadata"].get("labels")}}
    notes = {key: value for key, value in one["metadata"].get("annotations", {}).items() if not key.startswith(MARKS)}
    managers = [each for each in one["managers"] if each != "meshup"]
    meta = {**one["metadata"], "annotations": notes}
    return {**one, "metadata": meta, "managers": managers, "spec": {**one["spec"], "template": template}}


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, str]:
    """Give object -> what differs; objects that may be left are out of it."""
    found: dict[str, str] = {}
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            found[name] = "is gone"
        elif name not in before:
            if not any(may(name) for may in LEFT.values()):
                found[name] = "was not there"
        elif before[name] != after[name]:
            found[name] = "; ".join(_fields(before[name], after[name], ""))[:600]
    return found


def _fields(one: Any, other: Any, at: str) -> list[str]:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        keys = sorted(one.keys() | other.keys())
        return [line for key in keys for line in _fields(one.get(key), other.get(key), f"{at}.{key}")]
    return [] if one == other else [f"{at}: {one!r} -> {other!r}"]
