"""ingress-gateway: the gateway, routes to services that are not meshed yet, a probe, and the handoff of real traffic."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from meshup.model.change import Apply, Create, Delete, Handoff
from meshup.model.objects import Object, is_managed, ref_of
from meshup.model.problem import Problem, Where
from meshup.model.runbook import Ingress
from meshup.model.text import amount
from meshup.steps.jobs import IMAGE, account, job
from meshup.steps.step import Draft, Drafted, Scope

PROBE = "meshup-probe"


class IngressGateway:
    """Puts a gateway in front and routes every host and path; what really answers is proven by a probe in the cluster."""

    kind: ClassVar[str] = "ingress-gateway"
    title: ClassVar[str] = "the ingress gateway routes every host and path"
    params: ClassVar[Mapping[str, tuple[type, Any, str]]] = {
        "probe": (bool, True, "run a Job in the cluster that asks the gateway for every host and path"),
        "image": (str, IMAGE, "image of the probe"),
    }
    needs: ClassVar[frozenset[str]] = frozenset({"ingress-gateway"})

    def draft(self, scope: Scope) -> Drafted:
        """Give the gateway's objects, the probe's, and the handoff when the runbook has one."""
        ingress = scope.book.ingress
        if ingress is None:
            return Drafted(right=("the runbook has no ingress",))
        if not ingress.hosts:
            return Drafted(problems=(_no_hosts(ingress),))
        problems: list[Problem] = []
        drafts: list[Draft] = []
        right: list[str] = []
        installed = scope.book.mesh.revision in scope.driver.installed(scope.snapshot)
        for body in scope.driver.gateway(ingress, scope.book.mesh):
            ref = ref_of(body)
            found = scope.snapshot.get(ref)
            if found is not None and not is_managed(found):
                if ref.kind == "Namespace":
                    right.append(f"{ref} is there already")
                    continue
                problems.append(_foreign(str(ref)))
                continue
            uid = str(found["metadata"].get("uid") or "") if found is not None else ""
            change = Apply(on=ref, body=body, before=body if found is not None else None, uid=uid)
            after = "" if installed or found is not None or ref.kind == "Namespace" else scope.stage.name
            drafts.append(
                Draft(change=change, step=self.kind, summary=f"{'change' if found else 'new'} {ref}", after=after)
            )
        if drafts and scope.params.get("probe", True):
            drafts += _probe(scope, ingress)
        if ingress.handoff is not None:
            drafts.append(_handoff(scope, ingress))
        notes = tuple(f"not translated: {each}" for each in ingress.untranslated)
        return Drafted(drafts=tuple(drafts), problems=tuple(problems), right=tuple(right), notes=notes)


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


def _probe(scope: Scope, ingress: Ingress) -> list[Draft]:
    service = scope.driver.gateway_service(ingress)
    asked = [
        {"host": host.host, "path": path.path, "expect": path.expect, "tls": bool(host.tls_secret)}
        for host in ingress.hosts
        for path in host.paths
    ]
    base = f"http://{service.name}.{service.namespace}.svc.cluster.local"
    arguments = ["probe", "--gateway", base, "--ask", json.dumps(asked, separators=(",", ":"), sort_keys=True)]
    image = str(scope.params.get("image") or IMAGE)
    body: Object = job(PROBE, arguments, account=PROBE, image=image, pods=1, outside=scope.driver.outside())
    owner = account(PROBE)
    step = IngressGateway.kind
    return [
        Draft(
            change=Apply(on=ref_of(owner), body=owner),
            step=step,
            summary=f"new {ref_of(owner)}",
            risk="none",
            beside=True,
        ),
        Draft(
            change=Create(on=ref_of(body), body=body),
            step=step,
            summary=f"probe {amount(len(asked), 'path')} through the gateway",
            risk="none",
            beside=True,
        ),
        Draft(
            change=Delete(on=ref_of(body), uid="", before=body),
            step=step,
            summary="remove the probe",
            place="closing",
            risk="none",
        ),
        Draft(
            change=Delete(on=ref_of(owner), uid="", before=owner),
            step=step,
            summary=f"remove {ref_of(owner)}",
            place="closing",
            risk="none",
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
