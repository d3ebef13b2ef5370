"""Perform a plan stage by stage with the lock or the pin in hand; stop at the first gate that does not hold."""

from __future__ import annotations

from collections.abc import Sequence

from meshup.engine import qualifying
from meshup.engine.capture import capture, suspects
from meshup.engine.ending import after, ended, of_error, result, stays
from meshup.engine.holding import Run
from meshup.engine.log import RunLog
from meshup.engine.place import Place, places
from meshup.engine.refusals import refuse_stale
from meshup.engine.summary import Summary
from meshup.engine.wave import Held, WaveRun
from meshup.gates.on_hold import NotOnHold
from meshup.model.events import Outcome, RunStarted
from meshup.model.plan import Plan
from meshup.model.problem import Exit, MeshupError
from meshup.model.verdict import Answer

CUT_OFF = "it was cut off while its guard was armed"
"""Why a wave is taken back that no gate judged; once it is back, it is done anew."""


def mended(plan: Plan) -> tuple[str, ...]:
    """Say how to go on where a gate failed."""
    return f"mend the cause, then: {plan.again}", "or change the runbook, then: meshup plan"


def perform(run: Run, log: RunLog, wanted: Sequence[Place], *, through: str, how: str) -> Outcome:
    """Perform the wanted places that are not done; every ending is journalled, and the lock is given back."""
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
    summary = Summary(run, log)
    summary.begin()
    outcome = None
    try:
        for place in wanted:
            if log.state.places.get(place.name) == "done":
                continue
            summary.at(place.name)
            held = _one_place(run, log, place, compare=place.stage.name not in compared)
            compared.add(place.stage.name)
            if held is not None:
                outcome = ended(run, log, held, place.name)
                return outcome
            qualifying.record(run, log, place)
        log.finished(through=through)
        done = Outcome(exit=0, run="", plan="", kind="", kept=stays(plan), next=(after(plan, log.state),))
        outcome = result(run, log, done)
        return outcome
    except MeshupError as stopped:
        outcome = ended(run, log, of_error(stopped), _current(log, wanted))
        return outcome
    finally:
        if outcome is not None:
            summary.end(outcome)
        run.let_go()


def _current(log: RunLog, wanted: Sequence[Place]) -> str:
    return next((each.name for each in wanted if log.state.places.get(each.name) != "done"), "")


def _one_place(run: Run, log: RunLog, place: Place, *, compare: bool) -> Outcome | None:
    """Perform one wave; None when it is done, else how the run ends. compare: with what the plan saw, first."""
    session, plan = run.session, run.plan
    wave = _wave_of(run, log, place)
    if log.state.places.get(place.name) == "undoing":
        why = log.state.because[place.name]
        _take_back(run, log, place, why)
        if why != CUT_OFF:
            return _undone(plan, place, why=why, details=())
    elif wave.is_cut_off():
        wave.undo(CUT_OFF)
    if compare or log.state.open:
        on = {each.change.on for one in place.stage.waves for each in one.writes()}
        basis = tuple(each for each in plan.basis if each.on in on)
        refuse_stale(session, plan, basis, run=log.state.run, changed=True, made=frozenset(log.state.made.values()))
    held = wave.perform()
    return None if held is None else _held(run, log, place, wave, held)


def _wave_of(run: Run, log: RunLog, place: Place) -> WaveRun:
    return WaveRun(
        run.session,
        run.plan,
        wave=place.wave,
        place=place.name,
        log=log,
        cluster=run.writer,
        pause=run.pause,
        guard_beat=run.guard.aim,
    )


def _take_back(run: Run, log: RunLog, place: Place, why: str) -> None:
    """Undo a wave, and every other leg of its stage where they are one way, the latest first.

    All of them are marked before the first is undone, so that one that is cut off goes on with this and not with the way
    forth.
    """
    legs = [place]
    if place.stage.together:
        marked = ("done", "undoing")
        siblings = [each for each in places(run.plan) if each.stage.name == place.stage.name]
        legs = [each for each in siblings if each == place or log.state.places.get(each.name) in marked]
    for each in legs:
        if log.state.places.get(each.name) != "undoing":
            log.reached(each.name, "undoing", why)
    for each in reversed(legs):
        _wave_of(run, log, each).undo(why)


def _ends(
    plan: Plan, how: Exit, code: str, *, why: str, details: tuple[str, ...], kept: str, on: tuple[str, ...]
) -> Outcome:
    """Give how a run ends at a place. on: the commands that go on. Its id is filled in by whoever closes it."""
    return Outcome(
        exit=int(how), run="", plan=plan.id, kind=plan.kind, code=code, why=why, details=details, kept=kept, next=on
    )


def _undone(plan: Plan, place: Place, *, why: str, details: tuple[str, ...]) -> Outcome:
    name = place.stage.name if place.stage.together else place.name
    kept = f"{name} is back as it was, verified; what came before it stays"
    return _ends(plan, Exit.UNDONE, "MU3112", why=why, details=details, kept=kept, on=mended(plan))


def _held(run: Run, log: RunLog, place: Place, wave: WaveRun, held: Held) -> Outcome:
    judged = held.judgement.judged
    verdict, plan = judged.verdict, run.plan
    on: tuple[str, ...]
    why, details, failed = f"{judged.kind}: {verdict.because}", tuple(verdict.names), verdict.answer is Answer.FAIL
    if held.before or not (place.wave.changes or plan.takes_back):
        wave.disarm()
        log.reached(place.name, "held", why)
        if failed and judged.kind == NotOnHold.kind:
            kept = f"{place.name} did not begin, so {plan.release} went no further; what came before it stays"
            on = (f"meshup report --version {plan.release}", f"when it may spread again: {plan.again}")
            return _ends(plan, Exit.GATE_HELD, "MU3121", why=why, details=details, kept=kept, on=on)
        kept = f"{place.name} did not begin; what came before it stays"
        on = mended(plan) if failed else (plan.again, "meshup status")
        return _ends(plan, Exit.GATE_HELD, "MU3111", why=why, details=details, kept=kept, on=on)
    if failed and plan.takes_back:
        log.reached(place.name, "held", why)
        raise wave.not_back(why)
    if failed:
        workloads = suspects(plan, place.wave, verdict)
        driver = run.session.drivers[plan.driver]
        log.captured(place.name, capture(run.session, driver, workloads, revision=plan.revision))
    has_way_back = any(each.inverse is not None for each in place.wave.changes)
    if failed and ((has_way_back and place.stage.on_fail == "undo") or place.wave.guard is not None):
        _take_back(run, log, place, why)
        return _undone(plan, place, why=why, details=details)
    if place.wave.guard is not None:
        wave.undo(why)
        kept = f"{place.name} was taken back, because strict mode is not left on without evidence"
        on = (plan.again, "meshup status")
        return _ends(plan, Exit.GATE_HELD, "MU3113", why=why, details=details, kept=kept, on=on)
    log.reached(place.name, "held", why)
    kept = f"{place.name} holds in place; nothing was taken back"
    on = mended(plan) if failed else (plan.again, "meshup status")
    if has_way_back:
        on = (plan.again, f"meshup rollback --stage {place.stage.name}")
    code = "MU3114" if failed else "MU3113"
    return _ends(plan, Exit.GATE_HELD, code, why=why, details=details, kept=kept, on=on)
