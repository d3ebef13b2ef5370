"""What every judge owes: no reading, a blind one or a broken one is unknown, and judging never raises."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, TypeVar

from meshup.gates.gate import Terms
from meshup.model.text import clean
from meshup.model.verdict import Answer, Reading, Verdict

G = TypeVar("G")
Judge = Callable[[G, Sequence[Reading], Terms], Verdict]


def careful(judge: Judge[G]) -> Judge[G]:
    """Make a judge answer unknown where there is nothing to judge: older readings never stand in for a blind one."""

    @wraps(judge)
    def judged(self: G, readings: Sequence[Reading], terms: Terms) -> Verdict:
        if not readings:
            return Verdict(answer=Answer.UNKNOWN, because="nothing was read")
        if readings[-1].blind:
            return Verdict(answer=Answer.UNKNOWN, because=readings[-1].blind)
        try:
            return judge(self, readings, terms)
        except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError) as odd:
            because = f"what was read is not complete: {type(odd).__name__}: {odd}"
            return Verdict(answer=Answer.UNKNOWN, because=because)

    return judged


def told(data: Mapping[str, Any]) -> str:
    """Say who told, when it was not the proxies themselves: ", told by Prometheus monitoring/prometheus:9090"."""
    source = data.get("source")
    return (
        f", told by {clean(source, limit=120)}" if isinstance(source, str) and source.startswith("Prometheus") else ""
    )


def covered(first: Reading, last: Reading, rows: str) -> float:
    """Give the seconds that surely lie between two readings of counters.

    Samples of a scrape are older than the look that found them, each by another time: the newest of the first reading
    and the oldest of the last one count. rows: the key of {uid: row}; a row's "sampled" is Unix time.
    """
    began = [each.get("sampled") for each in (first.data.get(rows) or {}).values()]
    ended = [each.get("sampled") for each in (last.data.get(rows) or {}).values()]
    if began and ended and None not in began and None not in ended:
        return float(min(ended)) - float(max(began))
    return last.elapsed_s - first.elapsed_s
