"""Perform a plan: lock, journal, stage by stage, and stop at the first gate that does not hold."""

from __future__ import annotations

from collections.abc import Sequence

from meshup.engine.drift import moved, stale
from meshup.engine.ending import after, ended, left_of, of_error, result, stays
from meshup.engine.fold import RunState
from meshup.engine.history import newest_run
from meshup.engine.holding import Run
from meshup.engine.log import RunLog
from meshup.engine.pinning import settle_pin, write_pin
from meshup.engine.place import Place, places
from meshup.engine.planfile import text_of
from meshup.engine.refusals import blocked, check_cluster, interrupted_run, refuse_stale
from meshup.engine.session import Session
from meshup.engine.wave import Held, WaveRun
from meshup.journal.plans import keep_plan
from meshup.journal.runs import open_store
from meshup.model.events import Outcome, RunStarted
from meshup.model.journal import Started, TakenOver
from meshup.model.plan import Plan
from meshup.model.problem import Exit, MeshupError, Refused
from meshup.model.verdict import Answer

AGAIN = "meshup apply --resume"
MENDED = (f"mend the cause, then: {AGAIN}", "or change the runbook, then: meshup plan")
CUT_OFF = "it was cut off while its guard was armed"
"""Why a wave is taken back that no gate judged; once it is back, it is done anew."""


def apply(session: Session, plan: Plan, *, through: str = "") -> Outcome:
    """Perform a plan, or go on with the run that already performs it. Raises only what happened before a run began."""
    check_cluster(session, plan)
    wanted = places(plan, through=through)
    if plan.blocked:
        raise blocked(plan)
    if not plan.changed:
        write_pin(session, plan)
        settle_pin(session, plan, run="")
        kept = "nothing was written: it is as the runbook says" if plan.kind == "apply" else "nothing was written"
        if plan.pin:
            kept = "only the MeshPin was written; the service is where it should be"
        return Outcome(exit=0, run="", plan=plan.id, kind=plan.kind, kept=kept, next=("meshup status",))
    before = newest_run(session)
    state = before[0] if before is not None else None
    if state is not None and state.plan == plan.digest and not _restarts(state):
        if _all_done(state, wanted):
            return _done_already(session, plan, state, wanted)
        return _go_on(session, plan, state, wanted, through=through)
    if state is not None and state.open and state.run != plan.takes_back:
        raise interrupted_run(state)
    refuse_stale(session, plan, plan.basis, run="", changed=False)
    return _begin(session, plan, wanted, through=through)


def resume(session: Session, *, run: str = "", through: str = "") -> Outcome:
    """Go on with the newest run (or a named one), as far as it was asked to go unless told otherwise.

    Raises Refused (MU2305) when there is none. One that is through already is left alone: nothing is written.
    """
    found = newest_run(session, run=run)
    if found is None:
        raise Refused(
            f"there is no run {run} to resume" if run else "there is no run to resume",
            code="MU2305",
            fix="meshup plan, then meshup apply",
            cluster="nothing was changed",
        )
    state, read = found
    plan = read()
    check_cluster(session, plan)
    wanted = places(plan, through=through or state.through)
    if _all_done(state, wanted) and not state.open:
        return _done_already(session, plan, state, wanted)
    return _go_on(session, plan, state, wanted, through=through or state.through)


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
        [each for each in plan.basis if each.on in refs and each.uid],
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
    )


def _begin(session: Session, plan: Plan, wanted: Sequence[Place], *, through: str) -> Outcome:
    run = Run(session, plan)
    run.must_be_permitted()
    write_pin(session, plan)
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
    return _perform(run, log, wanted, through=through, how="started")


def _go_on(session: Session, plan: Plan, state: RunState, wanted: Sequence[Place], *, through: str) -> Outcome:
    run = Run(session, plan)
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
    return _perform(run, log, wanted, through=through, how="taken-over" if run.lock.took_over else "resumed")


def _perform(run: Run, log: RunLog, wanted: Sequence[Place], *, through: str, how: str) -> Outcome:
    session, plan = run.session, run.plan
    session.watcher.tell(
        RunStarted(
            at=session.clock.now(),
            run=log.state.run,
            plan=plan.id,
            how=how,
            user=session.identity.user,
            epoch=log.epoch,
            changes=sum(len(each.changes()) for each in wanted),
        )
    )
    compared: set[str] = set()
    try:
        for place in wanted:
            if log.state.places.get(place.name) == "done":
                continue
            outcome = _one_place(run, log, place, compare=place.stage.name not in compared)
            compared.add(place.stage.name)
            if outcome is not None:
                return ended(run, log, outcome, place.name)
        log.finished(through=through)
        settle_pin(session, plan, run=log.state.run)
        return result(
            run, log, Outcome(exit=0, run="", plan="", kind="", kept=stays(plan), next=(after(plan, log.state),))
        )
    except MeshupError as stopped:
        return ended(run, log, of_error(stopped), _current(log, wanted))
    finally:
        run.let_go()


def _current(log: RunLog, wanted: Sequence[Place]) -> str:
    return next((each.name for each in wanted if log.state.places.get(each.name) != "done"), "")


def _one_place(run: Run, log: RunLog, place: Place, *, compare: bool) -> Outcome | None:
    """Perform one wave; None when it is done, else how the run ends. compare: with what the plan saw, first."""
    session, plan = run.session, run.plan
    wave = WaveRun(
        session,
        plan,
        wave=place.wave,
        place=place.name,
        log=log,
        cluster=run.writer,
        pause=run.pause,
        guard_beat=run.guard.aim,
    )
    if log.state.places.get(place.name) == "undoing":
        why = log.state.because[place.name]
        wave.undo(why)
        if why != CUT_OFF:
            return _undone(plan, place, why=why, details=())
    elif wave.is_cut_off():
        wave.undo(CUT_OFF)
    if compare or log.state.open:
        on = {each.change.on for one in place.stage.waves for each in (*one.opening, *one.changes, *one.closing)}
        basis = tuple(each for each in plan.basis if each.on in on)
        refuse_stale(session, plan, basis, run=log.state.run, changed=True, made=frozenset(log.state.made.values()))
    held = wave.perform()
    return None if held is None else _held(run, log, place, wave, held)


def _undone(plan: Plan, place: Place, *, why: str, details: tuple[str, ...]) -> Outcome:
    return Outcome(
        exit=int(Exit.UNDONE),
        run="",
        plan=plan.id,
        kind=plan.kind,
        code="MU3112",
        why=why,
        details=details,
        kept=f"{place.name} is back as it was, verified; what came before it stays",
        next=MENDED,
    )


def _held(run: Run, log: RunLog, place: Place, wave: WaveRun, held: Held) -> Outcome:
    verdict = held.judgement.judged.verdict
    why = f"{held.judgement.judged.kind}: {verdict.because}"
    details = tuple(verdict.names)
    plan = run.plan
    if held.before or not (place.wave.changes or plan.takes_back):
        wave.disarm()
        log.reached(place.name, "held", why)
        kept = f"{place.name} did not begin; what came before it stays"
        return Outcome(
            exit=int(Exit.GATE_HELD),
            run="",
            plan=plan.id,
            kind=plan.kind,
            code="MU3111",
            why=why,
            details=details,
            kept=kept,
            next=MENDED if verdict.answer is Answer.FAIL else (AGAIN, "meshup status"),
        )
    failed = verdict.answer is Answer.FAIL
    if failed and plan.takes_back:
        log.reached(place.name, "held", why)
        raise wave.not_back(why)
    if failed and (place.stage.on_fail == "undo" or place.wave.guard is not None):
        wave.undo(why)
        settle_pin(run.session, plan, run=log.state.run, failed=why)
        return _undone(plan, place, why=why, details=details)
    if place.wave.guard is not None:
        wave.undo(why)
        return Outcome(
            exit=int(Exit.GATE_HELD),
            run="",
            plan=plan.id,
            kind=plan.kind,
            code="MU3113",
            why=why,
            details=details,
            kept=f"{place.name} was taken back, because strict mode is not left on without evidence",
            next=(AGAIN, "meshup status"),
        )
    log.reached(place.name, "held", why)
    kept = f"{place.name} holds in place; nothing was taken back"
    return Outcome(
        exit=int(Exit.GATE_HELD),
        run="",
        plan=plan.id,
        kind=plan.kind,
        code="MU3113" if not failed else "MU3114",
        why=why,
        details=details,
        kept=kept,
        next=(AGAIN, f"meshup rollback --stage {place.stage.name}"),
    )
