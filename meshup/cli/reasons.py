"""Reasons and days as people give them on a command line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from meshup.model.problem import UsageError

if TYPE_CHECKING:
    from meshup.cli.screen import Screen

MOST_REASON = 256


def checked(reason: str, look: Screen, *, what: str) -> str:
    """Give the reason, asked for on a terminal. what: "a rollback". Raises UsageError (MU1013)."""
    if not reason and look.interactive:
        reason = look.ask_text("why?")
    return worded(reason, what=what, needed=True)


def worded(reason: str, *, what: str, needed: bool) -> str:
    """Give a reason without blanks around it. needed: it may not be empty. Raises UsageError (MU1013)."""
    text = reason.strip()
    if (text or not needed) and len(text) <= MOST_REASON and (text.isprintable() or not text):
        return text
    found = (
        "none was given"
        if not text
        else f"it has {len(text)} characters"
        if len(text) > MOST_REASON
        else "it holds a control character"
    )
    raise UsageError(
        f"{what} needs a reason of 1 to {MOST_REASON} printable characters; {found}",
        code="MU1013",
        fix='--reason "what went wrong"',
        why="the platform owner reads it",
        cluster="nothing was changed",
    )


def moment(text: str, now: datetime, *, flag: str) -> datetime:
    """Read a day, a time (RFC 3339) or a length of time from now on; to the second, and ahead. Raises UsageError."""
    from meshup.model.duration import parse

    try:
        found = now + timedelta(seconds=parse(text))
    except ValueError:
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            raise _no_moment(flag, f'not "{text}"') from None
    found = (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC).replace(microsecond=0)
    if found <= now:
        raise _no_moment(flag, f"and {found:%Y-%m-%d %H:%M:%SZ} is past: it is {now:%Y-%m-%d %H:%M:%SZ}")
    return found


def _no_moment(flag: str, why: str) -> UsageError:
    return UsageError(
        f"{flag} takes a day to come such as 2026-12-01, a time such as 2026-12-01T09:00:00Z, or 7d; {why}",
        code="MU1014",
        fix=f"correct {flag}",
        cluster="nothing was changed",
    )
