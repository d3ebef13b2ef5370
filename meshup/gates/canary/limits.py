"""Limits of the canary alone: an interval beyond the hard one fails, and the newest must be clean several times in a row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from meshup.gates.canary.strata import Cut, counted
from meshup.model.canary import Asked
from meshup.model.samples import Buckets, Look, Points, Sample, Sampled

FEW = 3
"""Fewer bad ones than this in an interval are no rate."""


@dataclass(frozen=True, slots=True)
class Interval:
    """What the canary did between two looks that hold enough of it. value: share, rate, or ratio of its largest point."""

    at_s: float
    n: float
    bad: float
    value: float


@dataclass(frozen=True, slots=True)
class Kept:
    """How the intervals kept the limits. hard, soft: the interval that broke it, None = none; soft: of the newest K."""

    hard: Interval | None = None
    soft: Interval | None = None


def of_counts(sounds: Sequence[tuple[Look, Sample]], asked: Asked, cut: Cut | None = None) -> tuple[Interval, ...]:
    """Give intervals of counts, each long enough to hold `least`; what came since the last whole one is left out."""
    found: list[Interval] = []
    n = bad = 0.0
    for look, sample in sounds:
        if sample.canary is None:
            continue
        now, worse = counted(sample.canary, cut)
        if now - n >= asked.least:
            grown, failed = now - n, worse - bad
            found.append(Interval(look.elapsed_s, grown, failed, failed / grown))
            n, bad = now, worse
    return tuple(found)


def cut_within(sounds: Iterable[tuple[Look, Sample]], quantile: float, bound_ms: float) -> Cut | None:
    """Give the last bucket that ends at or below a bound; None when there is none, or no buckets."""
    for _, sample in sounds:
        if isinstance(sample.canary, Buckets):
            bounds = [float(each or 0) for each in sample.canary.bounds[:-1]]
            within = [at for at, each in enumerate(bounds) if each <= bound_ms]
            if not within:
                return None
            at = within[-1]
            beyond = bounds[at + 1] if at + 1 < len(bounds) else float("inf")
            return Cut(quantile, at, bounds[at - 1] if at else 0.0, bounds[at], beyond)
    return None


def amount_of(arm: Sampled) -> float:
    """Give how much an arm holds: n of counts, all of buckets, number of points."""
    return float(len(arm.values)) if isinstance(arm, Points) else counted(arm)[0]


def of_points(sounds: Sequence[tuple[Look, Sample]]) -> tuple[Interval, ...]:
    """Give one interval per look: the canary's largest point over the control's largest so far."""
    found: list[Interval] = []
    largest = 0.0
    for look, sample in sounds:
        if isinstance(sample.control, Points):
            largest = max([largest, *(float(each or 0) for each in sample.control.values)])
        if isinstance(sample.canary, Points) and sample.canary.values and largest > 0:
            most = max(float(each or 0) for each in sample.canary.values)
            found.append(Interval(look.elapsed_s, len(sample.canary.values), FEW, most / largest))
    return tuple(found)


def kept(
    intervals: Sequence[Interval],
    *,
    limit: float | None,
    hard: float | None,
    in_a_row: int,
    counts: Callable[[Interval], bool] = lambda each: each.bad >= FEW,
) -> Kept:
    """Hold intervals against limits. counts: which have enough bad ones to be held against anything."""
    broken = next((each for each in intervals if hard is not None and counts(each) and each.value > hard), None)
    if limit is None:
        return Kept(hard=broken)
    newest = intervals[-in_a_row:]
    return Kept(
        hard=broken, soft=next((each for each in reversed(newest) if each.value > limit and counts(each)), None)
    )
