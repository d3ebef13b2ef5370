"""A pin is ended early by its owner: a record is closed, and nothing moves before the next plan."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from meshup.cluster.clock import server_now
from meshup.cluster.errors import Forbidden
from meshup.engine.ending import own_pins, plan_of
from meshup.engine.history import readable_book
from meshup.engine.opted import out_words
from meshup.engine.pinning import name_of
from meshup.engine.refusals import not_theirs
from meshup.engine.session import Session
from meshup.journal.enforcement import trusted
from meshup.journal.in_pin import PinStore
from meshup.journal.ledger import advance, holding, is_open, pins
from meshup.journal.optin import optins
from meshup.model.ledger import Pin
from meshup.model.moment import stamp
from meshup.model.optin import OptInRecord
from meshup.model.problem import Refused
from meshup.model.runbook import Runbook


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A pin that is over. fresh: this very call ended it. notes: what follows, one line each. next: a command."""

    pin: Pin
    fresh: bool
    notes: tuple[str, ...]
    next: str


def unpin(
    session: Session,
    name: str,
    *,
    reason: str,
    namespace: str = "",
    book: Runbook | None = None,
    written: datetime | None = None,
) -> Ended:
    """End a pin early. One that is over already is left as it is, and nothing is written.

    name: of a service or of the pin itself, "NAMESPACE/NAME" or in `namespace`. book: None = that of the newest run.
    written: when that was wished for: later pins are not meant, None = now. Raises Refused: MU3408 when there is no such
    pin, MU3409 while its rollback is under way; Unreachable (MU7101).
    """
    space, _, plain = name.rpartition("/")
    space = space or namespace
    try:
        every = pins(session.cluster, namespace=space)
    except Forbidden as refusing:
        raise not_theirs(session, space, ["list meshup.dev/meshpins"]) from refusing
    if written is not None:
        every = tuple(each for each in every if each.since <= written)
    pin = _meant(every, space, plain)
    if pin is None:
        raise _nothing(space, plain, every)
    if not is_open(pin):
        return _ended(session, pin, book, fresh=False)
    if not session.cluster.can_i("patch", "meshup.dev/meshpins/status", namespace=space):
        raise not_theirs(session, space, ["patch meshup.dev/meshpins/status"])
    if pin.phase == "Requested" and PinStore(session.cluster, pin).entries():
        raise Refused(
            f"the rollback recorded in MeshPin {name_of(pin)} has begun and has not ended",
            code="MU3409",
            why="ended now, the service could stay half-way: its pods may be on either release",
            fix=f"meshup rollback {space}/{pin.service} --resume, then meshup unpin {space}/{pin.service}",
            cluster="nothing was changed",
        )
    at = stamp(server_now(session.clock))
    done = advance(session.cluster, pin, "Closed", by=session.identity.user, at=at, message=reason)
    mine = done.closed_by == session.identity.user and done.closed_at is not None and stamp(done.closed_at) == at
    return _ended(session, done, book, fresh=mine)


def _meant(every: tuple[Pin, ...], namespace: str, name: str) -> Pin | None:
    """Give the pin of that name, else the one that holds the service of that name, else its newest one that is over."""
    named = next((each for each in every if (each.namespace, each.name) == (namespace, name)), None)
    if named is not None:
        return named
    held = holding(every, namespace=namespace, service=name)
    over = [each for each in every if (each.namespace, each.service) == (namespace, name)]
    return held or max(over, key=lambda each: (each.since, each.name), default=None)


def _nothing(namespace: str, name: str, every: tuple[Pin, ...]) -> Refused:
    there = ", ".join(f"{each.service} ({each.name})" for each in every if is_open(each))
    return Refused(
        f"no pin of {namespace}/{name} is on record",
        code="MU3408",
        why=f"in force in {namespace}: {there or 'none'}",
        fix=f"meshup pins -n {namespace}",
        cluster="nothing was changed",
    )


def _ended(session: Session, pin: Pin, book: Runbook | None, *, fresh: bool) -> Ended:
    meant = book or readable_book(session)
    service = next(
        (each for each in (meant.services if meant else ()) if each.id == f"{pin.namespace}/{pin.service}"), None
    )
    word = _word(session, pin)
    stays = f"nothing moves now: it stays {f'on {pin.to_release}' if pin.to_release else 'out of the mesh'}"
    if word is not None and not word.joins:
        notes = [f"{stays}, and no plan takes it along: {out_words(word)}"]
    elif meant is None or service is None:
        notes = [f"{stays} until a plan that knows the service moves it"]
    elif word is None and service.opt_in is None:
        notes = [f"{stays}, as its owner did not opt it in"]
    else:
        notes = [f"{stays} until the next plan moves it to {meant.mesh.release}"]
    if pin.user != session.identity.user:
        notes.append(f"it was the pin of {pin.user}: {pin.reason}")
    (known,) = trusted(session.cluster, (pin,))
    follow = plan_of(session, f"{pin.namespace}/{pin.service}") or own_pins(pin)
    return Ended(pin=known, fresh=fresh, notes=tuple(notes), next=follow)


def _word(session: Session, pin: Pin) -> OptInRecord | None:
    """Give what the owners said last of the service; None = nothing, or who ends the pin may not read it."""
    try:
        return optins(session.cluster, namespace=pin.namespace).get(f"{pin.namespace}/{pin.service}")
    except Forbidden:
        return None
