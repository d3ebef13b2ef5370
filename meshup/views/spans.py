"""Spans of time as people read them."""

from __future__ import annotations

from datetime import UTC, datetime


def span(seconds: float) -> str:
    """Say a length of time in at most two units: 850 ms, 12s, 4m10s, 3h, 7d."""
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    left = round(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        if left >= size:
            parts.append(f"{left // size}{unit}")
            left %= size
        elif parts:
            break
        if len(parts) == 2:
            break
    return "".join(parts) or "0s"


def clock_time(moment: datetime) -> str:
    """Say a time of day in UTC, for lines of a run."""
    return moment.astimezone(UTC).strftime("%H:%M:%S")


def day(moment: datetime) -> str:
    """Say a date without a time."""
    return moment.astimezone(UTC).strftime("%d %b %Y")


def moment_text(moment: datetime) -> str:
    """Say a time as RFC 3339 in UTC, to the second."""
    return moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")
