"""What every judge owes: no reading, a blind one or a broken one is unknown, and judging never raises."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import TypeVar

from meshup.gates.gate import Terms
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
