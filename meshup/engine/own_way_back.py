"""An owner takes their service back: recorded first, handed over by any run, performed with no right beyond their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from meshup.engine.ending import own_pins
from meshup.engine.handover import await_yield
from meshup.engine.history import needed_book, no_run
from meshup.engine.holding import Run
from meshup.engine.log import RunLog
from meshup.engine.performing import perform
from meshup.engine.pinning import copy_pin, name_of, settle_pin, write_pin
from meshup.engine.place import places
from meshup.engine.planfile import parse, text_of
from meshup.engine.refusals import check_cluster
from meshup.engine.rollback import LIFT, find_service, plan_of_pin
from meshup.engine.running import runs_now
from meshup.engine.session import Session
from meshup.journal.home import HOME
from meshup.journal.in_pin import PinStore
from meshup.journal.ledger import holding, pins
from meshup.journal.runs import beside
from meshup.model.change import Delete
from meshup.model.events import Noted, Outcome
from meshup.model.journal import Started, TakenOver
from meshup.model.ledger import Pin
from meshup.model.plan import Plan
from meshup.model.problem import Exit, MeshupError, Refused, Unreachable
from meshup.model.runbook import Runbook

SAID = ("chosen", "ends", "target", "restarts", "lasts")
LOST = frozenset({"MU2201", "MU2204", "MU2205", "MU2206", "MU2317", "MU3402", "MU3403", "MU3404", "MU3406"})
"""Ends of a rollback that will not be gone on with: the workload, or the revision, is not what it was decided on."""


def take_back(session: Session, plan: Plan) -> Outcome:
    """Perform a service's way back; a call that was cut off goes on where it was. Raises what happens before the record."""
    asked = _check_rights(session, plan)
    _announce(session, plan, asked)
    pin = write_pin(session, plan)
    assert pin is not None
    return _perform(session, plan, pin)


def _announce(session: Session, plan: Plan, asked: int) -> None:
    """Say before the act who may, what restarts, how long it may take and until when it is meant to stay."""
    allowed = f"{session.identity.user} may: all {asked} rights that it takes are held, and nobody else is asked"
    session.watcher.tell(Noted(at=session.clock.now(), word="allowed", text=allowed))
    for note in plan.notes:
        word, _, text = note.partition(": ")
        known = word in SAID and bool(text)
        session.watcher.tell(
            Noted(at=session.clock.now(), word=word if known else "note", text=text if known else note)
        )


def resume_own(session: Session, service: str, *, book: Runbook | None = None) -> Outcome:
    """Go on with the recorded rollback of a service. service: as in `service_plan`. Raises Refused (MU2305)."""
    namespace, _, name = service.rpartition("/")
    if not namespace:
        meant = book or needed_book(session)
        namespace, name = find_service(meant, service).id.split("/")
    pin = holding(pins(session.cluster, namespace=namespace), namespace=namespace, service=name)
    if pin is None or (pin.phase == "Active" and not pin.run):
        raise no_run(
            f"no rollback of {namespace}/{name} is on record",
            fix=f"meshup rollback {namespace}/{name} --to RELEASE --reason TEXT --until 7d",
        )
    if pin.phase == "Active":
        kept = f"nothing was written: MeshPin {name_of(pin)} is in force already"
        return Outcome(exit=0, run=pin.name, plan="", kind="rollback-service", kept=kept, next=(own_pins(pin),))
    stored = PinStore(session.cluster, pin).plan()
    if stored:
        return _perform(session, parse(stored, where=f"MeshPin {name_of(pin)}"), pin)
    return _perform(session, plan_of_pin(session, book or needed_book(session), pin), pin)


def _perform(session: Session, plan: Plan, pin: Pin) -> Outcome:
    inside = PinStore(session.cluster, pin)
    entries = inside.entries()
    if not entries:
        copy_pin(session, pin)
    stored = inside.plan() if entries else ""
    if stored:
        plan = parse(stored, where=f"MeshPin {name_of(pin)}")
    check_cluster(session, plan)
    run = Run(session, plan, locked=False)
    store = beside(inside, session.journal_folder)
    log = RunLog(session, store, entries, epoch=run.take_lock())
    undone = _undone(log) if entries else ""
    if undone:
        settle_pin(session, pin, run=pin.name, failed=undone)
        return _outcome(plan, pin, "the service is back as it was, verified", code="MU3112", why=undone)
    try:
        busy = await_yield(session, pin, pause=run.pause)
        if entries:
            log.append(TakenOver(at=log.now(), epoch=log.epoch, user=session.identity.user, host=session.holder.host))
        else:
            # What a run did to the service until it yielded is seen now; the plan that was shown is of before.
            plan = plan_of_pin(session, plan.book, pin, context=plan.context)
            run = Run(session, plan, locked=False)
            if not plan.changed and busy:
                raise _busy(pin, busy)
            if not plan.changed:
                renewed = _renews(session, pin)
                settle_pin(session, pin, run=pin.name, observed=_observed(session, plan, pin))
                return _outcome(plan, pin, renewed or "only the MeshPin was written; the service is where it should be")
            inside.begin(text_of(plan))
            log.append(_started(session, plan, pin, log))
    except MeshupError as stopped:
        if stopped.code in LOST:
            settle_pin(session, pin, run=pin.name, failed=f"{stopped.what}: {stopped.why}")
        raise
    outcome = perform(run, log, places(plan), through="", how="resumed" if entries else "started")
    if outcome.exit == Exit.DONE:
        settle_pin(session, pin, run=pin.name, observed=_observed(session, plan, pin))
    elif outcome.exit == Exit.UNDONE or (outcome.code in LOST and not log.state.done):
        settle_pin(session, pin, run=pin.name, failed=outcome.why)
    return outcome


def _observed(session: Session, plan: Plan, pin: Pin) -> Sequence[tuple[str, int]]:
    """Read from the running pods, and never from labels, what the service runs now that it is verified."""
    service = find_service(plan.book, f"{pin.namespace}/{pin.service}")
    return runs_now(session.cluster, service, session.drivers[plan.driver]).releases


def _renews(session: Session, pin: Pin) -> str:
    """Say that an earlier pin to the same release goes on under this one; "" = there is none."""
    earlier = [each for each in pins(session.cluster, namespace=pin.namespace) if each.name != pin.name]
    held = holding(earlier, namespace=pin.namespace, workload_uid=pin.workload_uid, service=pin.service)
    if held is None or held.to_release != pin.to_release:
        return ""
    return f"renewed until {pin.ends}: MeshPin {name_of(held)} of {held.asker} ends, its release stays, and nothing restarts"


def _busy(pin: Pin, run: str) -> Refused:
    """Make the error of a service that is where it should be, while a run may still be about to move it."""
    return Refused(
        f"run {run} has begun to change {pin.namespace}/{pin.service} and has not let go of it",
        code="MU2304",
        why="the service is where the pin wants it now, and that run may still move it",
        fix=f"meshup rollback {pin.namespace}/{pin.service} --resume, when the run has ended or goes on",
        cluster=f"only MeshPin {name_of(pin)} was written: the run leaves the service alone once it sees it",
    )


def _undone(log: RunLog) -> str:
    return next((log.state.because[place] for place, how in log.state.places.items() if how == "undone"), "")


def _outcome(plan: Plan, pin: Pin, kept: str, *, code: str = "", why: str = "") -> Outcome:
    ends = int(Exit.UNDONE if code else Exit.DONE)
    return Outcome(
        exit=ends, run=pin.name, plan=plan.id, kind=plan.kind, kept=kept, code=code, why=why, next=(own_pins(pin),)
    )


def _started(session: Session, plan: Plan, pin: Pin, log: RunLog) -> Started:
    return Started(
        at=log.now(),
        run=pin.name,
        plan=plan.digest,
        plan_kind=plan.kind,
        user=session.identity.user,
        epoch=log.epoch,
        cluster_uid=plan.cluster_uid,
        host=session.holder.host,
        on_behalf_of=session.on_behalf_of,
        gates=tuple(plan.asks()),
    )


def _check_rights(session: Session, plan: Plan) -> int:
    """Ask for every right before anything is recorded, and give how many those are. Raises Unreachable (MU7101) with all that are missing."""
    assert plan.pin is not None
    own = str(plan.pin["metadata"]["namespace"])
    wanted = [("list", "configmaps", HOME), ("create", "meshup.dev/meshpins", own)]
    wanted.append(("patch", "meshup.dev/meshpins/status", own))
    served = session.cluster.kinds()
    lifting: set[tuple[str, str, str]] = set()
    for each in plan.changes():
        on = each.change.on
        kind = served.get((on.api_version, on.kind))
        if kind is not None:
            group = on.api_version.rpartition("/")[0]
            verb = "delete" if isinstance(each.change, Delete) else "patch"
            wanted.append((verb, f"{group}/{kind.plural}" if group else kind.plural, on.namespace))
            if each.id.startswith(f"{LIFT}/"):
                lifting.add(wanted[-1])
    asked = list(dict.fromkeys(wanted))
    answers = session.cluster.gather([_asking(session, *each) for each in asked])
    missing = [each for each, may in zip(asked, answers, strict=True) if not may]
    if missing:
        lifts = all(each in lifting for each in missing)
        raise Unreachable(
            f"{session.identity.user} may not do what this rollback needs",
            code="MU7101",
            details=tuple(f"{verb} {what} in {namespace}" for verb, what, namespace in missing),
            why="templates/rbac/owner.yaml holds the rights of an owner"
            + (
                "; to leave the mesh under strict mode a policy is changed, which only the role operator may"
                if lifts
                else ""
            ),
            fix="somebody with the role operator runs the same command, or grants this right; going to a release takes none of it"
            if lifts
            else "somebody who may grant rights grants these; then the command again",
            cluster="nothing was changed, and nothing was recorded",
        )
    return len(asked)


def _asking(session: Session, verb: str, what: str, namespace: str) -> Callable[[], bool]:
    return lambda: session.cluster.can_i(verb, what, namespace=namespace)
