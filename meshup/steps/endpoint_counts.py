"""endpoint-counts: callers' proxies count by the pod they call, for as long as two revisions are compared by it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from meshup.meshes.driver import ENDPOINT_COUNTS
from meshup.model.change import Apply
from meshup.model.objects import Object, dig, is_managed, ref_of
from meshup.model.problem import Problem, Where
from meshup.model.runbook import Service
from meshup.steps.step import Draft, Drafted, Scope


class EndpointCounts:
    """Stands in a stage before those that enrol with hold: a canary gate tells by it which revision a caller's request met.

    It changes one field of what callers' proxies are told, no route and no pod. The way back takes it away, and so does
    minimise. Where nothing is left to compare it writes nothing.
    """

    kind: ClassVar[str] = ENDPOINT_COUNTS
    title: ClassVar[str] = "callers count by the pod they call, while two revisions are compared"
    params: ClassVar[Mapping[str, tuple[type, Any, str]]] = {}
    needs: ClassVar[frozenset[str]] = frozenset({ENDPOINT_COUNTS})

    def draft(self, scope: Scope) -> Drafted:
        """Give one object per namespace of callers; refused where one of that name is somebody else's."""
        if not any(compared(scope)):
            return Drafted(right=("nothing is left to compare by endpoint",))
        drafts: list[Draft] = []
        problems: list[Problem] = []
        for body in filters(scope):
            ref = ref_of(body)
            found = scope.snapshot.get(ref)
            if found is not None and not is_managed(found):
                problems.append(_foreign(str(ref)))
                continue
            drafts.append(
                Draft(
                    change=Apply(on=ref, body=body),
                    step=self.kind,
                    summary=f"{'change' if found else 'new'} {ref}: callers there count by the pod they call",
                )
            )
        return Drafted(drafts=tuple(drafts), problems=tuple(problems))


def filters(scope: Scope) -> tuple[Object, ...]:
    """Give the objects for every namespace that may hold callers: those of services that opted in, and the gateway's."""
    homes = {each.namespace for each in scope.book.services if each.opt_in is not None}
    if scope.book.ingress is not None:
        homes.add(scope.book.ingress.namespace)
    return scope.driver.endpoint_counts(scope.book.mesh, sorted(homes))


def compared(scope: Scope) -> Iterator[Service]:
    """Yield the services that a stage of the runbook will hold half-way: not there yet, and nobody keeps them elsewhere."""
    waves = {
        name
        for stage in scope.book.stages
        if any(step.kind == "enrol" and step.params.get("hold") for step in stage.steps)
        for name in stage.waves
    }
    members = {each for wave in scope.book.waves if wave.name in waves for each in wave.services}
    revision = scope.book.mesh.revision
    kept = {
        f"{dig(pin, 'metadata', 'namespace')}/{dig(pin, 'spec', 'service')}"
        for pin in scope.snapshot.pinned_elsewhere(revision)
    }
    for each in scope.book.services:
        workload = scope.snapshot.get(each.workload)
        if each.id not in members or each.id in kept or each.opt_in is None or workload is None:
            continue
        until = each.opt_in.not_before
        wanted = scope.driver.enrolment(workload, scope.snapshot, revision)
        if not (wanted.right or wanted.blocked or (until is not None and until > scope.snapshot.taken_at)):
            yield each


def _foreign(ref: str) -> Problem:
    return Problem(
        code="MU3212",
        what=f"{ref} is there and belongs to somebody else",
        why="meshup does not overwrite what it did not create",
        fix="remove it, or take endpoint-counts out of the runbook and say callers: own at its canary gates",
        at=Where(object=ref),
    )
