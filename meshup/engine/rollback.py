"""The way back of one service as a plan: to a release that is installed, or out of the mesh; recorded before the act."""

from __future__ import annotations

import difflib
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, timedelta

from meshup.cluster.clock import server_now
from meshup.cluster.errors import Forbidden
from meshup.engine.assembling import assembled, gate_of
from meshup.engine.draft import completed
from meshup.engine.drift import wanted_values
from meshup.engine.healthy import default_target
from meshup.engine.history import needed_book
from meshup.engine.pinning import name_of, superseded
from meshup.engine.planning import driver_of, snapshot_for
from meshup.engine.refusals import not_theirs
from meshup.engine.running import asked, release_now, running
from meshup.engine.send import overtaken
from meshup.engine.session import Session
from meshup.engine.settle import ROLLED
from meshup.engine.targets import NONE, Target, able, possible, refused, target
from meshup.engine.undo import inverse
from meshup.journal.home import RUN
from meshup.journal.ledger import is_open, pins, readable
from meshup.journal.pin import groups_digest, pin_name, to_body
from meshup.meshes.driver import Driver, Enrolment
from meshup.model.change import Apply, Change, Label, Restart
from meshup.model.duration import span
from meshup.model.fields import pointer
from meshup.model.ledger import Pin, Running
from meshup.model.objects import TEMPLATE_PATH, Object, annotated, dig, ref_of
from meshup.model.plan import Plan, PlannedChange, PlannedStage, PlannedWave
from meshup.model.problem import UsageError
from meshup.model.runbook import Runbook, Service
from meshup.model.snapshot import Snapshot
from meshup.model.text import amount

MOST = timedelta(days=14)
LIFT = "lift"
"""The stage that takes strict mode off a service before it leaves the mesh."""
AFTER = ("workloads-ready", "proxies-right")


def service_plan(
    session: Session,
    service: str,
    *,
    to: str,
    reason: str,
    until: timedelta,
    book: Runbook | None = None,
    context: str = "",
    nonce: str = "",
    name: str = "",
) -> Plan:
    """Plan to take one service to a release that is installed, or out of the mesh (to="none").

    service: "name" or "namespace/name". until: how long it is meant to stay. book: None = that of the newest run.
    to: "" = the newest supported release that it was healthy on, by what is on record. nonce: makes the record's name;
    random when empty. name: of the record, where that follows from something else. Raises UsageError (MU3401, MU3405,
    MU3407) and Refused (MU3402-MU3404, MU3406).
    """
    meant = book or needed_book(session)
    chosen = find_service(meant, service)
    if not timedelta(0) < until <= MOST:
        raise too_long(span(until.total_seconds()))
    driver = driver_of(session, meant)
    snapshot = snapshot_for(session, driver, context=context, spaces=spaces_of(meant, chosen))
    installed = driver.installed(snapshot)
    now = running((chosen,), snapshot, driver)[0]
    because = ""
    if not to:
        best = default_target(session, chosen, snapshot, installed, now=release_now(now))
        if best is None:
            raise _unknown(chosen, able(installed, snapshot))
        to, because = best.release, f"chosen: {best.release} is the newest supported release it was well on. {best.why}"
    aim = target(installed, snapshot, chosen, to)
    workload, enrolment = _enrolment(session, driver, snapshot, chosen, aim.revision)
    pin = _pin(
        session,
        chosen,
        snapshot,
        workload_uid=str(dig(workload, "metadata", "uid") or ""),
        before=(release_now(now), enrolment.revision_before or now.revision),
        after=aim,
        reason=reason,
        until=until,
        nonce=nonce or secrets.token_hex(8),
    )
    notes = [because] if because else []
    notes += [
        f"ends: once this is in effect, MeshPin {name_of(each)} of {each.asker}, which holds it on "
        f"{each.to_release or 'none'} until {each.ends}: {each.reason}"
        for each in superseded(readable(snapshot.pins)[0], pin)
    ]
    notes += [f"target: {aim.words}", *(() if aim.revision else refusers(driver, chosen, snapshot, meant))]
    return _moving(session, meant, chosen, snapshot, replace(pin, name=name or pin.name), notes=notes)


def plan_of_pin(session: Session, book: Runbook, pin: Pin, *, context: str = "") -> Plan:
    """Plan anew what a recorded pin asks for, from the cluster as it is now. book: with that service in it.

    Raises Refused: MU3402 when its revision went meanwhile, MU3403, MU2206 when another owner's pin moved it first.
    """
    chosen = find_service(book, f"{pin.namespace}/{pin.service}")
    driver = driver_of(session, book)
    snapshot = snapshot_for(session, driver, context=context, spaces=spaces_of(book, chosen))
    if pin.to_revision:
        target(driver.installed(snapshot), snapshot, chosen, pin.to_revision)
    mark = annotated(snapshot.get(chosen.workload) or {}).get(RUN, "")
    # A mark outlives a move by hand: who moved first is whose move the workload still stands at.
    at = asked(chosen, snapshot, driver)
    for each in pins(session.cluster, namespace=pin.namespace):
        others = each.name == mark and each.name != pin.name and is_open(each)
        if others and pin.from_revision != each.to_revision == at:
            raise overtaken(chosen.workload, f"{each.user} (MeshPin {each.namespace}/{each.name})")
    return _moving(session, book, chosen, snapshot, pin)


def too_long(asked: str) -> UsageError:
    """Make the error of a rollback that would last for nothing, or for longer than one may. asked: as it was written."""
    return UsageError(
        f"a rollback lasts longer than nothing and at most {MOST.days} days; asked for was {asked}",
        code="MU3405",
        why="it is temporary: the time is for mending the cause, and a further rollback prolongs it",
        fix="--until 7d, or any length up to 14d such as 90m or 12h",
        cluster="not contacted",
    )


def spaces_of(book: Runbook, service: Service) -> tuple[str, ...]:
    """Name the namespaces that a service's owner must be able to read: their own, and the control plane's."""
    return (service.namespace, book.mesh.namespace)


def _enrolment(
    session: Session, driver: Driver, snapshot: Snapshot, service: Service, revision: str
) -> tuple[Object, Enrolment]:
    # What was not listed may be there and not readable, which asking for it alone says.
    try:
        workload = snapshot.get(service.workload) or session.cluster.find(service.workload)
    except Forbidden as refusing:
        raise not_theirs(session, service.namespace, [f"get {service.workload.kind} {service.name}"]) from refusing
    if workload is None:
        raise refused(service, "MU3403", f"{service.workload} is not there", "meshup status shows what is")
    enrolment = driver.enrolment(workload, snapshot, revision or None)
    if enrolment.blocked:
        way_out = enrolment.way_out or "mend what it names, then run the command again"
        raise refused(service, "MU3403", enrolment.blocked, way_out)
    return workload, enrolment


def _moving(
    session: Session, book: Runbook, service: Service, snapshot: Snapshot, pin: Pin, *, notes: Sequence[str] = ()
) -> Plan:
    """Plan what a pin asks for. The plan's runbook holds this service alone: it is stored in the pin."""
    driver = driver_of(session, book)
    revision, to = pin.to_revision, pin.to_release or NONE
    workload, enrolment = _enrolment(session, driver, snapshot, service, revision)
    now = running((service,), snapshot, driver)[0]
    late = any(each != pin.to_release for each, _ in now.releases)
    changes = _move(service, enrolment, workload, late=late, mark=pin.name)
    moving = tuple(
        _change("rollback/1", each, step="rollback", summary=f"{service.id} goes to {to}", service=service.id)
        for each in changes
    )
    kinds = [kind for kind in AFTER if kind in session.gates] if moving else []
    wanted = {"release": to, "revision": revision}
    most_s = sum(session.gates[kind].patience.limit_s for kind in kinds)
    said = [*notes, *_said(service, now, changes, pin=pin, most_s=most_s)]
    gates = tuple(gate_of(session, kind, "rollback", params=wanted) for kind in kinds)
    wave = PlannedWave(name="", changes=moving, gates=gates, services=(service.id,))
    stages = [PlannedStage(name="rollback", waves=(wave,))]
    lifting = _lift(driver, service, snapshot, book) if not revision else ()
    if lifting:
        stages.insert(0, PlannedStage(name=LIFT, waves=(PlannedWave(name="", changes=lifting, gates=()),)))
    return assembled(
        replace(book, services=(service,), waves=(), stages=()),
        snapshot,
        stages,
        kind="rollback-service",
        revision=revision,
        release=pin.to_release,
        pin=to_body(pin),
        notes=tuple(said),
    )


def _said(service: Service, now: Running, changes: Sequence[Change], *, pin: Pin, most_s: float) -> Sequence[str]:
    """Say before the act what restarts, how long that may take, and until when it is meant to stay."""
    pods = sum(count for _, count in now.releases)
    moves = f"{service.workload}, {amount(pods, 'pod')}, paced by its own strategy; verified within {span(most_s)}, or taken back"
    return (
        f"restarts: {moves if changes else 'nothing: it is there already'}",
        f"lasts: until {pin.until:%Y-%m-%d %H:%MZ}; from then on listed as overdue, and never moved silently",
    )


def refusers(driver: Driver, service: Service, snapshot: Snapshot, book: Runbook) -> tuple[str, ...]:
    """Name strict services: outside the mesh a service calls in plaintext, and they refuse that."""
    strict = [
        each.id
        for each in book.services
        if each.opt_in is not None and each != service and not each.client_only and driver.is_strict(each, snapshot)
    ]
    if not strict:
        return ()
    more = f" and {len(strict) - 3} more" if len(strict) > 3 else ""
    return (f"{service.id} will call in plaintext, which is refused by {', '.join(strict[:3])}{more}",)


def find_service(book: Runbook, service: str) -> Service:
    """Find a service by id, or by name when that says which. Raises UsageError (MU3401)."""
    found = [each for each in book.services if service in (each.id, each.name)]
    if len(found) == 1:
        return found[0]
    near = difflib.get_close_matches(service, [name for each in book.services for name in (each.id, each.name)], n=3)
    several = ", ".join(each.id for each in found)
    raise UsageError(
        f'the runbook has {len(found) or "no"} service{"s" if found else ""} "{service}"',
        code="MU3401",
        why=f"these: {several}"
        if found
        else f"near it: {', '.join(near)}"
        if near
        else f"it has {len(book.services)} others",
        fix="name it as NAMESPACE/NAME" if found else "correct the name, or name it as NAMESPACE/NAME",
        cluster="nothing was changed",
    )


def choices(session: Session, book: Runbook | None = None) -> tuple[tuple[str, str], ...]:
    """Give (release, revision) pairs that a service could go to now, "none" last."""
    meant = book or needed_book(session)
    driver = driver_of(session, meant)
    spaces = tuple(dict.fromkeys(each for service in meant.services for each in spaces_of(meant, service)))
    snapshot = snapshot_for(session, driver, spaces=spaces)
    installed = driver.installed(snapshot)
    may = set(able(installed, snapshot))
    return (*sorted((release, revision) for revision, release in installed.items() if release in may), (NONE, ""))


def _unknown(service: Service, able: Sequence[str]) -> UsageError:
    return UsageError(
        f"nothing on record says on which release {service.id} was well, and no release was named",
        code="MU3407",
        fix=possible(able, service),
        cluster="nothing was changed",
    )


def _lift(driver: Driver, service: Service, snapshot: Snapshot, book: Runbook) -> tuple[PlannedChange, ...]:
    """Take strict mode off a service that leaves the mesh: nobody could call it any more."""
    if not driver.is_strict(service, snapshot):
        return ()
    against = driver.policy_conflicts((service,), snapshot, level="workload")
    if against:
        raise refused(service, "MU3403", f"its strict mode can't be lifted: {against[0]}", "ask that policy's owner")
    policies = driver.policies((service,), snapshot, book.mesh, level="workload", mode="permissive")
    return tuple(
        _change(
            f"{LIFT}/{number}",
            completed(Apply(on=ref_of(policy.body), body=policy.body), snapshot),
            step="permissive",
            summary=f"lift strict mode of {service.id}, as it leaves the mesh",
            service=service.id,
        )
        for number, policy in enumerate(policies, 1)
    )


def _move(service: Service, enrolment: Enrolment, workload: Object, *, late: bool, mark: str) -> list[Change]:
    """Give the one write that moves a service's pods; none when template and pods are right already."""
    uid, marks = str(dig(workload, "metadata", "uid") or ""), (annotated(workload).get(RUN, ""),)
    if not enrolment.right:
        return [
            Label(
                on=service.workload,
                at=enrolment.at,
                set=enrolment.set,
                before=enrolment.before,
                annotations=enrolment.annotations,
                annotations_before=enrolment.annotations_before,
                uid=uid,
                force=tuple(pointer((*enrolment.at, key)) for key, value in enrolment.before.items() if value),
                marks=marks,
            )
        ]
    if late and service.workload.kind in ROLLED:
        path = (*TEMPLATE_PATH[service.workload.kind], "metadata", "annotations", "meshup.dev/restart")
        return [Restart(on=service.workload, value=mark, before=dig(workload, *path), uid=uid, marks=marks)]
    return []


def _change(id_: str, change: Change, *, step: str, summary: str, service: str) -> PlannedChange:
    return PlannedChange(
        id=id_,
        step=step,
        change=change,
        inverse=inverse(change),
        known="not checked",
        summary=summary,
        service=service,
        fields=tuple(sorted(wanted_values(change))),
    )


def _pin(
    session: Session,
    service: Service,
    snapshot: Snapshot,
    *,
    workload_uid: str,
    before: tuple[str, str],
    after: Target,
    reason: str,
    until: timedelta,
    nonce: str,
) -> Pin:
    """Make the record; one that was written for the same wish and never acted on is used again."""
    known, _ = readable(snapshot.pins)
    for there in known:
        same = (there.workload_uid, there.user, (there.to_release, there.to_revision)) == (
            workload_uid,
            session.identity.user,
            (after.release, after.revision),
        )
        if same and there.phase == "Requested" and there.until > server_now(session.clock):
            return there
    since = server_now(session.clock).astimezone(UTC).replace(microsecond=0)
    # Whoever decides in view of another pin is later than it, whatever the clocks say.
    since = max([since, *(each.since + timedelta(seconds=1) for each in known if each.workload_uid == workload_uid)])
    name = pin_name(
        cluster_uid=snapshot.cluster_uid,
        service=service.id,
        workload_uid=workload_uid,
        from_release=before[0],
        to_release=after.release,
        user=session.identity.user,
        nonce=nonce,
    )
    return Pin(
        name=name,
        namespace=service.namespace,
        service=service.name,
        workload=service.workload,
        workload_uid=workload_uid,
        from_release=before[0],
        from_revision=before[1],
        to_release=after.release,
        to_revision=after.revision,
        to_digest=after.digest,
        user=session.identity.user,
        user_uid=session.identity.uid,
        user_groups_digest=groups_digest(session.identity.groups),
        reason=reason,
        since=since,
        until=since + until,
        on_behalf_of=session.on_behalf_of,
        on_behalf_trust=session.on_behalf_trust or ("declared" if session.on_behalf_of else ""),
    )
