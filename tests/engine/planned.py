"""What of a run's writes was in its plan: the oracle of a property, written against the plan and the wire alone."""

from __future__ import annotations

import json

from meshup.model.change import Apply, Create, Delete, Evict, Label, Restart

OWN = "/namespaces/meshup-system/"
RECORDS = (f"/api/v1{OWN}configmaps", f"/apis/coordination.k8s.io/v1{OWN}leases/meshup")
MARKS = {"meshup.dev/run", "meshup.dev/step", "meshup.dev/epoch"}
MANAGED = {"meshup.dev/managed-by": "meshup"}


def leaves(value, path=()):
    """Give path -> value of everything a body says; a list is one value."""
    if isinstance(value, dict) and value:
        found = {}
        for key, each in value.items():
            found.update(leaves(each, (*path, key)))
        return found
    return {path: value}


def is_record(request):
    """Tell whether a write is meshup's own record of the run: its namespace, Lease, journal, plan and guard's beat."""
    body = json.loads(request.body) if request.body else {}
    if request.path == "/api/v1/namespaces" or request.path == "/api/v1/namespaces/meshup-system":
        return body.get("metadata", {}).get("name") == "meshup-system"
    if any(request.path == each or request.path.startswith(f"{each}/") for each in RECORDS):
        return True
    beat = f"/apis/coordination.k8s.io/v1{OWN}leases"
    if request.path == beat:
        return body["metadata"]["name"] == "meshup"
    guard = request.path.startswith(f"{beat}/meshup-guard")
    return guard and set(leaves(body)) <= {("spec", "renewTime"), ("spec", "holderIdentity")}


def ways(plan):
    """Give every write that a plan allows: its changes and their inverses."""
    for each in plan.changes():
        yield each.change
        if each.inverse is not None:
            yield each.inverse


def surplus(request, plans):
    """Say what of a write is in none of the plans; "" when all of it is."""
    if is_record(request):
        return ""
    closest = f"{request.method} {request.path} is in no plan"
    body = json.loads(request.body) if request.body else {}
    for change in (each for plan in plans for each in ways(plan)):
        if _path(request) != _name(change.on):
            continue
        beyond = _beyond(request, body, change)
        if not beyond:
            return ""
        closest = f"{request.method} {request.path}: {beyond}"
    return closest


def _path(request):
    parts = request.path.strip("/").split("/")
    body = json.loads(request.body) if request.body else {}
    name = body.get("metadata", {}).get("name", "") if request.method == "POST" else parts[-1]
    namespace = parts[parts.index("namespaces") + 1] if "namespaces" in parts and len(parts) > 4 else ""
    plural = parts[-1] if request.method == "POST" else parts[-2]
    return plural, namespace, name


def _name(ref):
    return f"{ref.kind.lower()}s", ref.namespace, ref.name


def _beyond(request, body, change):
    """Say what a write of that object does that the change does not."""
    if isinstance(change, Delete | Evict):
        if request.method != "DELETE":
            return "it was to be deleted"
        uid = body.get("preconditions", {}).get("uid")
        return "" if uid and change.uid in ("", uid) else f"it is deleted whatever its UID is ({uid})"
    if request.method == "DELETE":
        return "it was not to be deleted"
    said = leaves(body)
    if isinstance(change, Label | Restart):
        wanted = _labels(change)
    else:
        assert isinstance(change, Apply | Create)
        wanted = leaves(dict(change.body))
    beyond = []
    for path, value in said.items():
        if path in (
            ("metadata", "uid"),
            ("metadata", "resourceVersion"),
            *((each,) for each in ("kind", "apiVersion")),
        ):
            continue
        if path[:1] == ("metadata",) and path[1:] in (("name",), ("namespace",)):
            continue
        if path[:2] == ("metadata", "annotations") and path[2] in MARKS:
            continue
        if path[:2] == ("metadata", "labels") and MANAGED.get(path[2]) == value:
            continue
        if path not in wanted or wanted[path] != value:
            beyond.append(f"{'.'.join(path)} = {value!r}, planned {wanted.get(path)!r}")
    if ("force", "true") in request.query and not getattr(change, "force", ()) and not isinstance(change, Label):
        beyond.append("it takes fields by force")
    return "; ".join(beyond)


def _labels(change):
    at = {(*change.at, key): value for key, value in change.set.items()} if isinstance(change, Label) else {}
    beside = (*change.at[:-1], "annotations") if isinstance(change, Label) else ()
    at.update({(*beside, key): value for key, value in getattr(change, "annotations", {}).items()})
    return at
