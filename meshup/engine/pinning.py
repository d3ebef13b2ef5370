"""Pins around the act: the record before it, its phase after it, and who is held where while a run goes on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from typing import TYPE_CHECKING

from meshup.engine.session import Session
from meshup.engine.wait import Pause
from meshup.journal.ledger import advance, holding, pins, record
from meshup.journal.pin import from_body
from meshup.model.events import Noted
from meshup.model.ledger import Pin
from meshup.model.plan import Plan
from meshup.model.problem import MeshupError
from meshup.model.runbook import Service

if TYPE_CHECKING:
    from meshup.cluster.ports import Reader


def write_pin(session: Session, plan: Plan) -> None:
    """Record a rollback before the act. Safe to repeat. Raises Refused (MU2316, MU2317)."""
    if plan.pin is None:
        return
    pause = Pause(session, beat=lambda: None, next_command="meshup rollback")
    pin = record(session.cluster, from_body(plan.pin), pause=pause.sleep)
    session.watcher.tell(
        Noted(
            at=session.clock.now(),
            word="record",
            text=f"MeshPin {pin.namespace}/{pin.name} written before the act (trust: {pin.trust})",
        )
    )


def settle_pin(session: Session, plan: Plan, *, run: str, failed: str = "") -> None:
    """Move a rollback's pin on: active when it took effect, failed when it was undone; older pins of the service end.

    A pin that can't be moved on is said and does not change how the run ended: the record itself is there.
    """
    if plan.pin is None:
        return
    pin = from_body(plan.pin)
    now = session.clock.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        if failed:
            advance(session.cluster, pin, "Failed", run=run, message=failed, at=now)
            return
        advance(session.cluster, pin, "Active", run=run)
        for older in pins(session.cluster, namespace=pin.namespace):
            same = older.workload_uid == pin.workload_uid and older.name != pin.name
            if same and older.phase in ("Requested", "Active"):
                advance(session.cluster, older, "Closed", by=session.identity.user, at=now, run=run)
    except MeshupError as error:
        session.watcher.tell(Noted(at=session.clock.now(), word="note", text=f"the pin was not moved on: {error.what}"))


def held_by_pins(cluster: Reader, *, revision: str) -> Callable[[Service], str]:
    """Give a question for a run: who holds this service somewhere else; "" = nobody. Reads the pins most recent."""

    def ask(service: Service) -> str:
        pin = holding(pins(cluster, namespace=service.namespace), namespace=service.namespace, service=service.name)
        return said(pin) if pin is not None and pin.to_revision != revision else ""

    return ask


def said(pin: Pin) -> str:
    """Say a pin in one line."""
    return f"{pin.user} pinned it to {pin.to_release or 'none'} until {pin.until:%Y-%m-%d}: {pin.reason}"
