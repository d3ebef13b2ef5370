"""Judge a run again from the evidence in its journal, by the plan's terms or by others. Nothing is asked of the cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from meshup.engine.fold import RunState
from meshup.engine.history import needed_run, newest_run, own_run
from meshup.engine.session import Session
from meshup.engine.wait import ask, at_the_limit
from meshup.engine.watching import Looking, looking
from meshup.gates.gate import Gate, Terms
from meshup.model.journal import Judgement
from meshup.model.plan import Plan, PlannedGate
from meshup.model.replayed import Again, Replay
from meshup.model.verdict import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """One term to try. kind: of the gates it is for, "" = all that have it. value: as a plan would hold it.

    name: of a parameter, or LEAST, which belongs to every gate's patience.
    """

    name: str
    value: Any
    kind: str = ""

    def __str__(self) -> str:
        return f"{f'{self.kind}.' if self.kind else ''}{self.name}={self.value}"


LEAST = "least"


def replay(session: Session, *, run: str = "", namespace: str = "", others: Sequence[Other] = ()) -> Replay:
    """Judge every verdict of a run, the newest one when none is named. Raises Refused (MU2305) where there is none.

    run: its id, or an owner's rollback as `own_run` finds it, in `namespace` where that is given.
    """
    found = newest_run(session, run=run)
    if found is None and run:
        return again(own_run(session, run, namespace=namespace), None, session.gates, others=others)
    state, plan = found or needed_run(session)
    return again(state, plan(), session.gates, others=others)


def again(state: RunState, plan: Plan | None, gates: Mapping[str, Gate], *, others: Sequence[Other] = ()) -> Replay:
    """Give every verdict of a journal beside the one that its readings make now. Pure; never raises for what was judged.

    plan: None for an owner's rollback, whose journal has what replaying needs of it.
    """
    planned = {gate.id: gate for gate in (plan.asks() if plan is not None else state.gates)}
    return Replay(
        run=state.run,
        plan=state.plan,
        verdicts=tuple(
            _watched(each, plan) or _one(each, planned.get(each.judged.gate), gates, others)
            for each in state.judgements
        ),
        terms=tuple(map(str, others)),
    )


def _watched(entry: Judgement, plan: Plan | None) -> Again | None:
    """Judge again what was seen of callers while services restarted; None for any other entry."""
    judged = entry.judged
    if plan is None or judged.kind != Looking.kind:
        return None
    return Again(
        at=entry.at,
        place=entry.place,
        gate=judged.gate,
        kind=judged.kind,
        was=judged.verdict,
        now=ask(looking(plan), judged.readings, Terms()),
        readings=len(judged.readings),
    )


def _one(entry: Judgement, planned: PlannedGate | None, gates: Mapping[str, Gate], others: Sequence[Other]) -> Again:
    judged = entry.judged
    found = Again(
        at=entry.at,
        place=entry.place,
        gate=judged.gate,
        kind=judged.kind,
        was=judged.verdict,
        now=None,
        readings=len(judged.readings),
    )
    if judged.verdict.answer is Answer.SKIPPED:
        return replace(found, why="it was waived in the runbook: nothing was read")
    gate = gates.get(judged.kind)
    if planned is None and gate is not None:
        return replace(found, why="what it was asked with is not on record")
    if planned is None:
        return replace(found, why="it tells how a write or a wave went: no gate made it from readings")
    if gate is None:
        return replace(found, why=f"the package that brings the gate {judged.kind} is not installed")
    terms, tried = _terms(planned, gate, others)
    now = ask(gate, judged.readings, terms)
    if judged.over and not (tried and now.answer is Answer.PASS):
        now = at_the_limit(now, judged.passes, terms.patience)
    return replace(found, now=now, tried=tried)


def _terms(planned: PlannedGate, gate: Gate, others: Sequence[Other]) -> tuple[Terms, bool]:
    params, patience, tried = dict(planned.params), planned.patience, False
    for each in others:
        if each.kind not in ("", gate.kind):
            continue
        if each.name == LEAST:
            patience, tried = replace(patience, least=each.value), True
        elif each.name in gate.params:
            params[each.name], tried = each.value, True
    return Terms(params=params, patience=patience), tried
