"""A tag that leads a wave's namespaces: retargeted when the wave begins, and only where it leads nobody else."""

from __future__ import annotations

from collections.abc import Iterator

from meshup.meshes.leading import Tag
from meshup.model.change import Apply, Handoff
from meshup.model.objects import dig, ref_of
from meshup.model.problem import Problem, Where
from meshup.model.text import amount
from meshup.steps.step import Draft, Scope

STEP = "enrol"
LED = ("Deployment", "StatefulSet", "DaemonSet", "CronJob")


def retargeted(tag: Tag, scope: Scope, *, after: str) -> Iterator[Draft]:
    """Give the change that leads a tag to the runbook's revision: ours by an apply, another's by a handoff."""
    revision = scope.book.mesh.revision
    if tag.revision == revision:
        return
    summary = f"tag {tag.name}: {tag.revision} -> {revision}, which leads {', '.join(tag.namespaces)}"
    if tag.body:
        uid = str(dig(scope.snapshot.get(tag.on), "metadata", "uid") or "")
        change = Apply(on=tag.on, body=tag.body, before=tag.before, uid=uid)
        yield Draft(change=change, step=STEP, summary=summary, risk="medium", after=after)
        return
    handoff = Handoff(
        on=tag.on,
        to=f"whoever made tag {tag.name}",
        what=tag.command,
        until=tag.shown,
        back=tag.back,
        until_back=tag.shown_before,
    )
    yield Draft(change=handoff, step=STEP, summary=f"handoff: {summary}: {tag.command}", risk="medium", after=after)


def shared_with(tag: Tag, scope: Scope) -> Iterator[Problem]:
    """Find workloads that a tag leads and that are not of the wave: they would move whenever a pod of theirs is made anew."""
    members = {each.workload for each in scope.services}
    others: list[str] = []
    for kind in LED:
        for namespace in tag.namespaces:
            for each in scope.snapshot.of(kind, namespace):
                found = scope.driver.enrolment(each, scope.snapshot, scope.book.mesh.revision).tag
                if ref_of(each) not in members and found is not None and found.on == tag.on:
                    others.append(str(ref_of(each)))
    if tag.revision != scope.book.mesh.revision and others:
        yield Problem(
            code="MU3350",
            what=f"tag {tag.name} leads {amount(len(others), 'workload')} beside those of {scope.stage.name}/{scope.wave}",
            why=f"an eviction or an autoscaler would move them with this wave, unjudged: {', '.join(others[:8])}",
            fix="give the namespaces of each wave a tag of their own, or put these services into the wave; then: meshup plan",
            at=Where(object=str(tag.on)),
        )


def alone(tag: Tag) -> str:
    """Say what a tag takes away."""
    return f"{', '.join(tag.namespaces)}: tag {tag.name} decides for every pod, so no service of it goes back alone; its wave does"
