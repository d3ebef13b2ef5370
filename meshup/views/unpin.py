"""A pin that is over, as the one who ended it reads it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from meshup.model.ledger import Pin
from meshup.model.text import clean
from meshup.views.documents import document
from meshup.views.spans import day, moment_text
from meshup.views.standing import pin_document
from meshup.views.table import folded


def ended(pin: Pin, *, fresh: bool, notes: Sequence[str], follow: str, width: int) -> str:
    """Show it. fresh: this call ended it."""
    by = f"by {clean(pin.closed_by) or 'somebody'}" + (f", {moment_text(pin.closed_at)}" if pin.closed_at else "")
    first = (
        f"record    MeshPin {pin.namespace}/{pin.name} is {pin.phase} {by}"
        if fresh
        else f"record    MeshPin {pin.namespace}/{pin.name} was {pin.phase} already, {by}; nothing was written"
    )
    held = f"held      {clean(pin.service)} on {clean(pin.to_release) or 'none'} since {day(pin.since)} for {clean(pin.user)}: {clean(pin.reason)}"
    lines = [first, held, *(f"then      {clean(each)}" for each in notes)]
    return "\n".join([*(folded(each, width=width) for each in lines), f"Next      {follow}"])


def ended_document(pin: Pin, now: datetime, *, fresh: bool, notes: Sequence[str], follow: str) -> dict[str, Any]:
    """Give the same as JSON."""
    return document(
        "unpin",
        pin=pin_document(pin, now),
        closed_by=pin.closed_by,
        closed_at=moment_text(pin.closed_at) if pin.closed_at else "",
        fresh=fresh,
        notes=[clean(each) for each in notes],
        next=follow,
    )
