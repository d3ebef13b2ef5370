"""What an installation of the ledger writes, and whether it is enforced."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from meshup.model.moment import stamp
from meshup.views.documents import document as framed
from meshup.views.table import columns

Rows = Sequence[tuple[str, str]]
"""(new or changed, object) in the order of writing."""
Unasked = Sequence[tuple[str, str]]
"""(policy, why) of those that a proof could not ask."""


def wanted(rows: Rows, *, width: int = 0) -> str:
    """Show what would be written."""
    if not rows:
        return "ledger    every kind and policy is as shipped; nothing is written"
    return columns(rows, header=("how", "object"), width=width)


def result(*, state: str, since: datetime | None, why: str, unasked: Unasked = ()) -> str:
    """Show whether records are enforced from now on."""
    if since is None:
        return f"ledger    {state}: {why}\nNext      meshup ledger install"
    left = "".join(f"unasked   {policy}: {reason}\n" for policy, reason in unasked)
    return (
        f"ledger    enforced since {stamp(since)}\n"
        "proof     forged records were denied 10 times in a row\n"
        f"{left}"
        "Next      kubectl get meshreleases, as a pin needs a release that is supported"
    )


def document(rows: Rows, *, state: str, since: datetime | None, why: str, unasked: Unasked = ()) -> dict[str, Any]:
    """Give all of it as a document."""
    written = [{"how": how, "object": name} for how, name in rows]
    left = [{"policy": policy, "why": reason} for policy, reason in unasked]
    since_text = stamp(since) if since else ""
    return framed("ledger-install", written=written, state=state, since=since_text, why=why, unasked=left)
