"""Times as records hold them: RFC 3339 in UTC, to the second, so that their texts sort as the times do."""

from __future__ import annotations

from datetime import UTC, datetime


def stamp(moment: datetime) -> str:
    """Write an aware time."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


SHORT_S = 2 * 86400.0
"""What lasts less than this is not told by its days alone."""


def end_text(since: datetime, until: datetime) -> str:
    """Say when something ends within a sentence: 2026-11-09, and below two days by the minute: 2026-11-02 11:00Z."""
    short = (until - since).total_seconds() < SHORT_S
    return f"{until.astimezone(UTC):{'%Y-%m-%d %H:%MZ' if short else '%Y-%m-%d'}}"


def instant(text: object) -> datetime:
    """Read a time; one without a zone is UTC. Raises ValueError for what is none."""
    found = datetime.fromisoformat(str(text))
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def instant_or_none(text: object) -> datetime | None:
    """Read a time; None for nothing and for what is no time."""
    try:
        return instant(text) if text else None
    except ValueError:
        return None
