"""Subresources that are no plain field: scale, eviction, binding, tokens, ends of namespaces."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from meshup.model.objects import dig, matches
from meshup.simulate.api import ages, definitions, jsonpath, reviews
from meshup.simulate.api.kinds import Kind
from meshup.simulate.api.patch import json_patch, merge_patch
from meshup.simulate.api.problems import Refusal, bad_request, cause, conflict, invalid, not_found, not_here
from meshup.simulate.api.store import Obj, Store
from meshup.simulate.api.writes import How, Writes

PODS = ("", "pods")
BUDGETS = ("policy", "poddisruptionbudgets")


def done() -> Obj:
    """Give the Status of a success that has no object."""
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def _found(store: Store, kind: Kind, namespace: str, name: str) -> Obj:
    obj = store.get(kind.key, namespace, name)
    if obj is None:
        raise not_found(kind.plural, kind.group, name)
    return obj


def scale_paths(store: Store, kind: Kind) -> tuple[str, str, str]:
    """Give the JSON paths of wished replicas, actual replicas and selector."""
    if not kind.custom:
        return ".spec.replicas", ".status.replicas", ""
    definition = definitions.find(store, kind.group, kind.plural)
    block = dig(definitions.version_of(definition, kind.version), "subresources", "scale") if definition else None
    if not block:
        raise not_here(f"scale of {kind.named}")
    return block["specReplicasPath"], block["statusReplicasPath"], block.get("labelSelectorPath", "")


def scale_of(store: Store, kind: Kind, namespace: str, name: str) -> Obj:
    """Give an object's Scale."""
    obj = _found(store, kind, namespace, name)
    wished, actual, selector = scale_paths(store, kind)
    meta = obj["metadata"]
    names = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status: Obj = {"replicas": jsonpath.first(obj, actual) or 0}
    shown = jsonpath.first(obj, selector) if selector else ages.selector(dig(obj, "spec", "selector"))
    if shown and shown != ages.NONE:
        status["selector"] = shown
    replicas = jsonpath.first(obj, wished) or 0
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {each: meta[each] for each in names if each in meta},
        "spec": {"replicas": replicas} if replicas else {},
        "status": status,
    }


def set_scale(writes: Writes, kind: Kind, namespace: str, name: str, sent: Any, how: How, content: str = "") -> Obj:
    """Write replicas through a Scale; content: of a patch, "" for a replacement."""
    store = writes.store
    before = scale_of(store, kind, namespace, name)
    if content == "application/json-patch+json":
        sent = json_patch(before, sent)
    elif content in ("application/merge-patch+json", "application/strategic-merge-patch+json"):
        sent = merge_patch(before, sent)
    elif content:
        raise not_here(f"{content} on scale")
    wanted = int(dig(sent, "spec", "replicas") or 0)
    if wanted < 0:
        message = f"Invalid value: {wanted}: must be greater than or equal to 0"
        raise invalid("Scale", "autoscaling", name, [cause("FieldValueInvalid", message, "spec.replicas")])
    version = dig(sent, "metadata", "resourceVersion")
    wished, _, _ = scale_paths(store, kind)
    change: Obj = {"metadata": {"resourceVersion": version}} if version else {}
    at = change
    *steps, last = wished.strip(".").split(".")
    for step in steps:
        at = at.setdefault(step, {})
    at[last] = wanted
    writes.patch(kind, namespace, name, change, "application/merge-patch+json", how, owned_as="scale")
    return scale_of(store, kind, namespace, name)


def evict(writes: Writes, namespace: str, name: str, body: Obj, how: How) -> Obj:
    """Delete a pod unless a disruption budget forbids it. Raises Refusal 429."""
    kind = writes.registry.named("pods")
    pod = _found(writes.store, kind, namespace, name)
    options = body.get("deleteOptions") or {}
    labels = pod["metadata"].get("labels") or {}
    found = [
        each for each in writes.store.list(BUDGETS, namespace) if matches(dig(each, "spec", "selector") or None, labels)
    ]
    ended = dig(pod, "status", "phase") in ("Succeeded", "Failed", "Pending") or pod["metadata"].get(
        "deletionTimestamp"
    )
    if len(found) > 1 and not ended:
        raise Refusal(
            500, "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        )
    for budget in found if not ended else ():
        allowed = int(dig(budget, "status", "disruptionsAllowed") or 0)
        title = budget["metadata"]["name"]
        if allowed < 1:
            status = budget.get("status") or {}
            told = f"{status.get('desiredHealthy', 0)} healthy pods and has {status.get('currentHealthy', 0)} currently"
            why = f"The disruption budget {title} needs {told}"
            refusal = Refusal(429, "Cannot evict pod as it would violate the pod's disruption budget.")
            refusal.details = {"causes": [{"reason": "DisruptionBudget", "message": why}]}
            raise refusal
        if not how.dry_run:
            status = {**(budget.get("status") or {}), "disruptionsAllowed": allowed - 1}
            writes.store.put(BUDGETS, {**budget, "status": status})
    if options.get("dryRun"):
        how = How(user=how.user, manager=how.manager, dry_run=True)
    writes.delete(kind, namespace, name, options, how)
    return done()


def bind(writes: Writes, namespace: str, name: str, body: Obj, how: How) -> Obj:
    """Put a pod on a node."""
    kind = writes.registry.named("pods")
    pod = _found(writes.store, kind, namespace, name)
    node = dig(body, "target", "name")
    if not node:
        raise invalid("Binding", "", name, [cause("FieldValueRequired", "Required value", "target.name")])
    held = dig(pod, "spec", "nodeName")
    if held:
        raise conflict("pods/binding", "", name, f'pod {name} is already assigned to node "{held}"')
    when = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": writes.time()}
    status = pod.get("status") or {}
    others = [each for each in status.get("conditions") or () if each["type"] != "PodScheduled"]
    if not how.dry_run:
        writes.store.put(
            PODS,
            {
                **pod,
                "spec": {**pod["spec"], "nodeName": node},
                "status": {**status, "conditions": [*others, when]},
            },
        )
    return done()


def token(writes: Writes, namespace: str, name: str, body: Obj, now: datetime) -> Obj:
    """Make a token of a service account."""
    account = _found(writes.store, writes.registry.named("serviceaccounts"), namespace, name)
    spec = dict(body.get("spec") or {})
    seconds = int(spec.get("expirationSeconds") or 3600)
    if seconds < 600:
        message = f"Invalid value: {seconds}: may not specify a duration less than 10 minutes"
        raise invalid(
            "TokenRequest",
            "authentication.k8s.io",
            name,
            [cause("FieldValueInvalid", message, "spec.expirationSeconds")],
        )
    meta = {"name": name, "namespace": namespace, "uid": account["metadata"]["uid"], "creationTimestamp": writes.time()}
    audiences = spec.get("audiences") or ["https://kubernetes.default.svc.cluster.local"]
    ends = (now + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": meta,
        "spec": {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": spec.get("boundObjectRef")},
        "status": {"token": reviews.token_for(account), "expirationTimestamp": ends},
    }


def finalize(writes: Writes, name: str, body: Obj) -> Obj:
    """Replace a namespace's own finalizers; the last one gone lets it end."""
    kind = writes.registry.named("namespaces")
    old = _found(writes.store, kind, "", name)
    if body.get("kind") not in (None, "Namespace"):
        raise bad_request("a Namespace is expected")
    new = {**old, "spec": {**(old.get("spec") or {}), "finalizers": dig(body, "spec", "finalizers") or []}}
    stored = writes.store.put(kind.key, new)
    if (
        old["metadata"].get("deletionTimestamp")
        and not new["spec"]["finalizers"]
        and not old["metadata"].get("finalizers")
    ):
        writes.store.remove(kind.key, "", name)
    return stored
