"""Waiting for what a write set in motion: rollouts, definitions, webhooks, and objects on their way out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from meshup.cluster.ports import Reader
from meshup.engine.drift import read_all
from meshup.model.change import Apply, Change, Create, Delete, Label, Restart
from meshup.model.objects import TEMPLATE_PATH, Object, Ref, dig, matches
from meshup.model.rollout import rollout, trouble
from meshup.model.text import clean

ROLLED = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
WEBHOOKS = frozenset({"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """done: nothing is in motion any more. object: what is waited for, "" when done. hopeless: waiting can't help."""

    done: bool
    because: str
    object: str = ""
    hopeless: bool = False


def to_settle(changes: Sequence[Change]) -> tuple[Ref, ...]:
    """Name the objects whose own progress must end before what comes next may begin."""
    found: list[Ref] = []
    for change in changes:
        match change:
            case Create() | Apply() if change.on.kind in ROLLED | WEBHOOKS | {"CustomResourceDefinition"}:
                found.append(change.on)
            case Label() if change.restarts and change.on.kind in ROLLED:
                found.append(change.on)
            case Restart() if change.on.kind in ROLLED:
                found.append(change.on)
            case _:
                continue
    return tuple(dict.fromkeys(found))


def settled(cluster: Reader, refs: Sequence[Ref]) -> dict[Ref, Settled]:
    """Look once at each object. Pods are looked at only for workloads that are not done, for the true cause."""
    live = read_all(cluster, refs)
    return {ref: _one(cluster, ref, live.get(ref)) for ref in refs}


def _one(cluster: Reader, ref: Ref, obj: Object | None) -> Settled:
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
    cause = _cause(cluster, obj) if not state.hopeless else ""
    because = f"{state.because}; {cause}" if cause else state.because
    return Settled(
        done=False, because=clean(because, limit=400), object=str(ref), hopeless=state.hopeless or bool(cause)
    )


def _cause(cluster: Reader, workload: Object) -> str:
    """Say what one of its pods suffers from, "" when none says so. Pods of an older template don't count."""
    selector = dig(workload, "spec", "selector")
    namespace = str(dig(workload, "metadata", "namespace") or "")
    wanted = dig(workload, *TEMPLATE_PATH.get(str(workload.get("kind")), ("-",)), "metadata", "labels") or {}
    labels = ",".join(f"{key}={value}" for key, value in (dig(selector, "matchLabels") or {}).items())
    for pod in cluster.list("v1", "Pod", namespace=namespace, labels=labels):
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
