"""Spans of time as people read them."""

from __future__ import annotations

from datetime import UTC, datetime

from meshup.model.duration import span
from meshup.model.moment import SHORT_S

__all__ = ["bounds", "clock_time", "day", "moment_text", "span"]


def clock_time(moment: datetime) -> str:
    """Say a time of day in UTC, for lines of a run."""
    return moment.astimezone(UTC).strftime("%H:%M:%S")


def day(moment: datetime) -> str:
    """Say a date without a time."""
    return moment.astimezone(UTC).strftime("%d %b %Y")


def bounds(since: datetime, until: datetime) -> tuple[str, str]:
    """Say when something begins and ends, in the unit that fits: by days, and below two days by the minute, with its length.

    In UTC: ("02 Nov 2026", "09 Nov 2026") and ("02 Nov 2026 09:00", "02 Nov 2026 11:00 (2h)").
    """
    lasts_s = (until - since).total_seconds()
    if lasts_s >= SHORT_S:
        return day(since), day(until)
    begins, ends = (f"{each.astimezone(UTC):%d %b %Y %H:%M}" for each in (since, until))
    return begins, f"{ends} ({span(max(lasts_s, 0.0))})"


def moment_text(moment: datetime) -> str:
    """Say a time as RFC 3339 in UTC, to the second."""
    return moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")
