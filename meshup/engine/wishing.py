"""A wish from a file, performed once: what is on record under its name is not done again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from meshup.engine.ending import own_pins
from meshup.engine.execute import apply
from meshup.engine.own_way_back import resume_own
from meshup.engine.pinning import name_of
from meshup.engine.rollback import service_plan
from meshup.engine.session import Session
from meshup.journal.ledger import pins
from meshup.journal.pin import pin_name
from meshup.model.events import Outcome
from meshup.model.plan import Plan
from meshup.model.problem import Refused
from meshup.model.runbook import Runbook
from meshup.model.wish import Wish


def on_behalf(session: Session, wish: Wish) -> Session:
    """Give the session of somebody who acts for a wish's author, unless it is known better already."""
    if session.on_behalf_of or not wish.by:
        return session
    return replace(session, on_behalf_of=wish.by[:128], on_behalf_trust="declared")


def plan_of_wish(session: Session, wish: Wish, *, until: timedelta, book: Runbook | None, context: str = "") -> Plan:
    """Plan the rollback that a wish asks for. Raises as `service_plan` does."""
    return service_plan(
        session,
        wish.service,
        to=wish.to,
        reason=wish.reason,
        until=until,
        book=book,
        context=context,
        name=_name(session, wish),
    )


def take_back(
    session: Session, wish: Wish, *, until: timedelta, book: Runbook | None = None, context: str = ""
) -> Outcome:
    """Perform the rollback that a wish asks for, go on with it, or leave it as it ended.

    Raises Refused (MU3413) for one that was tried and failed, and what `service_plan` raises.
    """
    name = _name(session, wish)
    there = next((each for each in pins(session.cluster, namespace=wish.namespace) if each.name == name), None)
    if there is None:
        return apply(session, plan_of_wish(session, wish, until=until, book=book, context=context))
    if there.phase == "Requested":
        return resume_own(session, wish.service, book=book)
    if there.phase == "Failed":
        raise Refused(
            f"this wish was tried, and its rollback failed: MeshPin {name_of(there)}",
            code="MU3413",
            why="a wish is performed once, and the service was taken back as it was",
            fix=f"mend the cause, then write a new one: meshup rollback {wish.service} ... --write FILE",
            cluster="nothing was changed",
        )
    how = "in force already" if there.phase == "Active" else f"over, ended by {there.closed_by or 'somebody'}"
    kept = f"nothing was written: MeshPin {name_of(there)} of this wish is {how}"
    return Outcome(exit=0, run=there.name, plan="", kind="rollback-service", kept=kept, next=(own_pins(there),))


def _name(session: Session, wish: Wish) -> str:
    """Name a wish's pin: the same for the same file, whatever the service ran when it was first performed."""
    return pin_name(
        cluster_uid=session.cluster.uid(),
        service=wish.service,
        workload_uid="",
        from_release="",
        to_release=wish.to,
        user=session.identity.user,
        nonce=wish.digest,
    )
