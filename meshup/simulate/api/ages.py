"""Texts that columns share: ages, selectors, lists."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from meshup.simulate.api.store import Obj

NONE = "<none>"


def age(time: Any, now: datetime) -> str:
    """Write how long ago a time was, as kubectl does: 5s, 3m20s, 2h, 4d."""
    if not time:
        return "<unknown>"
    try:
        then = datetime.fromisoformat(str(time)).astimezone(UTC)
    except ValueError:
        return "<invalid>"
    return duration((now - then).total_seconds())


def duration(seconds: float) -> str:
    """Write seconds in at most two units, after duration.HumanDuration."""
    total = int(seconds)
    if total < -1:
        return "<invalid>"
    if total < 0:
        return "0s"
    if total < 120:
        return f"{total}s"
    minutes, rest = divmod(total, 60)
    if minutes < 10:
        return f"{minutes}m{rest}s" if rest else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    hours = minutes // 60
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if hours < 192:
        return f"{hours // 24}d{hours % 24}h" if hours % 24 else f"{hours // 24}d"
    days = hours // 24
    if days < 730:
        return f"{days}d"
    years = days // 365
    return f"{years}y{days % 365}d" if years < 8 and days % 365 else f"{years}y"


def age_of(obj: Obj, now: datetime) -> str:
    """Write how old an object is."""
    return age(obj["metadata"].get("creationTimestamp"), now)


def joined(values: Any, empty: str = NONE) -> str:
    """Write values with commas between."""
    found = [str(each) for each in values]
    return ",".join(found) if found else empty


def selector(found: Any) -> str:
    """Write a label selector in one line."""
    if found is None:
        return NONE
    parts = [f"{key}={value}" for key, value in sorted((found.get("matchLabels") or {}).items())]
    for rule in found.get("matchExpressions") or ():
        values = ",".join(sorted(rule.get("values") or ()))
        match rule["operator"]:
            case "In":
                parts.append(f"{rule['key']} in ({values})")
            case "NotIn":
                parts.append(f"{rule['key']} notin ({values})")
            case "Exists":
                parts.append(rule["key"])
            case _:
                parts.append(f"!{rule['key']}")
    return ",".join(parts) if parts else NONE
