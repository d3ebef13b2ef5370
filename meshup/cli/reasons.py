"""Reasons and days as people give them on a command line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from meshup.model.problem import UsageError

if TYPE_CHECKING:
    from meshup.cli.screen import Screen

MOST_REASON = 256


EXAMPLES: Mapping[str, str] = {
    "rollback": "timeouts to ledger",
    "opt-in": "load test passed",
    "opt-out": "not before the sale",
    "unpin": "mended in 1.30.4",
    "releases add": "its issue is mended",
    "releases promote": "qualified by payments",
    "releases deprecate": "1.30.3 is supported",
    "releases block": "loses connections on reload",
}
"""Command -> a reason that it may be given."""


def checked(reason: str, look: Screen, *, command: str) -> str:
    """Give the reason, asked for on a terminal. command: one of EXAMPLES. Raises UsageError (MU1013)."""
    if not reason and look.interactive:
        reason = look.ask_text("why?")
    return worded(reason, command=command, needed=True)


def worded(reason: str, *, command: str, needed: bool, flag: str = "--reason") -> str:
    """Give a reason without blanks around it. needed: it may not be empty. Raises UsageError (MU1013).

    flag: where it was given.
    """
    text = reason.strip()
    odd = next((number for number, each in enumerate(text, 1) if not each.isprintable()), 0)
    if not text and needed:
        what = f"meshup {command} needs a reason, and none was given"
        fix = f'{flag} "{EXAMPLES[command]}", in words of yours'
    elif len(text) > MOST_REASON:
        what = f"the reason has {len(text)} characters, at most {MOST_REASON} are kept"
        fix = f"shorten {flag}; a link or the number of an issue may say more"
    elif odd:
        what = f"the reason holds a control character, the {_nth(odd)} of it"
        fix = f"write {flag} as one line, without tabs and line breaks"
    else:
        return text
    why = "it is kept with the record, for everybody who reads it later"
    raise UsageError(what, code="MU1013", fix=fix, why=why, cluster="nothing was changed")


def _nth(number: int) -> str:
    last = "th" if 10 < number % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{last} letter"


def lasting(text: str, *, flag: str) -> timedelta:
    """Read how long a rollback is meant to stay. Raises UsageError: MU1001 for what is no length of time, MU3405."""
    from meshup.engine.rollback import MOST, too_long
    from meshup.model.duration import parse

    plain = text.strip()
    try:
        found = timedelta(seconds=parse(plain.removeprefix("-")))
    except ValueError as odd:
        if "longer than" in str(odd):
            raise too_long(plain) from odd
        date = " it is a date;" if re.match(r"\d{4}-\d\d-\d\d", plain) else ""
        raise UsageError(
            f'{flag} takes a length of time from now on, at most {MOST.days}d, not "{plain}"',
            code="MU1001",
            why=f'"{plain}":{date} write 90m, 12h, 7d or 1d12h',
            fix=f"{flag} 7d",
            cluster="not contacted",
        ) from odd
    if plain.startswith("-") or not timedelta(0) < found <= MOST:
        raise too_long(plain)
    return found


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
