"""An owner's word as they read it back: what is on record, what follows, what comes next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from meshup.model.optin import OptInRecord
from meshup.model.text import clean
from meshup.views.documents import document
from meshup.views.spans import moment_text
from meshup.views.table import folded


def said(word: OptInRecord, *, fresh: bool, notes: Sequence[str], follow: str, width: int) -> str:
    """Show a record. fresh: this call wrote it. notes: what follows from it. follow: the next command."""
    verb = "in" if word.joins else "out"
    how = "written" if fresh else "is there already, so nothing was written"
    who = clean(word.user) + (f" for {clean(word.on_behalf_of)} ({word.on_behalf_trust})" if word.on_behalf_of else "")
    lines = [
        f"record    OptIn {word.namespace}/{word.name} {how}",
        f"said      {who} opts {clean(word.id)} {verb}, {moment_text(word.at)}"
        + (f": {clean(word.reason)}" if word.reason else ""),
    ]
    if word.not_before is not None:
        lines.append(f"not       before {moment_text(word.not_before)}: until then no wave moves it")
    if word.wave:
        lines.append(f"wish      {clean(word.wave)}; the plan says whether it can be so")
    lines += [f"then      {clean(each)}" for each in notes]
    return "\n".join([*(folded(each, width=width) for each in lines), f"Next      {follow}"])


def said_document(word: OptInRecord, *, fresh: bool, notes: Sequence[str], follow: str) -> dict[str, Any]:
    """Give the same as JSON."""
    return document(
        "opt-in",
        name=word.name,
        namespace=word.namespace,
        service=word.service,
        joins=word.joins,
        user=word.user,
        on_behalf_of=word.on_behalf_of,
        on_behalf_trust=word.on_behalf_trust,
        reason=clean(word.reason),
        wave=word.wave,
        not_before=moment_text(word.not_before) if word.not_before is not None else "",
        at=moment_text(word.at),
        fresh=fresh,
        notes=[clean(each) for each in notes],
        next=follow,
    )
