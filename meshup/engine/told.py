"""What a failing place tells: the numbers that failed, the likely causes, and what its objects showed. From the journal alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from meshup.engine.fold import RunState
from meshup.engine.watching import Looking, looking
from meshup.gates.failing import failing
from meshup.gates.gate import Gate, Terms
from meshup.gates.likely import likely
from meshup.model.plan import Plan
from meshup.model.scene import Failing, Witness
from meshup.model.verdict import Answer, Judged


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """likely: in words, "" = nothing points to a cause. Empty = the place did not fail."""

    failing: tuple[Failing, ...] = ()
    likely: str = ""
    witnesses: tuple[Witness, ...] = ()


NOTHING = Told()


def told(plan: Plan | None, state: RunState, gates: Mapping[str, Gate], place: str) -> Told:
    """Tell of the last failure of a place; NOTHING where its last answer is no failure. Never raises."""
    last = next((each.judged for each in reversed(state.judgements) if each.place == place), None)
    if last is None or last.verdict.answer is not Answer.FAIL:
        return NOTHING
    witnesses = state.captured.get(place, ())
    numbers = _numbers(plan, gates, last) if plan is not None else ()
    return Told(failing=numbers, likely="; ".join(likely(witnesses)), witnesses=witnesses)


def _numbers(plan: Plan, gates: Mapping[str, Gate], last: Judged) -> tuple[Failing, ...]:
    if last.kind == Looking.kind:
        return failing(looking(plan), last, Terms())
    planned = {gate.id: gate for gate in plan.asks()}
    asked = planned.get(last.gate)
    if asked is None:
        return ()
    return failing(gates.get(last.kind), last, Terms(params=asked.params, patience=asked.patience))
