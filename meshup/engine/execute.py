"""Perform a plan: lock, journal, stage by stage, and stop at the first gate that does not hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC

from meshup.cluster.errors import ApiError
from meshup.cluster.ports import Writer
from meshup.engine.drift import moved, stale
from meshup.engine.fold import RunState, fold
from meshup.engine.log import RunLog
from meshup.engine.planfile import parse, text_of
from meshup.engine.session import Session
from meshup.engine.wait import Pause
from meshup.engine.wave import Held, WaveRun
from meshup.journal.lease import Lock
from meshup.journal.plans import keep_plan, read_plan
from meshup.journal.runs import heads, open_store
from meshup.model.events import Outcome, RunStarted, Waits
from meshup.model.journal import Judgement, Started, TakenOver
from meshup.model.objects import Ref
from meshup.model.plan import Basis, Plan, PlannedStage, PlannedWave
from meshup.model.problem import Exit, MeshupError, Refused, UsageError
from meshup.model.verdict import Answer

GUARD_BEAT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One wave in its stage."""

    name: str
    stage: PlannedStage
    wave: PlannedWave


def places(plan: Plan, *, through: str = "") -> tuple[Place, ...]:
    """Give the waves to perform, in order, up to and with `through` (STAGE or STAGE/WAVE). Raises UsageError."""
    found = [
        Place(name=f"{stage.name}/{wave.name}" if wave.name else stage.name, stage=stage, wave=wave)
        for stage in plan.stages
        for wave in stage.waves
    ]
    if not through:
        return tuple(found)
    last = max((number for number, each in enumerate(found) if through in (each.name, each.stage.name)), default=-1)
    if last < 0:
        if any(stage.name == through for stage in plan.stages):
            names = [stage.name for stage in plan.stages]
            before = set(names[: names.index(through) + 1])
            return tuple(each for each in found if each.stage.name in before)
        raise UsageError(
            f'the plan has no stage or wave "{through}"',
            code="MU2111",
            why=f"it has: {', '.join(dict.fromkeys([*(stage.name for stage in plan.stages), *(each.name for each in found)]))}",
            fix="correct --through",
            cluster="not contacted",
        )
    return tuple(found[: last + 1])


class GuardBeat:
    """Beats the guard's Lease while one is armed, so that the guard knows meshup is alive."""

    def __init__(self, session: Session, cluster: Writer) -> None:
        self._session, self._cluster = session, cluster
        self._lease: Ref | None = None
        self._last = float("-inf")

    def aim(self, lease: Ref | None) -> None:
        """Beat this Lease from now on, None = none."""
        self._lease, self._last = lease, float("-inf")
        self.beat()

    def beat(self) -> None:
        """Renew when it is time; a Lease that is gone is not an error here: gates judge the guard."""
        now = self._session.clock.elapsed()
        if self._lease is None or now - self._last < GUARD_BEAT_S:
            return
        renewed = self._session.clock.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        try:
            self._cluster.merge_patch(
                self._lease, {"spec": {"renewTime": renewed, "holderIdentity": self._session.holder.name}}
            )
        except ApiError:
            return
        self._last = now


class Run:
    """One process's part of a run."""

    def __init__(self, session: Session, plan: Plan) -> None:
        self.session, self.plan = session, plan
        self.lock = Lock(session.cluster, session.clock, session.holder, terms=session.lock_terms)
        self.writer = session.fenced(self.lock.fence)
        self.guard = GuardBeat(session, self.writer)
        self.pause = Pause(session, beat=self._beat, next_command="meshup apply --resume")
        self.began = session.clock.elapsed()

    def _beat(self) -> None:
        self.lock.beat()
        self.guard.beat()

    def take_lock(self) -> int:
        """Take the lock; waits for one that stands still."""

        def waiting(why: str, elapsed: float, limit: float) -> None:
            self.session.watcher.tell(
                Waits(
                    at=self.session.clock.now(),
                    place="",
                    gate="",
                    object="Lease meshup-system/meshup",
                    because=why,
                    elapsed_s=elapsed,
                    limit_s=limit,
                )
            )
            self.session.check_interrupt(next_command="meshup apply")
            self.session.clock.sleep(min(5.0, max(0.1, limit - elapsed)))

        def newest() -> int:
            return max((head.epoch for head in heads(self.session.cluster)), default=0)

        return self.lock.acquire(newest_epoch=newest, pause=waiting)


def newest_run(session: Session, *, run: str = "") -> tuple[RunState, Callable[[], Plan]] | None:
    """Read the newest run on record (or a named one) and how to get its plan; None when there is none."""
    known = heads(session.cluster)
    chosen = next((each for each in reversed(known) if not run or each.run == run), None)
    if chosen is None:
        return None
    store = open_store(session.cluster, chosen.run, epoch=chosen.epoch, folder=None)
    state = fold(store.entries())
    return state, lambda: parse(read_plan(session.cluster, state.plan), where=f"the plan of run {state.run}")


def apply(session: Session, plan: Plan, *, through: str = "") -> Outcome:
    """Perform a plan, or go on with the run that already performs it. Raises only what happened before a run began."""
    check_cluster(session, plan)
    wanted = places(plan, through=through)
    if plan.blocked:
        raise blocked(plan)
    if not any((*each.wave.opening, *each.wave.changes, *each.wave.closing) for each in wanted):
        return Outcome(exit=0, run="", plan=plan.id, kind=plan.kind, kept="nothing was written")
    before = newest_run(session)
    state = before[0] if before is not None else None
    if state is not None and state.plan == plan.digest and not _restarts(state):
        if _all_done(state, wanted):
            return _done_already(session, plan, state, wanted)
        return _go_on(session, plan, state, wanted, through=through, how="resumed")
    if state is not None and state.open and state.plan != plan.digest:
        raise _interrupted_run(state)
    _refuse_stale(session, plan, plan.basis, run="", changed=False)
    return _begin(session, plan, wanted, through=through)


def resume(session: Session, *, run: str = "", through: str = "") -> Outcome:
    """Go on with the newest run that is not finished. Raises Refused (MU2305) when there is none."""
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
    wanted = places(plan, through=through)
    if _all_done(state, wanted) and not state.open:
        return _done_already(session, plan, state, wanted)
    return _go_on(session, plan, state, wanted, through=through, how="resumed")


def _restarts(state: RunState) -> bool:
    """Tell whether a finished rollback of the same content is begun anew as a run of its own."""
    return state.plan_kind != "apply" and state.finished is not None


def _all_done(state: RunState, wanted: tuple[Place, ...]) -> bool:
    return all(state.places.get(each.name) == "done" for each in wanted)


def _done_already(session: Session, plan: Plan, state: RunState, wanted: tuple[Place, ...]) -> Outcome:
    refs = {change.change.on for each in wanted for change in each.wave.changes}
    found = moved(
        session.cluster,
        [each for each in plan.basis if each.on in refs and each.uid],
        list(plan.changes()),
        run=state.run,
    )
    if found:
        raise stale(found, planned=len(plan.basis), taken_at=plan.taken_at, changed=True)
    return Outcome(
        exit=0,
        run=state.run,
        plan=plan.id,
        kind=plan.kind,
        kept="nothing was written: this plan is already performed",
        places=tuple(state.places.items()),
    )


def blocked(plan: Plan) -> MeshupError:
    """Make the error of a plan with findings that keep it from starting."""
    return Refused(
        f"the plan is blocked by {len(plan.blocked)} finding{'s' if len(plan.blocked) > 1 else ''}",
        code="MU2112",
        problems=plan.blocked,
        fix="mend them, then: meshup plan",
        cluster="nothing was changed",
    )


def check_cluster(session: Session, plan: Plan) -> None:
    """Refuse a plan for another cluster, one-way doors that nobody accepted, and stand-ins on a real cluster."""
    uid = session.cluster.uid()
    if plan.cluster_uid != uid:
        raise Refused(
            f"the plan is for another cluster: {plan.cluster_uid[:8] or 'none'}..., this is {uid[:8]}...",
            code="MU2202",
            why="the UID of namespace kube-system differs",
            fix="choose the right --context, or meshup plan",
            cluster="nothing was changed",
        )
    closed = [door for door in plan.one_way if door not in plan.accepted_one_way]
    if closed:
        raise UsageError(
            f"the plan has a one-way change that was not accepted: {', '.join(closed)}",
            code="MU1009",
            fix=f"--accept-one-way {closed[0]}, or put it under oneWay.accept in the runbook",
            why="it can't be taken back, so it is accepted by its name and by nothing else",
            cluster="nothing was changed",
        )
    if plan.book.mesh.manifests.source == "stand-in" and not session.cluster.is_simulator():
        raise Refused(
            "the runbook uses stand-in manifests, and this is not the simulator",
            code="MU2203",
            fix="set mesh.manifests.from to istioctl, helm or directory, then: meshup plan",
            why="stand-ins only pretend to be a mesh",
            cluster="nothing was changed",
        )


def _interrupted_run(state: RunState) -> Refused:
    return Refused(
        f"run {state.run} was cut off in the middle of {len(state.open)} change{'s' if len(state.open) > 1 else ''}",
        code="MU2304",
        details=tuple(f"{each.change}  {each.object}" for each in state.open[:10]),
        why="what it had begun may or may not have happened; only that run knows its way on and back",
        fix=f"meshup apply --resume, or meshup rollback --run {state.run}",
        cluster="nothing was changed",
    )


def _refuse_stale(session: Session, plan: Plan, basis: tuple[Basis, ...], *, run: str, changed: bool) -> None:
    found = moved(session.cluster, basis, list(plan.changes()), run=run)
    if found:
        raise stale(found, planned=len(basis), taken_at=plan.taken_at, changed=changed)


def _begin(session: Session, plan: Plan, wanted: tuple[Place, ...], *, through: str) -> Outcome:
    run = Run(session, plan)
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
            )
        )
    except BaseException:
        _let_go(run)
        raise
    return _perform(run, log, wanted, through=through, how="started")


def _go_on(
    session: Session, plan: Plan, state: RunState, wanted: tuple[Place, ...], *, through: str, how: str
) -> Outcome:
    run = Run(session, plan)
    epoch = run.take_lock()
    try:
        store = open_store(run.writer, state.run, epoch=epoch, folder=session.journal_folder)
        entries = store.entries()
        log = RunLog(session, store, entries, epoch=epoch)
        log.append(TakenOver(at=log.now(), epoch=epoch, user=session.identity.user, host=session.holder.host))
    except BaseException:
        _let_go(run)
        raise
    return _perform(run, log, wanted, through=through, how="taken-over" if run.lock.took_over else how)


def _let_go(run: Run) -> None:
    try:
        run.lock.release()
    except MeshupError:
        return


def _perform(run: Run, log: RunLog, wanted: tuple[Place, ...], *, through: str, how: str) -> Outcome:
    session, plan = run.session, run.plan
    count = sum(1 for _ in plan.changes())
    session.watcher.tell(
        RunStarted(
            at=session.clock.now(),
            run=log.state.run,
            plan=plan.id,
            how=how,
            user=session.identity.user,
            epoch=log.epoch,
            changes=count,
        )
    )
    try:
        for place in wanted:
            if log.state.places.get(place.name) == "done":
                continue
            outcome = _one_place(run, log, place, first=place is _first_of(wanted, place.stage))
            if outcome is not None:
                return _ended(run, log, outcome, place.name)
        log.finished(through=through)
        return _result(run, log, Outcome(exit=0, run="", plan="", kind="", kept=""))
    except MeshupError as stopped:
        return _ended(run, log, _of_error(stopped), _current(log, wanted))
    finally:
        _let_go(run)


def _first_of(wanted: tuple[Place, ...], stage: PlannedStage) -> Place | None:
    return next((each for each in wanted if each.stage is stage), None)


def _current(log: RunLog, wanted: tuple[Place, ...]) -> str:
    return next((each.name for each in wanted if log.state.places.get(each.name) != "done"), "")


def _one_place(run: Run, log: RunLog, place: Place, *, first: bool) -> Outcome | None:
    """Perform one wave; None when it is done, else how the run ends."""
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
        wave.undo("its way back was interrupted")
    if first or log.state.open:
        refs = {each.change.on for each in (*place.wave.opening, *place.wave.changes, *place.wave.closing)}
        refs |= {c.change.on for w in place.stage.waves for c in w.changes}
        basis = tuple(each for each in plan.basis if each.on in refs)
        _refuse_stale(session, plan, basis, run=log.state.run, changed=True)
    held = wave.perform()
    return None if held is None else _held(run, log, place, wave, held)


def _held(run: Run, log: RunLog, place: Place, wave: WaveRun, held: Held) -> Outcome:
    verdict = held.judgement.judged.verdict
    why = f"{held.judgement.judged.kind}: {verdict.because}"
    details = tuple(verdict.names)
    plan = run.plan
    again = "meshup apply --resume"
    if held.before:
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
            next=(again, "meshup status"),
        )
    failed = verdict.answer is Answer.FAIL
    if failed and (place.stage.on_fail == "undo" or place.wave.guard is not None):
        wave.undo(why)
        return Outcome(
            exit=int(Exit.UNDONE),
            run="",
            plan=plan.id,
            kind=plan.kind,
            code="MU3112",
            why=why,
            details=details,
            kept=f"{place.name} is back as it was, verified; what came before it stays",
            next=(f"mend the cause, then: {again}", "meshup status"),
        )
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
            next=(again, "meshup status"),
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
        next=(again, f"meshup rollback --stage {place.stage.name}"),
    )


def _of_error(stopped: MeshupError) -> Outcome:
    why = f"{stopped.what}: {stopped.why}" if stopped.why else stopped.what
    return Outcome(
        exit=int(stopped.exit),
        run="",
        plan="",
        kind="",
        code=stopped.code,
        why=why,
        details=stopped.details,
        kept=stopped.cluster or "everything that was done is in the journal",
        next=(stopped.fix,),
    )


def _ended(run: Run, log: RunLog, outcome: Outcome, place: str) -> Outcome:
    """Store the stop and complete the outcome; a stop that can't be stored changes nothing of it."""
    try:
        log.flush()
        log.stopped(
            code=outcome.exit, why=outcome.why, next_command=outcome.next[0] if outcome.next else "", place=place
        )
    except MeshupError:
        pass
    return _result(run, log, replace(outcome, stopped=place))


def _result(run: Run, log: RunLog, outcome: Outcome) -> Outcome:
    state = log.state
    written = sum(each.wrote for each in state.done.values())
    counters = getattr(run.session.cluster, "counters", None)
    return replace(
        outcome,
        run=state.run,
        plan=run.plan.id,
        kind=run.plan.kind,
        places=tuple(state.places.items()),
        judgements=_last_of_each(log),
        planned=sum(1 for _ in run.plan.changes()),
        written=written,
        already_right=len(state.done) - written,
        requests=counters.requests if counters is not None else 0,
        mutations=counters.mutations if counters is not None else 0,
        took_s=run.session.clock.elapsed() - run.began,
    )


def _last_of_each(log: RunLog) -> tuple[Judgement, ...]:
    found: dict[str, Judgement] = {}
    for each in log.state.judgements:
        found.pop(each.judged.gate, None)
        found[each.judged.gate] = each
    return tuple(found.values())
