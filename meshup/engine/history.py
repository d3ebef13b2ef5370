"""Runs on record, newest first, with the plans they performed."""

from __future__ import annotations

from collections.abc import Callable

from meshup.engine.fold import RunState, fold
from meshup.engine.planfile import parse
from meshup.engine.session import Session
from meshup.journal.plans import read_plan
from meshup.journal.runs import heads, open_store
from meshup.model.plan import Plan


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
