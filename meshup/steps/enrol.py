"""enrol: each service of the wave gets the revision's label on its pod template; that one patch is its restart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from meshup.meshes.leading import Tag
from meshup.model.change import Label
from meshup.model.objects import Ref, dig, owners
from meshup.model.problem import Problem, Where
from meshup.model.runbook import Service
from meshup.steps.halfway import Hold, held, is_held
from meshup.steps.retarget import alone, retargeted, shared_with
from meshup.steps.step import Draft, Drafted, Scope


class Enrol:
    """Moves opted-in services onto the runbook's revision; what is right already is not restarted."""

    kind: ClassVar[str] = "enrol"
    title: ClassVar[str] = "every service of the wave runs on the revision"
    params: ClassVar[Mapping[str, tuple[type, Any, str]]] = {
        "hold": (
            bool,
            False,
            "stop half-way, while both revisions serve, until the gates that compare them hold; then the rest moves",
        )
    }
    needs: ClassVar[frozenset[str]] = frozenset({"revisions", "sidecars"})

    def draft(self, scope: Scope) -> Drafted:
        """Give one change per service that is not there yet; blocked ones are problems with their owner's name.

        Services that a pin holds elsewhere are not in the scope. Jobs that run already finish on what they began with.
        """
        drafts: list[Draft] = []
        problems: list[Problem] = []
        right: list[str] = []
        unjudged: list[tuple[str, str]] = []
        running: list[str] = []
        led: dict[Ref, Tag] = {}
        installed = scope.book.mesh.revision in scope.driver.installed(scope.snapshot)
        for service in scope.services:
            workload = scope.snapshot.get(service.workload)
            if workload is None:
                problems.append(_absent(service))
                continue
            wanted = scope.driver.enrolment(workload, scope.snapshot, scope.book.mesh.revision)
            if wanted.tag is not None:
                led[wanted.tag.on] = wanted.tag
            elif wanted.blocked:
                problems.append(_blocked(service, wanted.blocked))
                continue
            if wanted.right and is_held(workload):
                problems.append(_halfway(service))
                continue
            if wanted.right:
                right.append(f"{service.id} is on {scope.book.mesh.revision} already")
                continue
            hold = held(workload) if scope.params.get("hold") else Hold()
            if hold.refused:
                problems.append(_unheld(service, hold.refused))
                continue
            change = Label(
                on=service.workload,
                at=wanted.at,
                set=wanted.set,
                before=wanted.before,
                annotations=wanted.annotations,
                annotations_before=wanted.annotations_before,
                uid=str(workload["metadata"].get("uid") or ""),
                force=(*_force(wanted.at, wanted.before), *hold.fields),
                holds=hold.fields,
                holds_before=hold.before,
            )
            was = wanted.revision_before or "not meshed"
            drafts.append(
                Draft(
                    change=change,
                    step=self.kind,
                    summary=f"{service.workload}: {was} -> {scope.book.mesh.revision}{_pods(workload)}"
                    + (", held half-way" if hold.fields else ""),
                    service=service.id,
                    risk="high"
                    if service.critical
                    else "medium"
                    if int(dig(workload, "spec", "replicas") or 1) < 2
                    else "low",
                    after="" if installed else _earlier(scope),
                )
            )
            if hold.fields:
                drafts.append(_rest(service, change, after="" if installed else _earlier(scope)))
            running += _running(service, scope)
            if not service.baseline_query and not scope.book.metrics.service:
                unjudged.append((service.id, "no baseline from before it is meshed: judged by absolute limits only"))
        for tag in led.values():
            problems += shared_with(tag, scope)
            drafts[:0] = retargeted(tag, scope, after="" if installed else _earlier(scope))
        return Drafted(
            drafts=tuple(drafts),
            problems=tuple(problems),
            right=tuple(right),
            notes=(*running, *(alone(each) for each in led.values())),
            unjudged=tuple(unjudged),
        )


def _rest(service: Service, change: Label, *, after: str) -> Draft:
    """Give the write that lets a rollout go on: the same labels, without what holds it."""
    on = replace(change, before=change.set, annotations={}, annotations_before={})
    return Draft(
        change=replace(on, holds=change.holds_before, holds_before={}),
        step=Enrol.kind,
        summary=f"{service.workload}: the rest of its pods",
        service=service.id,
        place="rest",
        after=after,
    )


def _running(service: Service, scope: Scope) -> list[str]:
    """Name Jobs of a service that run now: they keep the template they began with and are waited out."""
    return [
        f"Job {service.namespace}/{dig(job, 'metadata', 'name')} of {service.id} is running: it ends on what it began with, "
        "gate jobs-finished waits for it"
        for job in scope.snapshot.of("Job", service.namespace)
        if dig(job, "status", "active") and (service.workload.kind, service.workload.name) in owners(job)
    ]


def _pods(workload: Mapping[str, Any]) -> str:
    if workload.get("kind") == "CronJob":
        return ", from its next run on"
    replicas = dig(workload, "spec", "replicas")
    return f", {replicas} pod{'s' if replicas != 1 else ''} restart" if replicas is not None else ", its pods restart"


def _force(at: tuple[str, ...], before: Mapping[str, str | None]) -> tuple[str, ...]:
    """Take the revision label from whoever set the old one: that is what moving a revision means, and the plan says it."""
    from meshup.model.fields import pointer

    return tuple(pointer((*at, key)) for key, value in before.items() if value is not None)


def _earlier(scope: Scope) -> str:
    """Name the stage that installs the revision."""
    for stage in scope.book.stages:
        if any(each.kind == "install-control-plane" for each in stage.steps):
            return stage.name
    return ""


def _absent(service: Service) -> Problem:
    return Problem(
        code="MU3214",
        what=f"{service.id}: {service.workload} is not in the cluster",
        fix="correct the workload in the runbook, or take the service out of its wave",
        at=service.at or Where(object=str(service.workload)),
    )


def _unheld(service: Service, why: str) -> Problem:
    return Problem(
        code="MU3219",
        what=f"{service.id} can't be held half-way: {why}",
        why=f"owner: {service.owner or 'unknown'}",
        fix="move it in a stage whose enrol does not say hold",
        at=Where(object=str(service.workload)),
    )


def _halfway(service: Service) -> Problem:
    return Problem(
        code="MU3618",
        what=f"{service.id} is held half-way by an earlier run: both revisions of it serve",
        why="only that run knows what held it and whether the comparison came to an end",
        fix="meshup apply --resume      or take it back: meshup rollback --run newest",
        at=Where(object=str(service.workload)),
    )


def _blocked(service: Service, why: str) -> Problem:
    return Problem(
        code="MU3215",
        what=f"{service.id} can't be enrolled: {why}",
        why=f"owner: {service.owner or 'unknown'}",
        fix="mend what is named, or take the service out of its wave",
        at=Where(object=str(service.workload)),
    )
