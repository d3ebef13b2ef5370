"""What speaks against spreading a release further: who went back from it, and the platform owner's word. Pure."""

from __future__ import annotations

from meshup.model.counts import Counts
from meshup.model.held import Held
from meshup.model.holds import HoldAt, ReleaseVerdict, judge
from meshup.model.release import Release


def with_block(found: ReleaseVerdict | None, record: Release | None, *, at: HoldAt) -> ReleaseVerdict | None:
    """Give a verdict that a blocked release never passes, whoever ran it. None = nothing is known against it, or for it."""
    if record is None or record.state != "blocked":
        return found
    return judge(
        record.version,
        users=found.users if found is not None else Counts(),
        services=found.services if found is not None else Counts(),
        reached=found.reached if found is not None else None,
        at=at,
        blocked=why_blocked(record),
    )


def why_blocked(record: Release) -> str:
    """Say by whom and why, never empty."""
    last = record.decided
    why = record.note or "; ".join(record.issues) or "no reason is on record"
    return f"{why} ({last.by}, {last.at:%Y-%m-%d})" if last is not None else why


def in_words(away: Held) -> str:
    """Say one record that counts against a release in one line."""
    to = away.to or "none"
    return f"{away.who} took {away.namespace}/{away.service} to {to} on {away.since[:10]}: {away.reason}"
