"""freshen: pods that are to be compared with new ones are made anew first, as age alone makes a difference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar

from meshup.model.change import Restart
from meshup.model.duration import Duration, span
from meshup.model.moment import instant_or_none
from meshup.model.objects import TEMPLATE_PATH, Object, dig, labels, matches
from meshup.model.plan import Risk
from meshup.model.snapshot import Snapshot
from meshup.steps.endpoint_counts import compared
from meshup.steps.halfway import held
from meshup.steps.step import Draft, Drafted, Scope

PATH = ("metadata", "annotations", "meshup.dev/restart")


class Freshen:
    """Stands in a stage right before the one that enrols with hold. Pods restart on the revision that they are on.

    Old pods have grown caches and memory and kept their connections: what a canary gate says of two arms is of their revision
    only when both are young. It restarts who has a pod older than this, and who is not compared later is left alone.
    """

    kind: ClassVar[str] = "freshen"
    title: ClassVar[str] = "pods that new ones are compared with are young too"
    params: ClassVar[Mapping[str, tuple[type, Any, str]]] = {
        "older-than": (Duration, Duration(180.0), "a service with a pod older than this is restarted"),
    }
    needs: ClassVar[frozenset[str]] = frozenset({"revisions", "sidecars"})

    def draft(self, scope: Scope) -> Drafted:
        """Give one restart per service of the wave that is held half-way later; those without pods have no age."""
        waiting = {each.id for each in compared(scope)}
        most = float(scope.params.get("older-than") or 0.0)
        now = scope.snapshot.taken_at
        drafts: list[Draft] = []
        right: list[str] = []
        for service in scope.services:
            workload = scope.snapshot.get(service.workload)
            if service.id not in waiting or workload is None or not held(workload).fields:
                continue
            age_s = max((now - each).total_seconds() for each in [now, *_began(workload, scope.snapshot)])
            if age_s <= most:
                right.append(f"{service.id}: its pods are young enough to be compared")
                continue
            change = Restart(
                on=service.workload,
                value=f"{scope.book.mesh.revision}-{now:%Y%m%dT%H%M%SZ}",
                before=dig(workload, *TEMPLATE_PATH[service.workload.kind], *PATH),
                uid=str(dig(workload, "metadata", "uid") or ""),
            )
            summary = f"{service.workload}: its pods restart as they are, the oldest is {span(age_s)} old"
            risk: Risk = "high" if service.critical else "low"
            # Pods that run what they ran before are nothing to take back.
            drafts.append(
                Draft(change=change, step=self.kind, summary=summary, service=service.id, risk=risk, stays=True)
            )
        return Drafted(drafts=tuple(drafts), right=tuple(right))


def _began(workload: Object, snapshot: Snapshot) -> Iterator[datetime]:
    """Yield when each pod of a workload began."""
    selector = dig(workload, "spec", "selector")
    for pod in snapshot.of("Pod", str(dig(workload, "metadata", "namespace") or "")):
        began = instant_or_none(dig(pod, "status", "startTime"))
        if began is not None and matches(selector, labels(pod)):
            yield began
