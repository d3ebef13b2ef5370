"""The way back of a stage or of a whole run as a plan: later stages first, each change's stored inverse, latest first."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from meshup.engine.assembling import assembled, gate_of
from meshup.engine.drift import read_all, wanted_values
from meshup.engine.fold import RunState
from meshup.engine.history import needed_run
from meshup.engine.observe import observe
from meshup.engine.pinning import held, in_words
from meshup.engine.place import Place, places
from meshup.engine.session import Session
from meshup.journal.home import RUN, STEP
from meshup.model.change import Change, Create, Delete, Evict, Label, Restart, moves_pods
from meshup.model.fields import managers_of, said, value_at
from meshup.model.objects import Object, Ref, annotated, dig
from meshup.model.plan import Plan, PlannedChange, PlannedGate, PlannedStage, PlannedWave
from meshup.model.problem import Problem, UsageError, Where


def run_plan(session: Session, run: str = "", *, context: str = "") -> Plan:
    """Plan to take back everything a run did (the newest apply when none is named). Raises Refused (MU2305)."""
    return _plan_back(session, run, stage="", context=context)


def stage_plan(session: Session, stage: str, *, run: str = "", context: str = "") -> Plan:
    """Plan to take back a stage (or STAGE/WAVE) and what came after it. Raises UsageError (MU2111), Refused (MU2305)."""
    return _plan_back(session, run, stage=stage, context=context)


def _plan_back(session: Session, run: str, *, stage: str, context: str) -> Plan:
    rest = "meshup status shows the newest; kubectl get configmap -n meshup-system has the rest"
    state, read = needed_run(session, run=run, kind="" if run else "apply", fix=rest)
    plan = read()
    chosen = _from(places(plan), stage)
    snapshot = observe(session.cluster, session.clock, identity=session.identity, context=context)
    live = read_all(session.cluster, {each.change.on for place in chosen for each in place.changes()})
    snapshot = replace(snapshot, objects={**snapshot.objects, **live})
    stages: list[PlannedStage] = []
    problems: list[Problem] = []
    notes: list[str] = []
    pins = held(session.cluster, plan.book.services, plan)
    wrote = _wrote(plan)
    ahead: dict[Ref, bool] = {}
    notes += [f"{name} is left where it is: {in_words(pin)}" for name, pin in sorted(pins.items())]
    for place in reversed(chosen):
        changes, bad, kept = _back_of(place, state, live, pins, wrote=wrote, ahead=ahead)
        problems += bad
        notes += kept
        if not changes:
            continue
        services = tuple(dict.fromkeys(each.service for each in changes if each.service))
        name = f"back-{place.name.replace('/', '-')}"
        moved = tuple(each.service for each in changes if each.service and moves_pods(each.change))
        gates: tuple[PlannedGate, ...] = ()
        if moved and "workloads-ready" in session.gates:
            gates = (gate_of(session, "workloads-ready", name, services=tuple(dict.fromkeys(moved))),)
        numbered = tuple(replace(each, id=f"{name}/{number}") for number, each in enumerate(changes, 1))
        wave = PlannedWave(name="", changes=numbered, gates=gates, services=services)
        stages.append(PlannedStage(name=name, waves=(wave,), on_fail="hold"))
    bare = [each.name for each in chosen if stage in (each.name, each.stage.name) and not each.changes()]
    if bare:
        notes.append(
            f"run {state.run} changed nothing in {', '.join(bare)}: it was right already; what an earlier run did there "
            "goes back with: meshup rollback --run ID"
        )
    kind = "rollback-stage" if stage else "rollback-run"
    return assembled(
        plan.book,
        snapshot,
        stages,
        kind=kind,
        blocked=problems,
        notes=(f"takes back {stage or 'all'} of run {state.run}", *notes),
        takes_back=state.run,
    )


def _from(every: Sequence[Place], stage: str) -> list[Place]:
    if not stage:
        return list(every)
    first = next((number for number, each in enumerate(every) if stage in (each.name, each.stage.name)), None)
    if first is None:
        names = dict.fromkeys([*(each.stage.name for each in every), *(each.name for each in every)])
        raise UsageError(
            f'the run has no stage or wave "{stage}"',
            code="MU2111",
            why=f"it has: {', '.join(names)}",
            fix="correct --stage",
            cluster="nothing was changed",
        )
    return list(every[first:])


Wrote = Mapping[Ref, Mapping[str, Sequence[Any]]]
"""Of each object: field -> the values that a plan's changes give it, one after the other."""


def _wrote(plan: Plan) -> Wrote:
    found: dict[Ref, dict[str, list[Any]]] = {}
    for each in plan.changes():
        for field, value in wanted_values(each.change).items():
            found.setdefault(each.change.on, {}).setdefault(field, []).append(value)
    return found


def _back_of(
    place: Place,
    state: RunState,
    live: Mapping[Ref, Object],
    pins: Collection[str],
    *,
    wrote: Wrote,
    ahead: dict[Ref, bool],
) -> tuple[list[PlannedChange], list[Problem], list[str]]:
    """Give the way back of one place: what is in force of it, latest first, then what its opening left behind.

    pins: services that their owners hold elsewhere: their pods are not moved, their policies are taken back all the same.
    ahead: what the way back writes before this, and whether it makes it again; it grows.
    """
    problems: list[Problem] = []
    notes: list[str] = []
    back: list[PlannedChange] = []
    for each in reversed(place.wave.changes):
        if not _took_effect(each, state, live.get(each.change.on)) or (
            each.service in pins and moves_pods(each.change)
        ):
            continue
        if each.inverse is None and isinstance(each.change, Evict):
            continue
        if each.inverse is None:
            notes.append(
                f"{each.change.on} stays: {'one-way ' + each.one_way if each.one_way else 'others may use it'}"
            )
            continue
        on, now = each.change.on, live.get(each.change.on)
        change = each.inverse if ahead.get(on) else _with_uid(each.inverse, each, state, now)
        if change is None or (on not in ahead and _is_back(change, each.change, now)):
            continue
        ahead[on] = ahead.get(on, False) or isinstance(change, Create)
        problems += _moved_since(each, now, wrote)
        back.append(_planned(each, change))
    opened = [each for each in place.wave.opening if _took_effect(each, state, live.get(each.change.on))]
    refs = {each.change.on for each in opened}
    for each in place.wave.closing:
        there = live.get(each.change.on)
        if each.change.on in refs and there is not None and not dig(there, "metadata", "deletionTimestamp"):
            change = _with_uid(each.change, each, state, live.get(each.change.on))
            if change is not None:
                back.append(_planned(each, change))
    return back, problems, notes


def _planned(each: PlannedChange, change: Change) -> PlannedChange:
    return replace(
        each,
        change=change,
        inverse=None,
        known="not checked",
        summary=f"take back: {each.summary}",
        one_way="",
        fields=tuple(sorted(wanted_values(change))),
    )


def _took_effect(each: PlannedChange, state: RunState, now: Object | None) -> bool:
    """Tell whether a change is in force: done, or begun and its mark is on the object."""
    if each.id in state.done:
        return True
    if not any(intent.change == each.id for intent in state.open):
        return False
    if isinstance(each.change, Delete):
        return now is None
    marks = annotated(now) if now is not None else {}
    return marks.get(RUN) == state.run and (marks.get(STEP) == each.id or not isinstance(each.change, Create))


def _with_uid(change: Change, each: PlannedChange, state: RunState, now: Object | None) -> Change | None:
    """Fill in the UID of what was made; None when that very object is not there any more."""
    if not isinstance(change, Delete):
        return change
    there = str(dig(now, "metadata", "uid") or "") if now is not None else ""
    uid = (
        change.uid
        or state.made.get(each.id, "")
        or (there if now is not None and annotated(now).get(RUN) == state.run else "")
    )
    return replace(change, uid=uid) if uid and uid == there else None


def _is_back(change: Change, done: Change, now: Object | None) -> bool:
    """Tell whether a way back has nothing left to do: old values are there, and what was added is gone."""
    if isinstance(change, Create):
        return now is not None
    if now is None:
        return isinstance(change, Delete)
    wanted = wanted_values(change)
    holds = done.holds if isinstance(done, Label) else {}
    added = [field for field in wanted_values(done) if field not in wanted and field not in holds]
    if any(value_at(now, field) == value for field, value in holds.items()):
        return False
    if isinstance(change, Delete) or not (wanted or added):
        return False
    return all(value_at(now, field) == value for field, value in wanted.items()) and all(
        value_at(now, field) is None for field in added
    )


def _moved_since(each: PlannedChange, now: Object | None, wrote: Wrote) -> list[Problem]:
    """Name fields that somebody else changed after the run wrote them: they are not overwritten."""
    if now is None or not isinstance(each.change, Label | Restart):
        return []
    before = wanted_values(each.inverse) if each.inverse is not None else {}
    found = []
    given_up = each.change.holds if isinstance(each.change, Label) else {}
    for field, value in wanted_values(each.change).items():
        if field in given_up and field not in before:
            # What held the rollout half-way was taken off when the rest moved: the API server's own value stands there.
            continue
        current = value_at(now, field)
        if current not in (value, before.get(field), *wrote[each.change.on].get(field, ())):
            who = next(iter(managers_of(now, field)), "somebody")
            found.append(
                Problem(
                    code="MU3411",
                    what=f'{each.change.on}: {said(field)} was changed since by "{who}"',
                    at=Where(object=str(each.change.on)),
                    why=f"the run set {value!r}, it is {current!r} now",
                    fix=f'agree with the owner of "{who}", put it back by hand, then run the command again',
                )
            )
    return found
