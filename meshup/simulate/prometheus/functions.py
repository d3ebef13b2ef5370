"""Functions of PromQL over the samples of one range or the buckets of one histogram."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from meshup.simulate.prometheus.series import Sample

NAN = float("nan")


def extrapolated(
    samples: Sequence[Sample], start: float, end: float, *, counter: bool, per_second: bool
) -> float | None:
    """Give the change over (start, end], stretched to the ends of the range; None with fewer than two samples.

    Source: `extrapolatedRate` of Prometheus 3 (promql/functions.go): a gap of up to 1.1 mean intervals at either end
    is covered, a larger one by half an interval, and a counter is never stretched to before it was zero.
    """
    if len(samples) < 2:
        return None
    (first_at, first), (last_at, last) = samples[0], samples[-1]
    change = last - first
    if counter:
        before = first
        for _, value in samples[1:]:
            if value < before:
                change += before
            before = value
    spanned = last_at - first_at
    mean = spanned / (len(samples) - 1)
    to_start, to_end = first_at - start, end - last_at
    if to_start >= mean * 1.1:
        to_start = mean / 2
    if counter and change > 0 and first >= 0:
        to_start = min(to_start, spanned * (first / change))
    if to_end >= mean * 1.1:
        to_end = mean / 2
    change *= (spanned + to_start + to_end) / spanned
    return change / (end - start) if per_second else change


def irate(samples: Sequence[Sample]) -> float | None:
    """Give the rate between the last two samples of a counter."""
    if len(samples) < 2:
        return None
    (before_at, before), (at, value) = samples[-2:]
    return (value if value < before else value - before) / (at - before_at)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


OVER_TIME: Mapping[str, Callable[[Sequence[float]], float]] = {
    "avg_over_time": _mean,
    "min_over_time": min,
    "max_over_time": max,
    "sum_over_time": sum,
    "count_over_time": lambda values: float(len(values)),
    "last_over_time": lambda values: values[-1],
}


def over_range(name: str, samples: Sequence[Sample], start: float, end: float) -> float | None:
    """Run one function of a range; None when it has too few samples to say anything."""
    if not samples:
        return None
    match name:
        case "rate" | "increase" | "delta":
            return extrapolated(samples, start, end, counter=name != "delta", per_second=name == "rate")
        case "irate":
            return irate(samples)
        case "resets":
            return float(sum(after < before for (_, before), (_, after) in pairwise(samples)))
        case _:
            return OVER_TIME[name]([value for _, value in samples])


RANGE_FUNCTIONS = frozenset({"rate", "increase", "delta", "irate", "resets", *OVER_TIME})

EACH: Mapping[str, Callable[..., float]] = {
    "abs": abs,
    "ceil": lambda value: float(math.ceil(value)) if math.isfinite(value) else value,
    "floor": lambda value: float(math.floor(value)) if math.isfinite(value) else value,
    "clamp_min": max,
    "clamp_max": min,
}
"""Functions of each value of a vector; further arguments are scalars."""


def quantile_of(share: float, buckets: Sequence[tuple[float, float]]) -> float:
    """Give a quantile from (upper bound, cumulative count), by linear interpolation in its bucket.

    Source: `BucketQuantile` of Prometheus (promql/quantile.go): no +Inf bucket or no observation is NaN; a rank in the
    last bucket gives the bound before it.
    """
    if math.isnan(share):
        return NAN
    if share < 0 or share > 1:
        return math.copysign(math.inf, share)
    rows = sorted(buckets)
    if len(rows) < 2 or rows[-1][0] != math.inf:
        return NAN
    counts: list[float] = []
    for _, count in rows:
        counts.append(max(count, counts[-1]) if counts else count)
    if counts[-1] == 0 or math.isnan(counts[-1]):
        return NAN
    rank = share * counts[-1]
    at = next((index for index, count in enumerate(counts[:-1]) if count >= rank), len(rows) - 1)
    if at == len(rows) - 1:
        return rows[-2][0]
    upper = rows[at][0]
    if at == 0:
        return upper if upper <= 0 else upper * (rank / counts[0] if counts[0] else NAN)
    lower, below = rows[at - 1][0], counts[at - 1]
    inside = counts[at] - below
    return lower + (upper - lower) * ((rank - below) / inside) if inside else lower
