"""How far a workload's own rollout is, from its object alone; computing never fetches."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from meshup.model.objects import Object, dig
from meshup.model.text import amount

LATE = re.compile(r'^ReplicaSet "([^"]+)" has timed out')
HELD_S = 7 * 86400
"""A Deployment whose new pods must be ready for so long before they count is held half-way (steps/halfway.py)."""
HOPELESS_WAITING = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError", "CrashLoopBackOff"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """done: the controller says that every pod is of the wanted template and available. because: one line.

    hopeless: waiting longer cannot help. refused: because a set of its replicas could not make pods, perhaps an older one.
    late: the ReplicaSet that its controller says has passed the progress deadline, perhaps an older one.
    """

    done: bool
    because: str
    hopeless: bool = False
    refused: bool = False
    late: str = ""


def rollout(workload: Object) -> Rollout:
    """Judge one workload; kinds without a rollout are done at once."""
    generation = int(dig(workload, "metadata", "generation") or 0)
    observed = int(dig(workload, "status", "observedGeneration") or 0)
    kind = workload.get("kind", "")
    if kind in ("Deployment", "StatefulSet", "DaemonSet") and observed < generation:
        return Rollout(done=False, because="its controller has not seen the change yet")
    match kind:
        case "Deployment":
            return _deployment(workload)
        case "StatefulSet":
            return _stateful_set(workload)
        case "DaemonSet":
            return _daemon_set(workload)
        case _:
            return Rollout(done=True, because="it has no rollout of its own")


def _number(workload: Object, *path: str, usual: int = 0) -> int:
    found: Any = dig(workload, *path)
    return int(found) if found is not None else usual


def _deployment(workload: Object) -> Rollout:
    want = _number(workload, "spec", "replicas", usual=1)
    updated, total = _number(workload, "status", "updatedReplicas"), _number(workload, "status", "replicas")
    available = _number(workload, "status", "availableReplicas")
    if updated >= want and total <= updated and available >= want and not dig(workload, "spec", "paused"):
        return Rollout(done=True, because=f"{available}/{want} pods available")
    for condition in dig(workload, "status", "conditions") or ():
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            because = f"its pods are refused: {condition.get('message', '')}"
            return Rollout(done=False, because=because, hopeless=True, refused=True)
        if condition.get("type") == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
            because = f"its progress deadline passed with {updated}/{want} updated"
            return Rollout(done=False, because=because, hopeless=True, late=_late(condition))
    if dig(workload, "spec", "paused"):
        return Rollout(done=False, because=f"it is paused with {updated}/{want} updated")
    if _number(workload, "spec", "minReadySeconds") >= HELD_S:
        need, ready = _at_once(workload, want), _number(workload, "status", "readyReplicas")
        if updated >= need and ready >= total:
            return Rollout(done=True, because=f"held half-way with {updated} new of {total} pods, all ready")
        return Rollout(done=False, because=f"{updated}/{need} pods updated, {ready}/{total} ready, on the way half-way")
    if updated < want:
        return Rollout(done=False, because=f"{updated}/{want} pods updated")
    if total > updated:
        return Rollout(done=False, because=f"{amount(total - updated, 'old pod')} still to end")
    return Rollout(done=False, because=f"{available}/{want} pods available")


def _at_once(workload: Object, want: int) -> int:
    """Give how many pods of a new template its strategy makes before one of them counts as available."""
    rolling = dig(workload, "spec", "strategy", "rollingUpdate") or {}
    surge = share(rolling.get("maxSurge", "25%"), want, up=True)
    away = share(rolling.get("maxUnavailable", "25%"), want, up=False)
    return min(want, max(1, surge + away))


def share(value: Any, of: int, *, up: bool) -> int:
    """Read a count or a percentage of pods, such as "25%"."""
    text = str(value)
    if not text.endswith("%"):
        return int(value)
    return -(-of * int(text[:-1]) // 100) if up else of * int(text[:-1]) // 100


def _late(condition: Mapping[str, Any]) -> str:
    """Read the ReplicaSet of a deadline's message, such as `ReplicaSet "cart-5d8c" has timed out progressing`."""
    found = LATE.search(str(condition.get("message") or ""))
    return found[1] if found else ""


def _stateful_set(workload: Object) -> Rollout:
    if dig(workload, "spec", "updateStrategy", "type") == "OnDelete":
        return Rollout(
            done=False, because="its strategy is OnDelete: its pods move when somebody deletes them", hopeless=True
        )
    want = _number(workload, "spec", "replicas", usual=1)
    partition = _number(workload, "spec", "updateStrategy", "rollingUpdate", "partition")
    updated, ready = _number(workload, "status", "updatedReplicas"), _number(workload, "status", "readyReplicas")
    current, new = dig(workload, "status", "currentRevision"), dig(workload, "status", "updateRevision")
    need = max(0, want - partition)
    if current != new and updated < need:
        return Rollout(done=False, because=f"{updated}/{need} pods updated")
    if ready < want:
        return Rollout(done=False, because=f"{ready}/{want} pods ready")
    return Rollout(done=True, because=f"{ready}/{want} pods ready")


def _daemon_set(workload: Object) -> Rollout:
    want = _number(workload, "status", "desiredNumberScheduled")
    updated, available = (
        _number(workload, "status", "updatedNumberScheduled"),
        _number(workload, "status", "numberAvailable"),
    )
    if dig(workload, "spec", "updateStrategy", "type") == "OnDelete":
        return Rollout(
            done=False, because="its strategy is OnDelete: its pods move when somebody deletes them", hopeless=True
        )
    if updated < want:
        return Rollout(done=False, because=f"{updated}/{want} pods updated")
    if available < want:
        return Rollout(done=False, because=f"{available}/{want} pods available")
    return Rollout(done=True, because=f"{available}/{want} pods available")


def trouble(pod: Object) -> str:
    """Say why a pod will not get ready by itself; "" when nothing says so."""
    status = dig(pod, "status") or {}
    for each in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        waiting = dig(each, "state", "waiting") or {}
        if waiting.get("reason") in HOPELESS_WAITING:
            message = f": {waiting['message']}" if waiting.get("message") else ""
            return f"container {each.get('name')} is in {waiting['reason']}{message}"
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return f"it can't be scheduled: {condition.get('message', '')}"
    return ""
