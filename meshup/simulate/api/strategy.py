"""What differs by kind when an object is stored: status, generation, fields the server writes itself."""

from __future__ import annotations

from meshup.simulate.api import definitions
from meshup.simulate.api.kinds import Kind
from meshup.simulate.api.pod_defaults import fresh_status
from meshup.simulate.api.store import Obj, copied

FIXED = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "selfLink",
    "resourceVersion",
)
"""Metadata that only the server writes."""
GENERATED = frozenset(
    {
        "Pod",
        "Deployment",
        "ReplicaSet",
        "StatefulSet",
        "DaemonSet",
        "ReplicationController",
        "Job",
        "CronJob",
        "PodDisruptionBudget",
        "Ingress",
        "IngressClass",
        "NetworkPolicy",
        "CustomResourceDefinition",
        "MutatingWebhookConfiguration",
        "ValidatingWebhookConfiguration",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "PriorityClass",
        "EndpointSlice",
    }
)
EMPTY: dict[str, Obj] = {
    "Deployment": {},
    "ReplicaSet": {"replicas": 0},
    "ReplicationController": {"replicas": 0},
    "StatefulSet": {"replicas": 0, "availableReplicas": 0},
    "DaemonSet": {"currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0},
    "ValidatingAdmissionPolicy": {},
    "Job": {},
    "CronJob": {},
    "Service": {"loadBalancer": {}},
    "Ingress": {"loadBalancer": {}},
    "HorizontalPodAutoscaler": {"desiredReplicas": 0, "currentMetrics": None},
    "PodDisruptionBudget": {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0},
    "PersistentVolumeClaim": {"phase": "Pending"},
    "ResourceQuota": {},
    "Namespace": {"phase": "Active"},
}
"""What a status says before a controller has looked."""
POD = frozenset({"Pod", "Node"})


def status_apart(kind: Kind) -> bool:
    """Tell whether status has a path of its own, so that the main one cannot write it."""
    return "status" in kind.subresources


def has_generation(kind: Kind) -> bool:
    """Tell whether a kind counts changes of its spec."""
    return kind.custom or kind.kind in GENERATED


def spec_of(kind: Kind, obj: Obj) -> Obj:
    """Give what a change of bumps the generation."""
    if kind.custom or kind.kind.endswith(("Configuration", "Class", "Slice")):
        apart = ("metadata", "kind", "apiVersion", *(("status",) if status_apart(kind) else ()))
        return {key: value for key, value in obj.items() if key not in apart}
    found: Obj = obj.get("spec") or {}
    return found


def fresh(kind: Kind, obj: Obj, *, keep_status: bool) -> Obj:
    """Give a new object what the server writes into it. keep_status: of controllers that know it already."""
    if kind.custom or (keep_status and "status" in obj):
        return obj
    if kind.kind == "Pod":
        return {**obj, "status": fresh_status(obj)}
    if kind.kind == "Job":
        obj = _job(obj)
    if kind.key == definitions.KEY:
        stored = [each["name"] for each in obj["spec"].get("versions") or () if each.get("storage")]
        empty = {"plural": "", "kind": ""}
        return {**obj, "status": {"conditions": None, "acceptedNames": empty, "storedVersions": stored}}
    if kind.kind == "Namespace":
        spec = {**(obj.get("spec") or {}), "finalizers": ["kubernetes"]}
        return {**obj, "spec": spec, "status": {"phase": "Active"}}
    if kind.kind in EMPTY:
        return {**obj, "status": copied(EMPTY[kind.kind])}
    return obj


def _job(obj: Obj) -> Obj:
    """Give a Job the labels and the selector that tie its pods to it."""
    spec, meta = dict(obj["spec"]), obj["metadata"]
    if spec.get("manualSelector"):
        return obj
    labels = {
        "batch.kubernetes.io/controller-uid": meta["uid"],
        "batch.kubernetes.io/job-name": meta["name"],
        "controller-uid": meta["uid"],
        "job-name": meta["name"],
    }
    template = dict(spec["template"])
    inner = dict(template.get("metadata") or {})
    inner["labels"] = {**(inner.get("labels") or {}), **labels}
    template["metadata"] = inner
    selector = {"matchLabels": {"batch.kubernetes.io/controller-uid": meta["uid"]}}
    own = meta.get("labels") or inner["labels"]
    return {**obj, "metadata": {**meta, "labels": own}, "spec": {**spec, "selector": selector, "template": template}}


def with_generated_spec(kind: Kind, old: Obj, new: Obj) -> Obj:
    """Keep what the server once wrote into a spec when an update leaves it out."""
    if kind.kind == "Service" and new["spec"].get("type") != "ExternalName":
        names = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")
        kept = {each: old["spec"][each] for each in names if each in old["spec"]}
        return {**new, "spec": {**kept, **new["spec"]}}
    if kind.kind == "Job" and "selector" in old.get("spec", {}):
        return {**new, "spec": {"selector": old["spec"]["selector"], **new["spec"]}}
    return new


def prepared(kind: Kind, old: Obj, new: Obj, *, sub: str, controller: bool) -> Obj:
    """Keep apart what the main path and the status path may write."""
    if sub == "status":
        made = {**old, "metadata": {**old["metadata"]}}
        if kind.kind in POD:
            made["metadata"] = new["metadata"]
        made.pop("status", None)
        return {**made, **({"status": new["status"]} if "status" in new else {})}
    if status_apart(kind) and not controller:
        new = {key: value for key, value in new.items() if key != "status"}
        if "status" in old:
            new["status"] = old["status"]
    return new


def same(old: Obj, new: Obj) -> bool:
    """Tell whether a write changes nothing but times of ownership: then nothing is stored."""

    def bare(obj: Obj) -> Obj:
        meta = {key: value for key, value in obj["metadata"].items() if key not in ("resourceVersion", "managedFields")}
        owners = [
            {key: value for key, value in each.items() if key != "time"}
            for each in obj["metadata"].get("managedFields") or ()
        ]
        return {**obj, "metadata": {**meta, "owners": owners}}

    return bare(old) == bare(new)
