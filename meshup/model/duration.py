"""Lengths of time as people write them: 90s, 5m, 1h30m, 7d."""

from __future__ import annotations

import re
from typing import NewType

Duration = NewType("Duration", float)
"""Seconds."""

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
MOST = 400 * 86400.0


def parse(text: str) -> Duration:
    """Read a length of time in seconds. Raises ValueError for anything but numbers with units, largest unit first."""
    raw = text.strip()
    parts = PART.findall(raw)
    if not parts or "".join(number + unit for number, unit in parts) != raw:
        raise ValueError(f'"{text}" is no length of time; write 90s, 5m, 1h30m or 7d')
    sizes = [UNITS[unit] for _, unit in parts]
    if sorted(sizes, reverse=True) != sizes or len(set(sizes)) != len(sizes):
        raise ValueError(f'"{text}" repeats a unit or has them out of order')
    total = sum(float(number) * UNITS[unit] for number, unit in parts)
    if total > MOST:
        raise ValueError(f'"{text}" is longer than 400 days')
    return Duration(total)


def shown(seconds: float) -> str:
    """Write a length of time so that `parse` gives it back."""
    left = round(seconds * 1000)
    parts = []
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        if left >= size:
            parts.append(f"{left // size}{unit}")
            left %= size
    return "".join(parts) or "0s"


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
