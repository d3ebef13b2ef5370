"""Spans of time as people read them."""

from __future__ import annotations

from datetime import UTC, datetime

from meshup.model.duration import span

__all__ = ["clock_time", "day", "moment_text", "span"]


def clock_time(moment: datetime) -> str:
    """Say a time of day in UTC, for lines of a run."""
    return moment.astimezone(UTC).strftime("%H:%M:%S")


def day(moment: datetime) -> str:
    """Say a date without a time."""
    return moment.astimezone(UTC).strftime("%d %b %Y")


def moment_text(moment: datetime) -> str:
    """Say a time as RFC 3339 in UTC, to the second."""
    return moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")
