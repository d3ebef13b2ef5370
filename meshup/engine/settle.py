"""Waiting for what a write set in motion: rollouts, definitions, webhooks, and objects on their way out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from meshup.cluster.errors import Forbidden
from meshup.cluster.ports import Reader
from meshup.engine.drift import read_all
from meshup.model.change import Apply, Change, Create, Delete, Label, Restart
from meshup.model.objects import TEMPLATE_PATH, Object, Ref, dig, matches
from meshup.model.rollout import rollout, trouble
from meshup.model.text import clean

ROLLED = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
REPLICAS = "/spec/replicas"
WEBHOOKS = frozenset({"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """done: nothing is in motion any more. object: what is waited for, "" when done. hopeless: waiting can't help.

    refused: its status says that a ReplicaSet of it could not make pods. late: the one it says is past the deadline.
    """

    done: bool
    because: str
    object: str = ""
    hopeless: bool = False
    refused: bool = False
    late: str = ""


def to_settle(changes: Sequence[Change]) -> tuple[Ref, ...]:
    """Name the objects whose own progress must end before what comes next may begin; one that is deleted after has none."""
    found: list[Ref] = []
    for change in changes:
        match change:
            case Apply() | Label() if has_fewer_pods(change):
                continue
            case Create() | Apply() if change.on.kind in ROLLED | WEBHOOKS | {"CustomResourceDefinition"}:
                found.append(change.on)
            case Label() if (change.restarts or REPLICAS in change.holds) and change.on.kind in ROLLED:
                found.append(change.on)
            case Restart() if change.on.kind in ROLLED:
                found.append(change.on)
            case Delete():
                found = [each for each in found if each != change.on]
            case _:
                continue
    return tuple(dict.fromkeys(found))


def has_fewer_pods(change: Apply | Label) -> bool:
    """Tell whether a change takes pods away and nothing more: those that stay need not be well for what comes next."""
    if isinstance(change, Label):
        old, new = change.holds_before.get(REPLICAS), change.holds.get(REPLICAS)
    else:
        old, new = (dig(each, "spec", "replicas") for each in (change.before or {}, change.body))
    return isinstance(old, int) and isinstance(new, int) and new < old


def settled(cluster: Reader, refs: Sequence[Ref], *, causes: bool = True) -> dict[Ref, Settled]:
    """Look once at each object: one list per kind. causes: look at pods too, for the true cause of what is not done.

    Pods are listed once per namespace, whatever the number of workloads that still move in it.
    """
    live = read_all(cluster, refs)
    found = {ref: _one(ref, live.get(ref)) for ref in refs}
    for ref in refs:
        if _is_of_the_past(cluster, found[ref], live.get(ref)):
            found[ref] = replace(found[ref], hopeless=False)
    moving = [ref for ref in refs if not found[ref].done and not found[ref].hopeless and ref.kind in ROLLED]
    if not causes or not moving:
        return found
    pods: dict[str, list[Object]] = {ref.namespace: [] for ref in moving}
    for namespace in pods:
        pods[namespace] = list(cluster.list("v1", "Pod", namespace=namespace))
    for ref in moving:
        cause = _cause(live[ref], pods[ref.namespace])
        if cause:
            because = clean(f"{found[ref].because}; {cause}", limit=400)
            found[ref] = replace(found[ref], because=because, hopeless=True)
    return found


def _one(ref: Ref, obj: Object | None) -> Settled:
    if obj is None:
        return Settled(done=False, because="it is not there any more", object=str(ref), hopeless=True)
    if ref.kind == "CustomResourceDefinition":
        conditions = {each.get("type"): each.get("status") for each in dig(obj, "status", "conditions") or ()}
        done = conditions.get("Established") == "True"
        return Settled(
            done=done, because="established" if done else "not established yet", object="" if done else str(ref)
        )
    if ref.kind in WEBHOOKS:
        empty = [
            str(each.get("name"))
            for each in obj.get("webhooks") or ()
            if dig(each, "clientConfig", "service") and not dig(each, "clientConfig", "caBundle")
        ]
        text = f"webhook {empty[0]} has no CA bundle yet" if empty else "has its CA bundle"
        return Settled(done=not empty, because=text, object=str(ref) if empty else "")
    state = rollout(obj)
    if state.done:
        return Settled(done=True, because=state.because)
    return Settled(
        done=False,
        because=clean(state.because, limit=400),
        object=str(ref),
        hopeless=state.hopeless,
        refused=state.refused,
        late=state.late,
    )


def _is_of_the_past(cluster: Reader, state: Settled, workload: Object | None) -> bool:
    """Tell whether what looks hopeless is said of a template that was just taken back, and not of the present one.

    A Deployment repeats what an older ReplicaSet says, that its pods are refused or that it passed its deadline, until
    that one has been looked at again.
    """
    if workload is None or not (state.refused or state.late):
        return False
    try:
        several = list(cluster.list("apps/v1", "ReplicaSet", namespace=str(dig(workload, "metadata", "namespace"))))
    except Forbidden:
        return False
    for each in several:
        owners = dig(each, "metadata", "ownerReferences") or ()
        if any(one.get("uid") == dig(workload, "metadata", "uid") for one in owners) and _same_template(each, workload):
            if state.late:
                return bool(dig(each, "metadata", "name") != state.late)
            conditions = dig(each, "status", "conditions") or ()
            return not any(one.get("type") == "ReplicaFailure" and one.get("status") == "True" for one in conditions)
    return True


def _same_template(replica_set: Object, workload: Object) -> bool:
    def plain(template: Object) -> Object:
        meta = {key: value for key, value in (template.get("metadata") or {}).items() if value is not None}
        labels = {key: value for key, value in (meta.get("labels") or {}).items() if key != "pod-template-hash"}
        return {**template, "metadata": {**meta, "labels": labels}}

    left, right = (plain(dig(each, "spec", "template") or {}) for each in (replica_set, workload))
    return bool(left == right)


def _cause(workload: Object, pods: Iterable[Object]) -> str:
    """Say what one of its pods suffers from, "" when none says so. Pods of an older template don't count."""
    selector = dig(workload, "spec", "selector")
    wanted = dig(workload, *TEMPLATE_PATH.get(str(workload.get("kind")), ("-",)), "metadata", "labels") or {}
    for pod in pods:
        found = dig(pod, "metadata", "labels") or {}
        if not matches(selector, found) or any(found.get(key) != value for key, value in wanted.items()):
            continue
        if dig(pod, "metadata", "deletionTimestamp"):
            continue
        suffers = trouble(pod)
        if suffers:
            return f"pod {dig(pod, 'metadata', 'name')}: {suffers}"
    return ""


def gone(cluster: Reader, changes: Sequence[Change]) -> list[Ref]:
    """Name deleted objects that are still there, on their way out."""
    wanted = [change.on for change in changes if isinstance(change, Delete)]
    return list(read_all(cluster, wanted)) if wanted else []
