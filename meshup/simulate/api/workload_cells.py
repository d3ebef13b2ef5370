"""Columns of pods and of what makes pods, after the real server's printers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from meshup.model.objects import dig
from meshup.simulate.api.ages import NONE, age, age_of, joined, selector
from meshup.simulate.api.store import Obj


def _wide(template: Any) -> list[str]:
    several = dig(template, "spec", "containers") or ()
    return [joined((each["name"] for each in several), ""), joined((each.get("image", "") for each in several), "")]


def pod_reason(pod: Obj) -> tuple[int, int, int, str]:
    """Give ready and total containers, restarts, and the word kubectl shows for a pod's state."""
    status = pod.get("status") or {}
    reason = status.get("reason") or status.get("phase") or "Unknown"
    for each in dig(pod, "status", "conditions") or ():
        if each.get("type") == "PodScheduled" and each.get("reason") == "SchedulingGated":
            reason = "SchedulingGated"
    inits = {each["name"]: each for each in dig(pod, "spec", "initContainers") or ()}
    sidecars = {name for name, each in inits.items() if each.get("restartPolicy") == "Always"}
    total = len(dig(pod, "spec", "containers") or ()) + len(sidecars)
    ready = restarts = 0
    starting = False
    for number, each in enumerate(status.get("initContainerStatuses") or ()):
        if each["name"] in sidecars:
            restarts += each.get("restartCount", 0)
        state = each.get("state") or {}
        ended = state.get("terminated")
        if ended is not None and ended.get("exitCode") == 0:
            continue
        if each["name"] in sidecars and each.get("started"):
            ready += bool(each.get("ready"))
            continue
        waiting = state.get("waiting") or {}
        if ended is not None:
            reason = f"Init:{ended.get('reason') or 'ExitCode:' + str(ended.get('exitCode'))}"
        elif waiting.get("reason") and waiting["reason"] != "PodInitializing":
            reason = f"Init:{waiting['reason']}"
        else:
            reason = f"Init:{number}/{len(inits)}"
        starting = True
        break
    if not starting:
        running = False
        for each in reversed(status.get("containerStatuses") or ()):
            restarts += each.get("restartCount", 0)
            state = each.get("state") or {}
            if dig(state, "waiting", "reason"):
                reason = state["waiting"]["reason"]
            elif "terminated" in state:
                ended = state["terminated"]
                reason = ended.get("reason") or f"ExitCode:{ended.get('exitCode')}"
            elif each.get("ready") and "running" in state:
                running = True
                ready += 1
        if reason == "Completed" and running:
            fine = any(
                each.get("type") == "Ready" and each.get("status") == "True" for each in status.get("conditions") or ()
            )
            reason = "Running" if fine else "NotReady"
    if pod["metadata"].get("deletionTimestamp"):
        reason = "Terminating"
    return ready, total, restarts, str(reason)


def pod(pod: Obj, now: datetime) -> list[Any]:
    """Give the columns of a Pod."""
    ready, total, restarts, reason = pod_reason(pod)
    gates = dig(pod, "spec", "readinessGates") or ()
    address = dig(pod, "status", "podIP") or NONE
    node = dig(pod, "spec", "nodeName") or NONE
    nominated = dig(pod, "status", "nominatedNodeName") or NONE
    passed = f"0/{len(gates)}" if gates else NONE
    return [f"{ready}/{total}", reason, str(restarts), age_of(pod, now), address, node, nominated, passed]


def deployment(obj: Obj, now: datetime) -> list[Any]:
    """Give the columns of a Deployment."""
    status, spec = obj.get("status") or {}, obj.get("spec") or {}
    ready = f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}"
    return [
        ready,
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        age_of(obj, now),
        *_wide(spec.get("template")),
        selector(spec.get("selector")),
    ]


def replica_set(obj: Obj, now: datetime) -> list[Any]:
    """Give the columns of a ReplicaSet."""
    status, spec = obj.get("status") or {}, obj.get("spec") or {}
    return [
        spec.get("replicas", 0),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        age_of(obj, now),
        *_wide(spec.get("template")),
        selector(spec.get("selector")),
    ]


def stateful_set(obj: Obj, now: datetime) -> list[Any]:
    """Give the columns of a StatefulSet."""
    spec = obj.get("spec") or {}
    ready = f"{dig(obj, 'status', 'readyReplicas') or 0}/{spec.get('replicas', 0)}"
    return [ready, age_of(obj, now), *_wide(spec.get("template"))]


def daemon_set(obj: Obj, now: datetime) -> list[Any]:
    """Give the columns of a DaemonSet."""
    status, spec = obj.get("status") or {}, obj.get("spec") or {}
    names = ("desiredNumberScheduled", "currentNumberScheduled", "numberReady", "updatedNumberScheduled")
    nodes = dig(spec, "template", "spec", "nodeSelector") or {}
    return [
        *(status.get(each, 0) for each in names),
        status.get("numberAvailable", 0),
        joined(f"{key}={value}" for key, value in sorted(nodes.items())),
        age_of(obj, now),
        *_wide(spec.get("template")),
        selector(spec.get("selector")),
    ]


def job(obj: Obj, now: datetime) -> list[Any]:
    """Give the columns of a Job."""
    status, spec = obj.get("status") or {}, obj.get("spec") or {}
    state = "Running"
    for each in status.get("conditions") or ():
        if each.get("status") == "True" and each.get("type") in ("Complete", "Failed", "Suspended"):
            state = each["type"]
    if spec.get("suspend") and state == "Running":
        state = "Suspended"
    done = status.get("succeeded", 0)
    asked = spec.get("completions")
    wanted = f"{done}/{asked}" if asked is not None else f"{done}/1 of {spec.get('parallelism', 1)}"
    took = ""
    if status.get("startTime"):
        end = status.get("completionTime")
        until = datetime.fromisoformat(end) if end else now
        took = age(status["startTime"], until)
    return [state, wanted, took, age_of(obj, now), *_wide(spec.get("template")), selector(spec.get("selector"))]


def cron_job(obj: Obj, now: datetime) -> list[Any]:
    """Give the columns of a CronJob."""
    spec = obj.get("spec") or {}
    last = dig(obj, "status", "lastScheduleTime")
    job = dig(spec, "jobTemplate", "spec") or {}
    return [
        spec.get("schedule", ""),
        spec.get("timeZone") or NONE,
        str(bool(spec.get("suspend"))),
        len(dig(obj, "status", "active") or ()),
        age(last, now) if last else NONE,
        age_of(obj, now),
        *_wide(job.get("template")),
        selector(job.get("selector")),
    ]
