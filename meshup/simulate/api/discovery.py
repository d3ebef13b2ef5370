"""What the server says it serves: groups, resources, the aggregated document, versions."""

from __future__ import annotations

from collections.abc import Iterable

from meshup.simulate.api.kinds import Kind, shape
from meshup.simulate.api.registry import Registry
from meshup.simulate.api.store import Obj

AGGREGATED = "apidiscovery.k8s.io"
SUBKINDS = {
    "scale": ("autoscaling", "v1", "Scale"),
    "eviction": ("policy", "v1", "Eviction"),
    "token": ("authentication.k8s.io", "v1", "TokenRequest"),
}


def version() -> Obj:
    """Give /version: the real one's with our own name in it."""
    found: Obj = dict(shape("discovery.json")["/version"])
    found["gitVersion"] = f"{found['gitVersion']}+meshup-simulator"
    return found


def groups(registry: Registry) -> list[str]:
    """Give the named groups in order: the built-in ones as a real server has them, then custom ones."""
    order = [each["name"] for each in shape("discovery.json")["/apis"]["groups"]]
    served = {each.group for each in registry.all() if each.group}
    return [each for each in order if each in served] + sorted(served - set(order))


def versions(registry: Registry, group: str) -> list[str]:
    """Give a group's versions, the preferred one first."""
    return list(dict.fromkeys(each.version for each in registry.all() if each.group == group))


def group(registry: Registry, name: str) -> Obj:
    """Give one APIGroup, without kind and version."""
    found = [{"groupVersion": f"{name}/{each}", "version": each} for each in versions(registry, name)]
    return {"name": name, "versions": found, "preferredVersion": found[0]}


def _verbs(kind: Kind, sub: str) -> list[str]:
    if sub in ("status", "scale", "ephemeralcontainers", "resize"):
        return ["get", "patch", "update"]
    if sub == "finalize":
        return ["update"]
    if sub == "log":
        return ["get"]
    if sub == "proxy":
        return ["create", "delete", "get", "patch", "update"]
    if sub in ("attach", "exec", "portforward"):
        return ["create", "get"]
    return ["create"]


def resources(registry: Registry, group_name: str, version_name: str) -> Obj | None:
    """Give an APIResourceList, None when the version is not served."""
    path = f"/apis/{group_name}/{version_name}" if group_name else f"/api/{version_name}"
    recorded = shape("discovery.json").get(path)
    kinds = [each for each in registry.all() if (each.group, each.version) == (group_name, version_name)]
    if not kinds:
        return None
    name = f"{group_name}/{version_name}" if group_name else version_name
    head: Obj = {"kind": "APIResourceList", **({"apiVersion": "v1"} if group_name else {}), "groupVersion": name}
    if recorded is not None:
        return {**head, "resources": recorded["resources"]}
    found: list[Obj] = []
    for kind in kinds:
        entry: Obj = {
            "name": kind.plural,
            "singularName": kind.singular,
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"],
        }
        if kind.short:
            entry["shortNames"] = list(kind.short)
        if kind.categories:
            entry["categories"] = list(kind.categories)
        found.append(entry)
        for sub in sorted(kind.subresources, reverse=True):
            below: Obj = {
                "name": f"{kind.plural}/{sub}",
                "singularName": "",
                "namespaced": kind.namespaced,
                "kind": "Scale" if sub == "scale" else kind.kind,
                "verbs": _verbs(kind, sub),
            }
            if sub == "scale":
                below |= {"group": "autoscaling", "version": "v1"}
            found.append(below)
    return {**head, "resources": found}


def aggregated(registry: Registry, names: Iterable[str]) -> Obj:
    """Give an APIGroupDiscoveryList of those groups."""
    items = []
    for name in names:
        blocks = []
        for version_name in versions(registry, name):
            found = resources(registry, name, version_name) or {"resources": ()}
            blocks.append(
                {
                    "version": version_name,
                    "resources": _nested(name, version_name, found["resources"]),
                    "freshness": "Current",
                }
            )
        meta: Obj = {"name": name, "creationTimestamp": None} if name else {"creationTimestamp": None}
        items.append({"metadata": meta, "versions": blocks})
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def _nested(group_name: str, version_name: str, several: Iterable[Obj]) -> list[Obj]:
    found: dict[str, Obj] = {}
    for each in several:
        name, _, sub = each["name"].partition("/")
        of: Obj = {"group": each.get("group", ""), "version": each.get("version", ""), "kind": each["kind"]}
        if sub:
            below = {"subresource": sub, "responseKind": of, "verbs": each["verbs"]}
            if name in found:
                found[name].setdefault("subresources", []).append(below)
            continue
        entry: Obj = {
            "resource": name,
            "responseKind": of,
            "scope": "Namespaced" if each["namespaced"] else "Cluster",
            "singularResource": each.get("singularName", ""),
            "verbs": each["verbs"],
        }
        for key in ("shortNames", "categories"):
            if each.get(key):
                entry[key] = each[key]
        found[name] = entry
    return list(found.values())
