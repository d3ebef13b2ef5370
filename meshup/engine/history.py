"""Runs on record, newest first, with the plans they performed."""

from __future__ import annotations

from collections.abc import Callable

from meshup.cluster.errors import Forbidden
from meshup.engine.fold import RunState, fold
from meshup.engine.planfile import parse
from meshup.engine.session import Session
from meshup.journal.plans import read_plan
from meshup.journal.runs import heads, open_store
from meshup.model.plan import Plan
from meshup.model.problem import Refused
from meshup.model.runbook import Runbook


def newest_run(session: Session, *, run: str = "", kind: str = "") -> tuple[RunState, Callable[[], Plan]] | None:
    """Read the newest run on record (a named one, or of a kind) and how to get its plan; None when there is none."""
    for head in reversed(heads(session.cluster)):
        if run and head.run != run:
            continue
        state = fold(open_store(session.cluster, head.run, epoch=head.epoch, folder=None).entries())
        if kind and state.plan_kind != kind:
            continue
        return state, _reading(session, state)
    return None


def _reading(session: Session, state: RunState) -> Callable[[], Plan]:
    return lambda: parse(read_plan(session.cluster, state.plan), where=f"the plan of run {state.run}")


def newest_book(session: Session) -> Runbook | None:
    """Give the runbook of the newest run; None where there is none. Raises what reading raises."""
    found = newest_run(session)
    return found[1]().book if found is not None else None


def readable_book(session: Session) -> Runbook | None:
    """Give the same, and None where this identity may not read it: for what only says more with a runbook."""
    try:
        return newest_book(session)
    except Forbidden:
        return None


def needed_book(session: Session) -> Runbook:
    """Give the same. Raises Refused (MU2305) where there is none."""
    found = newest_book(session)
    if found is None:
        raise Refused(
            "there is no run on record, and no runbook was given",
            code="MU2305",
            fix="name the runbook with -f",
            cluster="nothing was changed",
        )
    return found
