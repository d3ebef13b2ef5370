"""Runs on record, newest first, with the plans they performed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from meshup.cluster.errors import Forbidden
from meshup.engine.fold import RunState, fold
from meshup.engine.planfile import parse
from meshup.engine.session import Session
from meshup.journal.in_pin import PinStore
from meshup.journal.ledger import pins
from meshup.journal.plans import read_plan
from meshup.journal.runs import heads, open_store
from meshup.journal.store import damaged
from meshup.model.journal import Entry
from meshup.model.plan import Plan
from meshup.model.problem import Refused
from meshup.model.runbook import Runbook

NO_RUN = "MU2305"


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


def needed_run(
    session: Session, *, run: str = "", kind: str = "", fix: str = "meshup status shows the newest one"
) -> tuple[RunState, Callable[[], Plan]]:
    """Give the newest run, as `newest_run` does. Raises Refused (MU2305) where there is none."""
    found = newest_run(session, run=run, kind=kind)
    if found is None:
        raise no_run(f"there is no run {run} on record" if run else "there is no run on record", fix=fix)
    return found


def own_run(session: Session, name: str, *, namespace: str = "") -> RunState:
    """Read the newest rollback of an owner's that has a journal, from its MeshPin.

    name: of the service or of the pin, "NAMESPACE/NAME" or in `namespace`; "" = wherever it is. Raises Refused (MU2305).
    """
    space, _, plain = name.rpartition("/")
    space = space or namespace
    fix = "meshup status shows the newest run; an owner's rollback is named as NAMESPACE/SERVICE: meshup pins"
    try:
        every = pins(session.cluster, namespace=space)
    except Forbidden as refused:
        where = f"namespace {space}" if space else "all namespaces"
        why = f"{session.identity.user} may not look for it among the rollbacks of {where}"
        raise no_run(f"there is no run {name} on record", why=why, fix=fix) from refused
    for pin in reversed([each for each in every if plain in (each.name, each.service) and not each.copied]):
        entries = PinStore(session.cluster, pin).entries()
        if entries:
            return _folded(entries, f"MeshPin {pin.namespace}/{pin.name}")
    raise no_run(f"there is no run {name} on record", fix=fix)


def _folded(entries: Sequence[Entry], where: str) -> RunState:
    try:
        return fold(entries)
    except ValueError as odd:
        raise damaged(where, str(odd)) from odd


def needed_book(session: Session) -> Runbook:
    """Give the runbook of the newest run. Raises Refused (MU2305) where there is none."""
    found = newest_book(session)
    if found is None:
        raise no_runbook()
    return found


def no_runbook(fix: str = "name the runbook with -f") -> Refused:
    """Make the error of a command that needs a runbook, where there is neither a run nor one that was given."""
    return no_run("there is no run on record, and no runbook was given", fix=fix)


def no_run(what: str, *, fix: str, why: str = "") -> Refused:
    """Make the error of a run that is not on record."""
    return Refused(what, code=NO_RUN, fix=fix, why=why, cluster="nothing was changed")
