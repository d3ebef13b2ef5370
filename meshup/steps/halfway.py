"""How a rollout is held half-way, so that both revisions of a service serve at once: fields of the workload, one write.

A StatefulSet is held by its partition, a Deployment by new pods that do not count as available for a long time: then its
own strategy goes no further than it may surge or do without, and goes on when that time is taken away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from meshup.model.fields import value_at
from meshup.model.objects import Object, dig
from meshup.model.rollout import HELD_S

PARTITION = "/spec/updateStrategy/rollingUpdate/partition"
READY, DEADLINE = "/spec/minReadySeconds", "/spec/progressDeadlineSeconds"
USUAL: Mapping[str, int] = {READY: 0, DEADLINE: 600}
"""What the API server sets again where nobody does: such a field is given up afterwards. A partition it would leave out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """fields: pointer -> value that holds; none = it is moved whole. before: what is written back.

    refused: why it can't be held.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    before: Mapping[str, Any] = field(default_factory=dict)
    refused: str = ""


def held(workload: Object) -> Hold:
    """Say what holds a workload half-way. One without several pods at once, such as a CronJob, is moved whole."""
    kind, spec = workload.get("kind"), workload.get("spec") or {}
    want = 1 if spec.get("replicas") is None else int(spec["replicas"])
    match kind:
        case "StatefulSet" if want > 1:
            return _made(workload, {PARTITION: (want + 1) // 2})
        case "Deployment" if want and dig(spec, "strategy", "type") == "Recreate":
            return Hold(refused="its strategy is Recreate: all its pods end before the first new one begins")
        case "Deployment" if want:
            return _made(workload, {READY: HELD_S, DEADLINE: HELD_S + USUAL[DEADLINE]})
        case "DaemonSet":
            return Hold(refused="a DaemonSet has nothing that holds it half-way")
        case _:
            return Hold()


def is_held(workload: Object) -> bool:
    """Tell whether a Deployment is held half-way now. A StatefulSet that is can't be enrolled, and says so."""
    return workload.get("kind") == "Deployment" and value_at(workload, READY) == HELD_S


def _made(workload: Object, fields: Mapping[str, int]) -> Hold:
    now = {each: value_at(workload, each) for each in fields}
    before = {each: value for each, value in now.items() if value not in (None, USUAL.get(each))}
    return Hold(fields=fields, before=before)
