"""Percents by which traffic moves, and the pods that they come to."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NewType

Weights = NewType("Weights", list[int])
"""Rising percents that end with 100; empty = no weights."""


def read(value: Any) -> Weights:
    """Check weights as a runbook has them. Raises ValueError."""
    several: Sequence[Any] = value if isinstance(value, list) else [value]
    if any(isinstance(each, bool) or not isinstance(each, int) or not 0 < each <= 100 for each in several):
        raise ValueError(f"whole percents from 1 to 100 are needed, not {str(value)[:60]}")
    if any(one >= other for one, other in itertools.pairwise(several)) or (several and several[-1] != 100):
        raise ValueError("weights rise, and the last one is 100")
    return Weights(list(several))


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One weight. wanted: percent. new, old: pods of each revision then; endpoints of one Service get equal shares."""

    wanted: int
    new: int
    old: int

    @property
    def share(self) -> float:
        """The share of pods that are new, which is that of new connections, in percent."""
        return 100 * self.new / (self.new + self.old)

    @property
    def name(self) -> str:
        """Of its wave."""
        return f"{self.wanted}-percent"


def legs(weights: Iterable[int], pods: int) -> tuple[Leg, ...]:
    """Give the pods of each weight: never fewer than `pods` in all, and as near the weight as whole pods allow.

    A weight that comes to the same pods as the one before it is left out.
    """
    found: list[Leg] = []
    for each in weights:
        new = pods if each == 100 else min(pods, max(1, round(pods * each / 100)))
        most = found[-1].old if found else pods
        olds = range(max(1, pods - new), most + 1) if each < 100 else (0,)
        old = min(olds, key=lambda count: (abs(100 * new / (new + count) - each), count))
        if not found or (found[-1].new, found[-1].old) != (new, old):
            found.append(Leg(wanted=each, new=new, old=old))
    return tuple(found)
