"""ingress-gateway: the gateway, routes to services that are not meshed yet, a probe, and the handoff of real traffic."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from meshup.model.change import Apply, Create, Delete, Handoff
from meshup.model.fields import managers_of
from meshup.model.objects import Object, Ref, dig, is_managed, ref_of
from meshup.model.problem import Problem, Where
from meshup.model.runbook import Ingress
from meshup.model.text import amount
from meshup.model.weights import Leg, Weights
from meshup.steps.gateway_weights import REPLICAS, Moving, with_replicas
from meshup.steps.jobs import IMAGE, account, job
from meshup.steps.step import Draft, Drafted, Scope

PROBE = "meshup-probe"
MANAGED_BY = "meshup"


class IngressGateway:
    """Puts a gateway in front and routes every host and path; what really answers is proven by a probe in the cluster."""

    kind: ClassVar[str] = "ingress-gateway"
    title: ClassVar[str] = "the ingress gateway routes every host and path"
    params: ClassVar[Mapping[str, tuple[type, Any, str]]] = {
        "probe": (bool, True, "run a Job in the cluster that asks the gateway for every host and path"),
        "image": (str, IMAGE, "image of the probe"),
        "weights": (
            Weights,
            Weights([]),
            "percents by which traffic moves to a second Deployment of another revision, rising to 100; none = in place",
        ),
    }
    needs: ClassVar[frozenset[str]] = frozenset({"ingress-gateway"})

    def draft(self, scope: Scope) -> Drafted:
        """Give the gateway's objects, the probe's, and the handoff when the runbook has one."""
        ingress = scope.book.ingress
        if ingress is None:
            return Drafted(right=("the runbook has no ingress",))
        if not ingress.hosts:
            return Drafted(problems=(_no_hosts(ingress),))
        way = _way(scope, ingress)
        if way.refused:
            return Drafted(problems=way.refused)
        drafts, problems, right = self._objects(scope, ingress, way)
        phases = [each.name for each in way.left] or [""]
        if way.moving is not None:
            drafts = [replace(each, phase=phases[0]) for each in drafts]
            drafts += way.moving.home(after=way.after) if way.returns else way.moving.forth(way.left)
        if (drafts or way.done) and scope.params.get("probe", True):
            service = scope.driver.gateway_service(ingress)
            door = ref_of(way.moving.beside.door) if way.moving is not None and way.left else service
            drafts += [each for phase in phases for each in _probe(scope, ingress, service=door, phase=phase)]
        if ingress.handoff is not None:
            drafts.append(replace(_handoff(scope, ingress), phase=phases[-1]))
        return Drafted(
            drafts=tuple(drafts),
            problems=tuple(problems),
            right=tuple(right),
            notes=(*(f"not translated: {each}" for each in ingress.untranslated), *way.notes),
            together=len(phases) > 1,
        )

    def _objects(self, scope: Scope, ingress: Ingress, way: Way) -> tuple[list[Draft], list[Problem], list[str]]:
        """Give the gateway and its routes; while its traffic moves by weights they stay of the revision they are of."""
        drafts: list[Draft] = []
        problems: list[Problem] = []
        right = [way.done] if way.done else []
        mesh = replace(scope.book.mesh, revision=way.revision)
        installed = scope.book.mesh.revision in scope.driver.installed(scope.snapshot)
        turned = way.moving.turned(after=way.after) if way.moving is not None and way.returns else None
        for body in scope.driver.gateway(ingress, mesh) if not way.done else ():
            ref = ref_of(body)
            found = scope.snapshot.get(ref)
            if found is not None and not is_managed(found):
                if ref.kind == "Namespace":
                    right.append(f"{ref} is there already")
                    continue
                problems.append(_foreign(str(ref)))
                continue
            uid = str(found["metadata"].get("uid") or "") if found is not None else ""
            kept = _with_our_replicas(body, found)
            change = Apply(on=ref, body=kept, before=kept if found is not None else None, uid=uid)
            after = "" if installed or found is not None or ref.kind == "Namespace" else scope.stage.name
            if turned is not None and turned.on == ref:
                change, after = turned, way.after
            summary = f"{'change' if found else 'new'} {ref}"
            drafts.append(Draft(change=change, step=self.kind, summary=summary, after=after))
        return drafts, problems, right


def weights_of(params: Mapping[str, Any]) -> tuple[int, ...]:
    """Give the weights of a step, () = in place."""
    return tuple(params.get("weights") or ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How this stage moves the gateway. moving: None = in place. revision: what its own objects are of in this stage.

    left: weights to go, () = none. returns: its own Deployment takes the traffic back from the second one. after: the
    stage that gives the second one the traffic first, "" = it has it. done: why nothing is to be done here, "" = it is.
    refused: what must be mended first.
    """

    revision: str
    moving: Moving | None = None
    left: tuple[Leg, ...] = ()
    returns: bool = False
    after: str = ""
    done: str = ""
    notes: tuple[str, ...] = ()
    refused: tuple[Problem, ...] = ()


def _way(scope: Scope, ingress: Ingress) -> Way:
    """Decide by what is there: a move that was cut off is taken up where it stands."""
    mesh, here = scope.book.mesh, weights_of(scope.params)
    earlier = _earlier(scope)
    planned = here or next((weights for _, weights in earlier if weights), ())
    beside = scope.driver.gateway_beside(ingress, mesh, scope.snapshot) if planned else None
    own = scope.snapshot.get(beside.own) if beside is not None else None
    in_place = Way(revision=mesh.revision, done=f"the gateway is moved in stage {earlier[0][0]}" if earlier else "")
    if beside is None or own is None:
        return in_place
    second = scope.snapshot.get(ref_of(beside.body))
    if beside.blocked and second is not None and (here or beside.revision != mesh.revision):
        return replace(in_place, refused=(_stuck(str(beside.own), beside.blocked),))
    if beside.blocked and second is None:
        said = f"the gateway moves in place, pod by pod: {beside.blocked}"
        return replace(in_place, notes=(said,) if here and beside.revision != mesh.revision else ())
    there = [scope.snapshot.get(ref_of(each)) for each in (beside.body, beside.door)]
    foreign = [ref_of(each) for each in there if each is not None and not is_managed(each)]
    if foreign:
        return replace(in_place, refused=tuple(_foreign(str(each)) for each in foreign))
    moving = Moving(beside=beside, second=second, own=own, stage=scope.stage.name)
    if moving.pods == 0:
        return replace(in_place, notes=("the gateway has no pods, so no traffic of it moves",) if here else ())
    left = moving.left(planned) if beside.revision != mesh.revision else ()
    if not here and (left or second is not None):
        after = earlier[0][0] if left else ""
        return Way(revision=mesh.revision, moving=moving, returns=True, after=after)
    if not left:
        # All weights are reached, so its own objects wait for the stage that brings the traffic back to them.
        return replace(in_place, revision=beside.revision) if second is not None else in_place
    text = ", ".join(f"{each.wanted} % is {each.new} of {each.new + each.old} pods" for each in left)
    return Way(revision=beside.revision, moving=moving, left=left, notes=(f"weights of the gateway: {text}",))


def _earlier(scope: Scope) -> list[tuple[str, tuple[int, ...]]]:
    """Give the stages before this one that move the gateway too, with their weights."""
    found: list[tuple[str, tuple[int, ...]]] = []
    for stage in scope.book.stages:
        if stage.name == scope.stage.name:
            break
        found += [(stage.name, weights_of(each.params)) for each in stage.steps if each.kind == IngressGateway.kind]
    return found


def _with_our_replicas(body: Object, found: Object | None) -> Object:
    """Keep replicas that are ours to say: what an apply no longer says is given up, and one pod would be left."""
    if found is None or body["kind"] != "Deployment" or not set(managers_of(found, REPLICAS)) & {MANAGED_BY}:
        return body
    return with_replicas(body, int(dig(found, "spec", "replicas")))


def _stuck(own: str, why: str) -> Problem:
    return Problem(
        code="MU3351",
        what=f"traffic of {own} is half-way to a second Deployment and can't be moved on: {why}",
        fix="mend what is named, or go back with: meshup rollback --stage gateway; then: meshup plan",
        at=Where(object=own),
    )


def _no_hosts(ingress: Ingress) -> Problem:
    return Problem(
        code="MU3213",
        what=f"the ingress {ingress.namespace}/{ingress.name} has no hosts",
        fix="list hosts under ingress.hosts, or name existing Ingress objects under ingress.from",
        at=Where(object=f"ingress {ingress.name}"),
    )


def _foreign(ref: str) -> Problem:
    return Problem(
        code="MU3212",
        what=f"{ref} is there and not meshup's",
        why="meshup does not overwrite what it did not create",
        fix="choose another ingress.name or ingress.namespace",
        at=Where(object=ref),
    )


def _probe(scope: Scope, ingress: Ingress, *, service: Ref, phase: str) -> list[Draft]:
    """Ask every host and path once, at a Service; each phase has a Job of its own, as each is asked anew."""
    asked = [
        {"host": host.host, "path": path.path, "expect": path.expect, "tls": bool(host.tls_secret)}
        for host in ingress.hosts
        for path in host.paths
    ]
    name = f"{PROBE}-{phase}" if phase else PROBE
    base = f"http://{service.name}.{service.namespace}.svc.cluster.local"
    arguments = ["probe", "--gateway", base, "--ask", json.dumps(asked, separators=(",", ":"), sort_keys=True)]
    image = str(scope.params.get("image") or IMAGE)
    body: Object = job(name, arguments, account=name, image=image, pods=1, outside=scope.driver.outside())
    owner = account(name)
    kind = IngressGateway.kind
    return [
        Draft(
            change=Apply(on=ref_of(owner), body=owner),
            step=kind,
            summary=f"new {ref_of(owner)}",
            risk="none",
            beside=True,
            phase=phase,
        ),
        Draft(
            change=Create(on=ref_of(body), body=body),
            step=kind,
            summary=f"probe {amount(len(asked), 'path')} through the gateway",
            risk="none",
            beside=True,
            phase=phase,
        ),
        Draft(
            change=Delete(on=ref_of(body), uid="", before=body),
            step=kind,
            summary="remove the probe",
            place="closing",
            risk="none",
            phase=phase,
        ),
        Draft(
            change=Delete(on=ref_of(owner), uid="", before=owner),
            step=kind,
            summary=f"remove {ref_of(owner)}",
            place="closing",
            risk="none",
            phase=phase,
        ),
    ]


def _handoff(scope: Scope, ingress: Ingress) -> Draft:
    """Hand real traffic over; it is about the Ingress that is left, or else about the gateway that traffic comes to."""
    handoff = ingress.handoff
    assert handoff is not None
    on = handoff.on or (ingress.source[0] if ingress.source else scope.driver.gateway_service(ingress))
    change = Handoff(on=on, to=handoff.to, what=handoff.what, until=dict(handoff.until), back=handoff.back)
    return Draft(
        change=change, step=IngressGateway.kind, summary=f"handoff to {handoff.to}: {handoff.what}", risk="medium"
    )
