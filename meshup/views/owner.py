"""What a plan does to one service, for the one who owns it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from meshup.model.change import Delete
from meshup.model.plan import LeftOut, Plan, PlannedChange, PlannedWave
from meshup.model.text import clean
from meshup.views.plan import RISK_WORDS, Row, on_hold, restarts
from meshup.views.table import columns, folded

OUT: Mapping[LeftOut | Literal[""], str] = {
    "": "nobody opted it in",
    "not yet": "its owner said not before a day that is to come",
    "opted out": "its owner opted it out",
    "pinned": "a pin holds it elsewhere",
}
"""Why a wave leaves a service out; who said so and when is the note below."""


def for_service(plan: Plan, service: str, *, width: int = 160) -> str:
    """Show an owner what happens to theirs, and nothing else. service: id "namespace/name"."""
    how = _how_out(plan, service)
    lines = [f"service   {service} in plan {plan.id} of {plan.runbook}"]
    rows: list[Row] = []
    for stage in plan.stages:
        for wave in stage.waves:
            place = stage.place(wave)
            own = [each for each in wave.writes() if _concerns(each, wave, plan, service)]
            rows += [
                (
                    place,
                    each.summary,
                    "restart" if restarts(each) else "no restart",
                    RISK_WORDS[each.risk],
                    "yes" if each.inverse else each.one_way or "-",
                )
                for each in own
            ]
            gates = [each.kind for each in wave.asks() if service in (each.services or wave.services)]
            if own and gates:
                rows.append((place, f"waits for {', '.join(gates)}", "-", "-", "-"))
            if service in wave.waiting:
                rows.append((place, f"left out: {OUT[how]}", "-", "none", "-"))
    if rows:
        lines.append(columns(rows, header=("place", "what happens", "pods", "risk", "way back"), width=width))
    else:
        lines.append("touched   not at all: nothing of this plan concerns it")
    lines += [folded(each, width=width) for each in on_hold(plan)]
    lines += [folded(f"unjudged  {why}", width=width) for each, why in plan.unjudged if each == service]
    lines += [folded(f"note      {clean(each)}", width=width) for each in plan.notes if service in each.split()]
    lines.append(f"Next      {_next(plan, service)}")
    return "\n".join(lines)


def _how_out(plan: Plan, service: str) -> LeftOut | Literal[""]:
    found = plan.left_out().get(service)
    return found[0] if found is not None else ""


def _next(plan: Plan, service: str) -> str:
    """Give what its owner may do about it: each is a command that an owner's rights are enough for."""
    namespace, _, name = service.partition("/")
    how = _how_out(plan, service)
    if how == "pinned":
        return f"nothing; to end its pin early: meshup unpin {name} -n {namespace}"
    if plan.held is not None and set(plan.held.places) & set(_places(plan, service)):
        return f"nothing: it is moved once {clean(plan.held.release)} may spread again"
    if any(each.id == service and each.opt_in is not None for each in plan.book.services):
        step = f"meshup rollback {name} -n {namespace} --to RELEASE --reason TEXT --until 7d"
        return f"nothing; to step back afterwards: {step}"
    after_all = " after all" if how == "opted out" else ""
    return f"nothing; to join{after_all}, its owner opts in: meshup opt-in {name} -n {namespace}"


def _places(plan: Plan, service: str) -> list[str]:
    """Give the places that change something of a service's own."""
    return [
        stage.place(wave)
        for stage in plan.stages
        for wave in stage.waves
        if any(each.service == service for each in wave.writes())
    ]


def _concerns(each: PlannedChange, wave: PlannedWave, plan: Plan, service: str) -> bool:
    """Tell whether a change touches a service: its own, or a policy of its namespace or mesh that covers it."""
    if each.service:
        return each.service == service
    if service not in wave.services or each not in wave.changes or isinstance(each.change, Delete):
        return False
    others = [other.id for other in plan.book.services if other.id != service]
    if any(f" {other}:" in each.summary for other in others):
        return False
    return each.change.on.namespace in (service.partition("/")[0], plan.book.mesh.namespace)
