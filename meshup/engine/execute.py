"""Perform a plan, or go on with a run: what comes before its first write; engine/performing.py does the rest."""

from __future__ import annotations

from collections.abc import Sequence

from meshup.engine.drift import moved, stale
from meshup.engine.ending import after, left_of, steps_reached
from meshup.engine.fold import RunState
from meshup.engine.history import needed_run, newest_run
from meshup.engine.holding import Run
from meshup.engine.log import RunLog
from meshup.engine.own_way_back import take_back
from meshup.engine.performing import perform
from meshup.engine.place import Place, places
from meshup.engine.planfile import text_of
from meshup.engine.refusals import blocked, check_cluster, interrupted_run, refuse_stale, unheld
from meshup.engine.session import Session
from meshup.journal.plans import keep_plan
from meshup.journal.runs import open_store
from meshup.model.events import Outcome
from meshup.model.journal import Started, TakenOver
from meshup.model.plan import Plan


def apply(session: Session, plan: Plan, *, through: str = "") -> Outcome:
    """Perform a plan, or go on with the run that already performs it. Raises only what happened before a run began.

    A plan with a pin is the way back of one service: its owner performs it without the lock, beside any run.
    """
    check_cluster(session, plan)
    wanted = places(plan, through=through)
    if plan.blocked:
        raise blocked(plan)
    if plan.pin is not None:
        return take_back(session, plan)
    if not plan.changed:
        kept = "nothing was written: it is as the runbook says" if plan.kind == "apply" else "nothing was written"
        return Outcome(exit=0, run="", plan=plan.id, kind=plan.kind, kept=kept, next=("meshup status",))
    run = Run(session, plan)
    run.refuse_if_alive()
    before = newest_run(session)
    state = before[0] if before is not None else None
    if state is not None and state.plan == plan.digest and not _restarts(state):
        if _all_done(state, wanted):
            return _done_already(session, plan, state, wanted)
        return _go_on(run, state, wanted, through=through)
    if state is not None and state.open and state.run != plan.takes_back:
        raise interrupted_run(state)
    refuse_stale(session, plan, plan.basis, run="", changed=False)
    return _begin(run, wanted, through=through)


def resume(session: Session, *, run: str = "", through: str = "") -> Outcome:
    """Go on with the newest run (or a named one), as far as it was asked to go unless told otherwise.

    Raises Refused (MU2305) when there is none. One that is through already is left alone: nothing is written.
    """
    state, read = needed_run(session, run=run, fix="meshup plan, then meshup apply")
    plan = read()
    check_cluster(session, plan)
    wanted = places(plan, through=through or state.through)
    if _all_done(state, wanted) and not state.open:
        return _done_already(session, plan, state, wanted)
    return _go_on(Run(session, plan), state, wanted, through=through or state.through)


def _restarts(state: RunState) -> bool:
    """Tell whether a finished rollback of the same content is begun anew as a run of its own."""
    return state.plan_kind != "apply" and state.finished is not None


def _all_done(state: RunState, wanted: Sequence[Place]) -> bool:
    return all(state.places.get(each.name) == "done" for each in wanted)


def _done_already(session: Session, plan: Plan, state: RunState, wanted: Sequence[Place]) -> Outcome:
    changes = [change.change for each in wanted for change in each.wave.changes]
    refs = {each.on for each in changes}
    found = moved(
        session.cluster,
        [each for each in unheld(session, plan, plan.basis) if each.on in refs and each.uid],
        list(plan.changes()),
        run=state.run,
        made=frozenset(state.made.values()),
    )
    if found:
        raise stale(found, planned=len(plan.basis), taken_at=plan.taken_at, changed=True)
    far = f" through {wanted[-1].name}" if wanted and left_of(plan, state) else ""
    kept = f"nothing was written: run {state.run} performed the plan{far} already"
    if plan.kind != "apply":
        kept = f"nothing was written: the newest run, {state.run}, is a {plan.kind} and has ended"
    return Outcome(
        exit=0,
        run=state.run,
        plan=plan.id,
        kind=plan.kind,
        kept=kept,
        next=(after(plan, state),),
        places=tuple(state.places.items()),
        steps=steps_reached(plan, state),
    )


def _begin(run: Run, wanted: Sequence[Place], *, through: str) -> Outcome:
    session, plan = run.session, run.plan
    run.must_be_permitted()
    epoch = run.take_lock()
    try:
        keep_plan(run.writer, plan.digest, text_of(plan))
        name = f"{plan.id}-{epoch}"
        store = open_store(run.writer, name, epoch=epoch, folder=session.journal_folder)
        log = RunLog(session, store, (), epoch=epoch)
        log.append(
            Started(
                at=log.now(),
                run=name,
                plan=plan.digest,
                plan_kind=plan.kind,
                user=session.identity.user,
                epoch=epoch,
                cluster_uid=plan.cluster_uid,
                host=session.holder.host,
                on_behalf_of=session.on_behalf_of,
                through=through,
            )
        )
    except BaseException:
        run.let_go()
        raise
    return perform(run, log, wanted, through=through, how="started")


def _go_on(run: Run, state: RunState, wanted: Sequence[Place], *, through: str) -> Outcome:
    session = run.session
    run.must_be_permitted()
    epoch = run.take_lock()
    try:
        store = open_store(run.writer, state.run, epoch=epoch, folder=session.journal_folder)
        log = RunLog(session, store, store.entries(), epoch=epoch)
        log.append(
            TakenOver(at=log.now(), epoch=epoch, user=session.identity.user, host=session.holder.host, through=through)
        )
    except BaseException:
        run.let_go()
        raise
    return perform(run, log, wanted, through=through, how="taken-over" if run.took_over else "resumed")
