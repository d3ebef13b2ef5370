"""What failed and what its objects showed, briefly for a screen and whole for programs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from meshup.model.scene import Failing, Witness
from meshup.model.text import clean
from meshup.views.spans import span
from meshup.views.table import amount, folded

SHOWN = 2
"""Objects on a screen; the others, and the rest of these, are in the JSON."""
QUERY = 240
"""Characters of a query on a screen; the JSON has all of it."""
LINES = 2
"""Lines of each sort of one object."""


def failed(several: Sequence[Failing], *, width: int) -> list[str]:
    """Show metric, value, bound, n, window, since, query and callers of each."""
    lines: list[str] = []
    for each in several:
        lines.append(folded(f"failed    {_head(each)}", width=width))
        lines += [folded(f"          {clean(one)}", width=width) for one in each.callers]
        if each.source or each.query:
            query = f": {clean(each.query, limit=QUERY)}" if each.query else ""
            lines.append(folded(f"asked     {clean(each.source) or 'the cluster'}{query}", width=width))
    return lines


def _head(each: Failing) -> str:
    parts = [
        f"{clean(each.metric)} of {clean(each.service)}, counted by {clean(each.view)}: {_value(each.value, each)}"
    ]
    if each.control is not None:
        parts.append(f"{_value(each.control, each)} on the old revision beside it")
    if each.bound is not None:
        parts.append(f"bound {_value(each.bound, each)}")
    if each.stops_at is not None:
        parts.append(f"stopped from {each.stops_at} bad ones on")
    within = f"in {span(each.window_s)}" if each.window_s else "since its pods began"
    parts.append(f"of {each.n:.0f} {each.of} {within}")
    if each.since and each.window_s:
        parts.append(f"since {each.since}")
    return ", ".join(parts)


def _value(value: float | None, of: Failing) -> str:
    if value is None:
        return "no number"
    if of.unit == "share":
        return f"{value:.2%}"
    return f"{value:g} {of.unit}" if math.isfinite(value) else f"above every bucket in {of.unit}"


def seen(witnesses: Sequence[Witness], *, width: int, whole: str) -> list[str]:
    """Show a few lines of a few objects; the worst come first. whole: the command that shows all of it."""
    if not witnesses:
        return []
    telling = [each for each in witnesses if each.conditions or each.events or each.unread]
    lines: list[str] = []
    left = sum(map(_count, witnesses))
    for number, each in enumerate(telling[:SHOWN]):
        rows = [
            *each.conditions[:LINES],
            *(f"event {one}" for one in each.events[:LINES]),
            *(f"log {one}" for one in _worth(each)),
            *(f"not read: {one}" for one in each.unread[:1]),
        ]
        left -= len(rows)
        lines.append(folded(f"{'seen' if number == 0 else '':<9} {clean(each.object)}", width=width))
        lines += [f"            {clean(row, limit=max(40, width - 12) if width else 0)}" for row in rows]
    if left > 0:
        what = f"{amount(left, 'more line')} of" if telling else f"nothing wrong in {amount(left, 'line')} of"
        word = "" if lines else "seen"
        lines.append(f"{word:<9} {what} {amount(len(witnesses), 'object')}, kept before the way back: {whole}")
    return lines


def _worth(each: Witness) -> tuple[str, ...]:
    """Give log lines worth a screen: the last one, and none of a proxy that nothing is wrong with."""
    return each.log[-1:] if each.conditions or each.events else ()


def _count(each: Witness) -> int:
    return len(each.conditions) + len(each.events) + len(each.log) + len(each.unread)


def failing_document(each: Failing) -> dict[str, Any]:
    """Give one number as JSON; null where it is none."""
    return {
        "metric": each.metric,
        "service": each.service,
        "view": each.view,
        "unit": each.unit,
        "of": each.of,
        "value": _finite(each.value),
        "bound": _finite(each.bound),
        "stops_at": each.stops_at,
        "control": _finite(each.control),
        "n": each.n,
        "window_s": round(each.window_s, 3),
        "since": each.since,
        "source": each.source,
        "query": each.query,
        "callers": list(each.callers),
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def witness_document(each: Witness) -> dict[str, Any]:
    """Give what one object showed as JSON, every line of it that was kept."""
    return {
        "object": each.object,
        "service": each.service,
        "conditions": list(each.conditions),
        "events": list(each.events),
        "log": list(each.log),
        "signs": {name: _finite(value) for name, value in sorted(each.signs.items())},
        "unread": list(each.unread),
    }
