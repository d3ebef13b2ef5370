"""Pins around the act: the record before it, its phase after it, and who is held where while a run goes on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from meshup.cluster.clock import server_now
from meshup.cluster.errors import Forbidden
from meshup.cluster.ports import Reader
from meshup.engine.session import Session
from meshup.engine.wait import Pause
from meshup.journal.copies import keep_copy
from meshup.journal.enforcement import trusted
from meshup.journal.ledger import advance, holding, is_open, pins, record
from meshup.journal.optin import optins
from meshup.journal.pin import from_body
from meshup.model.events import Noted
from meshup.model.ledger import Pin
from meshup.model.moment import stamp
from meshup.model.objects import Ref
from meshup.model.optin import OptInRecord
from meshup.model.plan import Plan
from meshup.model.problem import MeshupError
from meshup.model.runbook import Service


def write_pin(session: Session, plan: Plan) -> Pin | None:
    """Record a rollback before the act; gives the record as it is now. Safe to repeat. Raises Refused (MU2316, MU2317)."""
    if plan.pin is None:
        return None
    pause = Pause(session, beat=lambda: None, next_command=plan.again)
    made = record(session.cluster, from_body(plan.pin), pause=pause.sleep)
    (pin,) = trusted(session.cluster, (made,))
    session.watcher.tell(
        Noted(
            at=session.clock.now(),
            word="record",
            text=f"MeshPin {pin.namespace}/{pin.name} written before the act (trust: {pin.trust})",
        )
    )
    return pin


def copy_pin(session: Session, pin: Pin) -> None:
    """Keep a copy of a record apart from its namespace, before the act. Where that can't be, it is said: the record is there."""
    why = keep_copy(session.cluster, pin)
    if why:
        said = f"no copy of the record in meshup-system: deleting namespace {pin.namespace} would delete it ({why})"
        session.watcher.tell(Noted(at=session.clock.now(), word="note", text=said))


def settle_pin(
    session: Session, pin: Pin, *, run: str, failed: str = "", observed: Iterable[tuple[str, int]] = ()
) -> None:
    """Move a rollback's pin on: failed when it was undone, active when it took effect; older pins of the service end first.

    A pin that can't be moved on is said and does not change how the run ended: the record itself is there.
    """
    now = stamp(server_now(session.clock))
    try:
        if failed:
            advance(session.cluster, pin, "Failed", run=run, message=failed, at=now)
            return
        found = pins(session.cluster, namespace=pin.namespace)
        if any(each.name == pin.name and is_open(each) for each in found):
            for older in superseded(found, pin):
                said = f"ended by MeshPin {name_of(pin)}, by which {pin.user} went to {pin.to_release or 'none'}: {pin.reason}"
                advance(session.cluster, older, "Closed", by=session.identity.user, at=now, run=run, message=said)
                text = f"MeshPin {name_of(older)} of {older.asker}, whose record says by whom and for what"
                session.watcher.tell(Noted(at=session.clock.now(), word="ended", text=text))
        advance(session.cluster, pin, "Active", run=run, observed=observed)
    except MeshupError as error:
        session.watcher.tell(Noted(at=session.clock.now(), word="note", text=f"the pin was not moved on: {error.what}"))


def superseded(found: Iterable[Pin], pin: Pin) -> tuple[Pin, ...]:
    """Give the pins that end when this one is in effect: those of its service that are older and still hold, whoever's."""
    return tuple(
        each
        for each in found
        if is_open(each)
        and each.namespace == pin.namespace
        and (each.service == pin.service or each.workload_uid == pin.workload_uid)
        and (each.since, each.name) < (pin.since, pin.name)
    )


def held(cluster: Reader, services: Iterable[Service], plan: Plan) -> Mapping[str, Pin]:
    """Give service id -> the pin that holds it on another revision than the plan's. Reads the pins most recent, once.

    A service rollback is held by nobody: of two, the workload itself decides (engine/send.py).
    """
    wanted = list(services)
    if plan.pin is not None or not wanted:
        return {}
    spaces = {each.namespace for each in wanted}
    every = pins(cluster, namespace=next(iter(spaces)) if len(spaces) == 1 else "")
    found: dict[str, Pin] = {}
    for each in wanted:
        pin = holding(every, namespace=each.namespace, service=each.name)
        if pin is not None and pin.to_revision != plan.book.mesh.revision:
            found[each.id] = pin
    return found


def staying_out(cluster: Reader, services: Iterable[Service], plan: Plan) -> Mapping[str, OptInRecord]:
    """Give service id -> the word by which its owner keeps it out, read most recent, once. A way back is no joining.

    Who may not read opt-ins did not see them in the plan either, which says so.
    """
    wanted = {each.id: each.namespace for each in services}
    if plan.kind != "apply" or not wanted:
        return {}
    spaces = set(wanted.values())
    try:
        said = optins(cluster, namespace=next(iter(spaces)) if len(spaces) == 1 else "")
    except Forbidden:
        return {}
    return {name: said[name] for name in wanted if name in said and not said[name].joins}


def objects_of(plan: Plan, services: Iterable[str]) -> frozenset[Ref]:
    """Give what a plan writes for these services."""
    names = frozenset(services)
    return frozenset(each.change.on for each in plan.changes() if each.service in names)


def name_of(pin: Pin) -> str:
    """NAMESPACE/NAME."""
    return f"{pin.namespace}/{pin.name}"


def in_words(pin: Pin) -> str:
    """Say a pin in one line."""
    return f"{pin.user} pinned it to {pin.to_release or 'none'} until {pin.ends}: {pin.reason}"
