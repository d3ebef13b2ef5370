"""Distributions of counts under "no difference", and their tails, from nothing but ratios of neighbours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import erfc, exp, fsum, lgamma, log, sqrt

LEAST = 1e-18
"""Terms smaller than this share of the largest one are left out; what they hold together is below 1e-13."""

NOTHING = 1e-16
"""Ends of a sum that weigh less are cut off: beside the smallest level that is ever spent it is nothing."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A distribution over whole numbers. first: the number that weights[0] is the probability of."""

    first: int
    weights: Sequence[float]


def hypergeometric(bad: int, canary: int, control: int) -> Spread:
    """Give how many of the bad ones fall to the canary when each request is equally likely to be one of them.

    bad: failures of both arms together. canary, control: requests of each arm; canary + control >= bad. This is the
    distribution of Fisher's exact test (R. A. Fisher, "The logic of inductive inference", 1935), conditional on totals,
    so that nothing need be known of the rate itself.
    """
    low, high = max(0, bad - control), min(bad, canary)
    mode = min(high, max(low, (bad + 1) * (canary + 1) // (canary + control + 2)))
    rest = control - bad

    def up(at: int) -> float:
        return (bad - at) * (canary - at) / ((at + 1) * (rest + at + 1))

    return _from(mode, low, high, up)


def binomial(events: int, share: float) -> Spread:
    """Give how many of some events fall to the canary whose share of the exposure is given, 0 < share < 1.

    Two Poisson counts, conditional on their sum (J. Przyborowski and H. Wilenski, Biometrika 31, 1940).
    """
    mode = min(events, int((events + 1) * share))
    odds = share / (1 - share)

    def up(at: int) -> float:
        return (events - at) * odds / (at + 1)

    return _from(mode, 0, events, up)


def _from(mode: int, low: int, high: int, up: Callable[[int], float]) -> Spread:
    """Walk from the mode both ways by the ratio of neighbours, then scale to 1. up(k) = p(k + 1) / p(k)."""
    above, weight, at = [1.0], 1.0, mode
    while at < high and weight > LEAST:
        weight *= up(at)
        at += 1
        above.append(weight)
    below, weight, at = [], 1.0, mode
    while at > low and weight > LEAST:
        at -= 1
        weight /= up(at)
        below.append(weight)
    below.reverse()
    every = below + above
    total = fsum(every)
    return Spread(at, [each / total for each in every])


def joined(one: Spread, other: Spread) -> Spread:
    """Give the distribution of the sum of two independent counts, without ends that weigh nothing."""
    if len(one.weights) < len(other.weights):
        one, other = other, one
    if len(other.weights) == 1:
        return Spread(one.first + other.first, [each * other.weights[0] for each in one.weights])
    found = [0.0] * (len(one.weights) + len(other.weights) - 1)
    for shift, weight in enumerate(other.weights):
        for at, each in enumerate(one.weights, shift):
            found[at] += weight * each
    low, high = 0, len(found)
    while high > 1 and found[high - 1] < NOTHING:
        high -= 1
    while low < high - 1 and found[low] < NOTHING:
        low += 1
    return Spread(one.first + other.first + low, found[low:high])


def is_rarer(mean: float, at: int, than: float) -> bool:
    """Tell whether so many events or more, at > mean > 0, have a chance of at most that where mean are expected.

    No more terms are added than the answer takes: those left after one are together below the geometric series of its
    ratio, which only falls further on.
    """
    term = exp(at * log(mean) - mean - lgamma(at + 1))
    found = 0.0
    while found + term <= than:
        found += term
        at += 1
        ratio = mean / at
        term *= ratio
        if found + term / (1 - ratio) <= than:
            return True
    return False


def normal_tail(z: float) -> float:
    """Give the probability that a standard normal value is at least z."""
    return 0.5 * erfc(z / sqrt(2.0))


@lru_cache(maxsize=4096)
def normal_point(tail: float) -> float:
    """Give the z whose upper tail this is, 0 < tail < 1, by halving; good to 1e-12."""
    if tail > 0.5:
        return -normal_point(1 - tail)
    low, high = 0.0, sqrt(2 * log(1 / tail)) + 1.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        if normal_tail(middle) > tail:
            low = middle
        else:
            high = middle
    return (low + high) / 2
