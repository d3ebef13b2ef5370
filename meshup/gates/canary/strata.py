"""Samples made into the whole numbers that the sequential test reckons with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, inf

from meshup.gates.canary.sequence import Step, Stratum
from meshup.model.samples import Buckets, Counts, Look, Number, Sample, Sampled

SLACK = 1e-6
"""Rates of change that a source works out are a hair off whole numbers."""
FIRST_CUT = 20
"""Timed requests of both arms together before a cut is chosen."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a quantile's bucket ends. upper: milliseconds; lower, beyond: the bounds beside it. at: its place.

    covers: False where the quantile lies above the largest bound, which then stands in: it shows harm, and no health.
    from_s: elapsed seconds of the look that it was chosen at; earlier looks are judged by it together with that one.
    """

    quantile: float
    at: int
    lower: float
    upper: float
    beyond: float
    covers: bool = True
    from_s: float = 0.0

    @property
    def resolution(self) -> str:
        """Say how fine the buckets are there."""
        above = "no bound above" if self.beyond == inf else f"{self.beyond:g} ms"
        return f"bucket bounds {self.lower:g}, {self.upper:g} ms, {above}: no finer"


def cut_at(sounds: Iterable[tuple[Look, Sample]], quantile: float) -> Cut | str:
    """Choose the bucket that covers a quantile of both arms together, once and for all at the first look that can tell.

    The pooled counts say nothing of the difference of the arms, so choosing by them spends nothing. A sentence when
    there is none, "" while there are too few to choose by.
    """
    for look, sample in sounds:
        control, canary = sample.control, sample.canary
        if not isinstance(control, Buckets) or not isinstance(canary, Buckets):
            continue
        both = [_real(a) + _real(b) for a, b in zip(control.counts, canary.counts, strict=True)]
        if both[-1] < FIRST_CUT:
            continue
        bounds = [_real(each) for each in canary.bounds[:-1]]
        if not bounds:
            return "there is one bucket for all: nothing can be told by it"
        at = next((n for n, count in enumerate(both[:-1]) if count >= quantile * both[-1]), None)
        covers, at = at is not None, len(bounds) - 1 if at is None else at
        lower, beyond = bounds[at - 1] if at else 0.0, bounds[at + 1] if at + 1 < len(bounds) else inf
        return Cut(quantile, at, lower, bounds[at], beyond, covers, look.elapsed_s)
    return ""


def steps_of(
    several: Sequence[tuple[Sequence[tuple[Look, Sample]], Cut | None]], *, effect: float, rate: bool = False
) -> tuple[Step, ...]:
    """Give one step per look with the growth of each view since its own look before; views may miss looks.

    several: per view its fair looks, oldest first, and for latency its cut. effect: design effect, divides all counts; the
    canary's failures are rounded down and the control's up, so that rounding never makes harm. rate: bad ones are no part
    of n.
    """
    found: dict[float, list[Stratum]] = {}
    for looks, cut in several:
        last = (0, 0, 0, 0)
        for look, sample in looks:
            if sample.control is None or sample.canary is None:
                continue
            now = (
                *_whole(*counted(sample.canary, cut), effect, floor),
                *_whole(*counted(sample.control, cut), effect, ceil),
            )
            n, bad, m, worse = (max(0, after - before) for before, after in zip(last, now, strict=True))
            one = Stratum(n, bad, m, worse) if rate else Stratum(n, min(bad, n), m, min(worse, m))
            found.setdefault(look.elapsed_s, []).append(one)
            last = now
    return tuple(Step(at, tuple(strata)) for at, strata in sorted(found.items()))


def _whole(n: float, bad: float, effect: float, nearest: Callable[[float], int]) -> tuple[int, int]:
    slack = SLACK if nearest is floor else -SLACK
    return floor(n / effect + SLACK), nearest(bad / effect + slack)


def counted(arm: Sampled, cut: Cut | None = None) -> tuple[float, float]:
    """Give (n, bad) of counts, or of buckets (all, slower than the cut)."""
    match arm:
        case Counts():
            return _real(arm.n), _real(arm.bad)
        case Buckets():
            every = _real(arm.counts[-1])
            return every, every - _real(arm.counts[cut.at]) if cut is not None else 0.0
        case _:
            raise TypeError("points are not counted")


def _real(number: Number) -> float:
    if number is None:
        raise ValueError("a number is missing")
    return float(number)
