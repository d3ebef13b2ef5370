"""Play a runbook on a cluster in memory: what would happen, where it would stop, and whether the way back works."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, timedelta
from typing import Any

from meshup.engine.execute import apply
from meshup.engine.place import places
from meshup.engine.planning import driver_of, plan_from, snapshot_for
from meshup.engine.session import Session
from meshup.engine.taking_back import run_plan
from meshup.engine.trial import Against, Counting, tried
from meshup.journal.approvals import approve
from meshup.journal.home import HOME
from meshup.model.journal import Approved
from meshup.model.objects import Object, Ref, annotated, dig
from meshup.model.plan import Plan
from meshup.model.runbook import Runbook
from meshup.model.snapshot import Snapshot
from meshup.model.standing import Rehearsal

COMPARED = frozenset(
    {
        "Namespace",
        "Service",
        "Deployment",
        "StatefulSet",
        "DaemonSet",
        "CronJob",
        "HorizontalPodAutoscaler",
        "PodDisruptionBudget",
        "Ingress",
        "MutatingWebhookConfiguration",
        "ValidatingWebhookConfiguration",
        "Gateway",
        "HTTPRoute",
    }
)


def rehearse(
    session: Session,
    book: Runbook,
    *,
    through: str = "",
    back: bool = True,
    accept: Sequence[str] = (),
    requests: Callable[[], int] = lambda: 0,
    against: Against | None = None,
) -> Rehearsal:
    """Plan and apply a runbook on the cluster of the session, which must be one in memory, then take the run back.

    Approvals are given by the rehearsal itself and named in the result. back: try the way back of the whole run after
    it, and compare what is there with the first state. requests: how many were sent so far, for the result. against: the
    bad release that the runbook is tried against, None = releases are good.
    """
    began = session.clock.elapsed()
    driver = driver_of(session, book)
    first = snapshot_for(session, driver)
    plan = plan_from(session, replace(book, cluster_uid=first.cluster_uid), first, driver, accept=accept)
    approved = _approve_all(session, plan)
    trial = None
    if against is None:
        outcome = apply(session, plan, through=through)
    else:
        counting = Counting(session.watcher, against.suffered)
        outcome = apply(replace(session, watcher=counting), plan, through=through)
        trial = tried(against, outcome, counting)
    taken = None
    left: tuple[str, ...] = ()
    if back and outcome.run:
        taken = apply(session, run_plan(session, outcome.run))
        left = differences(first, snapshot_for(session, driver))
    return Rehearsal(
        plan=plan,
        outcome=outcome,
        back=taken,
        left=left,
        virtual_s=session.clock.elapsed() - began,
        approved=approved,
        requests=requests(),
        trial=trial,
    )


def _approve_all(session: Session, plan: Plan) -> tuple[str, ...]:
    found = []
    now = session.clock.now().astimezone(UTC)
    for each in places(plan):
        if any(gate.kind == "approval" for gate in each.wave.asks()):
            at, until = (f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in (now, now + timedelta(days=3650)))
            approve(
                session.cluster, Approved(at=at, place=each.name, user="the rehearsal", plan=plan.digest, until=until)
            )
            found.append(each.name)
    return tuple(found)


def differences(first: Snapshot, last: Snapshot) -> tuple[str, ...]:
    """Compare two states field by field, one line each; what no way back removes is not counted.

    Left aside: what runs (pods, jobs, status), the marks and metadata that every write moves, meshup's own namespace,
    and namespaces and definitions that were made, which stay (RELIABILITY section 4).
    """
    before = {ref: _plain(obj) for ref, obj in first.objects.items() if _counts(ref, first)}
    after = {ref: _plain(obj) for ref, obj in last.objects.items() if _counts(ref, last)}
    found: list[str] = []
    for ref in sorted({*before, *after}):
        if ref not in after:
            found.append(f"{ref} is gone")
        elif ref not in before:
            if ref.kind != "Namespace":
                found.append(f"{ref} is left")
        else:
            found += [f"{ref}: {line}" for line in _unlike(before[ref], after[ref], "")]
    return tuple(found)


def _counts(ref: Ref, _snapshot: Snapshot) -> bool:
    return ref.kind in COMPARED and HOME not in (ref.namespace, ref.name)


def _plain(obj: Object) -> Object:
    meta = obj.get("metadata") or {}
    notes = {
        key: value
        for key, value in annotated(obj).items()
        if not key.startswith(("meshup.dev/", "deployment.kubernetes.io/"))
    }
    kept: dict[str, Any] = {"labels": dict(meta.get("labels") or {}), "annotations": notes}
    body = {key: value for key, value in obj.items() if key not in ("metadata", "status")}
    return {**_unmarked(body), "metadata": kept}


def _unmarked(body: Object) -> Object:
    """Give a body whose pod template carries none of meshup's marks: one of a restart stays, as it does nothing any more."""
    meta = dig(body, "spec", "template", "metadata") or {}
    marks = {key: value for key, value in (meta.get("annotations") or {}).items() if not key.startswith("meshup.dev/")}
    if marks == (meta.get("annotations") or {}):
        return body
    template = {**body["spec"]["template"], "metadata": {**meta, "annotations": marks}}
    return {**body, "spec": {**body["spec"], "template": template}}


def _unlike(one: Any, other: Any, at: str) -> list[str]:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        found: list[str] = []
        for key in sorted({*one, *other}):
            found += _unlike(one.get(key), other.get(key), f"{at}.{key}" if at else str(key))
        return found
    if one == other or (not one and not other):
        return []
    return [f"{at} was {one!r}, is {other!r}"]
