"""What can go wrong in the simulated cluster, by name, and on what."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from meshup.simulate.api.problems import Refusal
from meshup.simulate.api.store import Obj

FAULTS: Mapping[str, str] = {
    "server-first": "a service whose port speaks first is declared http: half of its requests fail once it is meshed",
    "slow-when-meshed": "a service answers a hundred times slower once it is meshed",
    "fails-when-strict": "a service fails once strict mode is on",
    "bad-release": "a release is bad: bad-release:RELEASE,bad=KIND; the kinds: meshup explain bad-release",
    "broken": "a service fails, meshed or not",
    "plaintext-client": "a CronJob that nobody enrols calls a service every minute",
    "image": "pods of a workload can't pull their image",
    "crash": "pods of a workload crash",
    "slow-pods": "pods of a workload start 60 s later",
    "injector-down": "the injector of a revision answers nobody: injector-down:istiod-REVISION",
    "rejected-config": "the proxies of a service reject a configuration",
    "api-errors": "the API server answers 503 to a share of requests: share=0.1",
    "api-throttled": "the API server answers 429 to a share of requests: share=0.1",
    "api-resets": "the answer to a share of requests is lost: share=0.05",
    "lease-stolen": "somebody takes the lock",
    "clock-jump": "wall time jumps: by=SECONDS",
}
"""Faults by name, with what they do. Further values follow after commas: api-errors,share=0.2,after_s=60."""
ON_SERVICE = frozenset(
    {"server-first", "slow-when-meshed", "fails-when-strict", "broken", "rejected-config", "plaintext-client"}
)
ON_WORKLOAD = frozenset({"image", "crash", "slow-pods"})
ON_WORD = frozenset({"bad-release", "injector-down"})
"""Faults of something that may not be there yet: a release, a control plane."""


def check(spec: Mapping[str, Any], *, services: Collection[str], workloads: Iterable[str]) -> None:
    """Raise Refusal 400 for a fault that is not known or that lies on nothing that is there."""
    kind, on = str(spec.get("fault", "")), str(spec.get("on") or "")
    if kind not in FAULTS:
        raise Refusal(400, f"there is no fault {kind!r}; known: {', '.join(FAULTS)}")
    if kind in ON_WORD and not on:
        raise Refusal(400, f"fault {kind!r} wants to know on what: {kind}:NAME")
    there = services if kind in ON_SERVICE else list(workloads) if kind in ON_WORKLOAD else None
    if there is None or on in there:
        return
    near = difflib.get_close_matches(on, list(there), 3, 0.6)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise Refusal(400, f"fault {kind!r} wants NAMESPACE/NAME of one that is there, found {on or 'nothing'!r}{hint}")


def forgotten(namespace: str, name: str) -> Obj:
    """Give a CronJob that runs every minute for 30 s, with no owner who opted in."""
    container = {
        "name": "app",
        "image": f"registry.example/{name}:1.0.0",
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
    }
    template = {
        "metadata": {"labels": {"app": name}, "annotations": {"simulator.meshup.dev/lasts": "30"}},
        "spec": {"containers": [container], "restartPolicy": "Never"},
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": template}}},
    }
