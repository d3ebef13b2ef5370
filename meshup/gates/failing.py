"""What failed, as values for one screen: the metric, the value and its bound, of how many, since when, and which callers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from meshup.gates.gate import Gate, Terms
from meshup.model.scene import Failing
from meshup.model.text import clean
from meshup.model.verdict import Answer, Judged, Reading

MOST_CALLERS = 5


def failing(gate: Gate | None, judged: Judged, terms: Terms) -> tuple[Failing, ...]:
    """Take a verdict that failed apart, from its readings alone; empty where its gate has no numbers. Never raises."""
    tell = getattr(gate, "failing", None)
    if tell is None or judged.verdict.answer is not Answer.FAIL or not judged.readings:
        return ()
    try:
        found: Sequence[Failing] = tell(judged.readings, terms, judged.verdict)
    except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError):
        return ()
    return tuple(found)


def since(readings: Sequence[Reading], *, first: Reading | None = None) -> str:
    """Say when harm was first seen, and how long after the first look. first: the reading that showed it, None = the newest."""
    at = first or readings[-1]
    later = at.elapsed_s - readings[0].elapsed_s
    return f"{at.at:%H:%M:%S}Z" + (f", {later:.0f} s after the first look" if later >= 1 else "")


def sourced(data: Mapping[str, Any]) -> tuple[str, str]:
    """Give what told, and what it was asked, "" = the proxies' own pages."""
    return clean(data.get("source") or "", limit=200), clean(data.get("query") or "", limit=600)
