"""minimise: components and revisions that nothing uses any more are removed, if meshup made them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from meshup.meshes.driver import ENDPOINT_COUNTS, Unused
from meshup.model.change import Delete
from meshup.model.fields import steps
from meshup.model.objects import TEMPLATE_PATH, Object, Ref, dig, is_managed, labels, matches, owners, ref_of
from meshup.model.snapshot import Snapshot
from meshup.steps.endpoint_counts import compared, filters
from meshup.steps.step import Draft, Drafted, Scope
from meshup.steps.strict import members

INSTALL = "install-control-plane"


class Minimise:
    """Deletes only what carries our label, by UID; what somebody else made is named and left."""

    kind: ClassVar[str] = "minimise"
    title: ClassVar[str] = "no component runs that nothing uses"
    params: ClassVar[Mapping[str, tuple[type, Any, str]]] = {
        "keep": (list, [], "revisions to keep although nothing uses them"),
    }
    needs: ClassVar[frozenset[str]] = frozenset({"revisions"})

    def draft(self, scope: Scope) -> Drafted:
        """Give a delete per unused object, webhooks first; judged as the cluster will be after the waves."""
        expected = after_the_waves(scope)
        keep = tuple(scope.params.get("keep") or ()) + scope.book.mesh.keep_revisions
        drafts: list[Draft] = []
        left: list[str] = []
        notes: list[str] = []
        cpu = memory = 0
        for each in scope.driver.unused(expected, scope.book.mesh, keep=keep):
            found = scope.snapshot.get(each.ref)
            if each.stays:
                notes.append(each.stays)
            if found is None or each.stays:
                continue
            if not is_managed(found):
                left.append(f"{each.ref} is unused but not meshup's, so it is left: {each.why}")
                continue
            cpu, memory = cpu + each.cpu_m, memory + each.memory_mib
            drafts.append(
                Draft(change=_delete(each, found), step=self.kind, summary=f"remove {each.ref}: {each.why}", risk="low")
            )
        drafts += [*_counts(scope)]
        if cpu or memory:
            notes.append(f"gives back {cpu}m CPU and {memory} MiB memory")
        return Drafted(drafts=tuple(drafts), right=tuple(left), notes=tuple(notes))


def _counts(scope: Scope) -> Iterator[Draft]:
    """Give the removal of what lets callers count by endpoint: what is there, and what an earlier stage will have made."""
    if ENDPOINT_COUNTS not in scope.driver.capabilities:
        return
    comes = any(step.kind == ENDPOINT_COUNTS for stage in scope.book.stages for step in stage.steps) and any(
        compared(scope)
    )
    for body in filters(scope):
        ref = ref_of(body)
        found = scope.snapshot.get(ref)
        if is_managed(found) or (comes and found is None):
            uid = str(dig(found, "metadata", "uid") or "")
            change = Delete(on=ref, uid=uid, before=found or body)
            yield Draft(change=change, step=Minimise.kind, summary=f"remove {ref}: nothing is compared any more")


def _delete(each: Unused, found: Object) -> Delete:
    return Delete(on=each.ref, uid=str(dig(found, "metadata", "uid") or ""), before=found)


def after_the_waves(scope: Scope) -> Snapshot:
    """Give the snapshot as it will be once every enrolled service runs on the runbook's revision."""
    objects = dict(scope.snapshot.objects)
    running: dict[str, list[tuple[Ref, Mapping[str, str]]]] = defaultdict(list)
    for ref, obj in scope.snapshot.objects.items():
        if ref.kind in ("Pod", "ReplicaSet"):
            own = labels(obj) if ref.kind == "Pod" else dig(obj, "spec", "template", "metadata", "labels") or {}
            running[ref.namespace].append((ref, own))
    revision = scope.book.mesh.revision
    for service in members(scope):
        workload = objects.get(service.workload)
        if workload is None:
            continue
        until = service.opt_in.not_before if service.opt_in is not None else None
        wanted = scope.driver.enrolment(workload, scope.snapshot, revision)
        if (wanted.blocked and wanted.tag is None) or (until is not None and until > scope.snapshot.taken_at):
            continue
        if wanted.tag is not None:
            for at, value in wanted.tag.shown.items():
                *where, key = steps(at)
                objects[wanted.tag.on] = _put(objects[wanted.tag.on], tuple(where), {key: value})
        for ref in _by_schedule(service.workload, scope.snapshot):
            objects.pop(ref, None)
        path = TEMPLATE_PATH[service.workload.kind]
        objects[service.workload] = _put(workload, (*path, "metadata", "labels"), wanted.set)
        selector = dig(workload, "spec", "selector")
        for ref, own in running[service.namespace]:
            if selector and matches(selector, own):
                objects.pop(ref, None)
    _with_gateway(scope, objects, running)
    _with_control_plane(scope, objects)
    return replace(scope.snapshot, objects=objects)


def _by_schedule(workload: Ref, snapshot: Snapshot) -> Iterator[Ref]:
    """Give the Jobs of a CronJob and their pods: they end by themselves, and revisions-unused waits for those that do not yet."""
    if workload.kind != "CronJob":
        return
    jobs = [ref for ref in snapshot.objects if ref.kind == "Job" and _is_of(snapshot.objects[ref], workload)]
    yield from jobs
    for ref, obj in snapshot.objects.items():
        if ref.kind == "Pod" and any(_is_of(obj, job) for job in jobs):
            yield ref


def _is_of(obj: Object, owner: Ref) -> bool:
    """Tell whether an object of the owner's namespace names it as its owner."""
    return str(dig(obj, "metadata", "namespace") or "") == owner.namespace and (owner.kind, owner.name) in owners(obj)


def _with_gateway(
    scope: Scope, objects: dict[Ref, Object], running: Mapping[str, Sequence[tuple[Ref, Mapping[str, str]]]]
) -> None:
    """Let the gateway be as a stage makes it, and what runs behind it go with it."""
    ingress = scope.book.ingress
    if ingress is None or not any(
        step.kind == "ingress-gateway" for stage in scope.book.stages for step in stage.steps
    ):
        return
    for body in scope.driver.gateway(ingress, scope.book.mesh):
        if ref_of(body) in objects:
            objects[ref_of(body)] = body
    front = scope.driver.gateway_service(ingress)
    selector = dig(scope.snapshot.get(front), "spec", "selector")
    if not selector:
        return
    behind = [(ref, own) for ref, own in running[front.namespace]]
    behind += [
        (ref, dig(each, "spec", "template", "metadata", "labels") or {})
        for ref, each in objects.items()
        if ref.kind == "Deployment" and ref.namespace == front.namespace
    ]
    for ref, own in behind:
        if matches({"matchLabels": selector}, own):
            objects.pop(ref, None)


def _with_control_plane(scope: Scope, objects: dict[Ref, Object]) -> None:
    """Let validators of ours ask whom the control plane's stage lets them ask; tags move with their waves."""
    steps = [step.kind for stage in scope.book.stages for step in stage.steps]
    if INSTALL not in steps or scope.book.mesh.managed_by == "external":
        return
    hooks = [ref for ref in objects if ref.kind == "ValidatingWebhookConfiguration" and is_managed(objects[ref])]
    rendered = {ref_of(each): each for each in scope.driver.render(scope.book.mesh).objects} if hooks else {}
    objects.update({ref: rendered[ref] for ref in hooks if ref in rendered})


def _put(obj: Object, path: tuple[str, ...], values: Mapping[str, str | None]) -> Object:
    if not path:
        merged = {**obj, **values}
        return {key: value for key, value in merged.items() if value is not None}
    inner = obj.get(path[0]) or {}
    return {**obj, path[0]: _put(inner, path[1:], values)}
