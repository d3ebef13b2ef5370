"""The sequential test of counts: exact given the totals, valid over all its looks together.

Its values are named tuples: a gate makes tens of thousands of them, at a fifth of what a frozen dataclass takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import NamedTuple

from meshup.gates.canary.size import needed_counts
from meshup.gates.canary.tails import Spread, binomial, hypergeometric, is_rarer, joined

FIRST = 0.95
"""Share of alpha that is spent by the time the planned n is there; the rest is for what comes later."""
STEP = 0.05
"""A test is made when the evidence has grown by this share of the plan, and beyond the plan by a quarter."""
BEYOND = 1.25
DOUBT = 0.05
"""The control is above its usual share when so many failures would be rarer than this under it."""
QUIET = 0.95
"""What is fewer deviations above its due than this much of sqrt(ln 1 / alpha) has a chance above alpha and crosses nothing.

No count whose tail is alpha lies nearer: the nearest is none of a Poisson number of rare successes, at sqrt(ln 1 / alpha).
Tried on 60,000 distributions; the least was 0.96 of it, at alpha 5 %, which is the normal one's."""
UNDOUBTED = 1.3 * 1.3
"""So few variances from its mean no Poisson count above it is rarer than DOUBT; the normal one's are 1.64 squared, and its
skew is right."""
MOST = 20_000
"""Beyond so many failures since the last test both arms count for less, as by a design effect: the walk stays short."""


class Stratum(NamedTuple):
    """What both arms counted in one view between two looks; whole numbers, bad <= n where it is a share."""

    canary_n: int
    canary_bad: int
    control_n: int
    control_bad: int


class Step(NamedTuple):
    """One look's increments, one stratum per view or service that is compared together. at_s: elapsed seconds."""

    at_s: float
    strata: tuple[Stratum, ...]


class Aim(NamedTuple):
    """What the test is to find. rate: bad ones are events per n (seconds) and not a part of n."""

    base: float
    rise: float
    alpha: float
    power: float
    rate: bool = False


class Compared(NamedTuple):
    """What the test says.

    since_s: when harm was found, None = not. bound: the canary's bad count that the last test would have stopped at, None
    when none had to be worked out. base: what was taken for usual.
    """

    canary_n: int
    canary_bad: int
    control_n: int
    control_bad: int
    needed: float
    base: float
    since_s: float | None = None
    bound: int | None = None

    @property
    def have(self) -> int:
        """Give the n of the smaller arm."""
        return min(self.canary_n, self.control_n)


Test = tuple[float, float, Sequence[Stratum]]
"""Elapsed seconds, share of the planned evidence, and what came since the test before."""


def spent(alpha: float, share: float) -> float:
    """Give how much of alpha may be spent when this share of the planned evidence is there.

    The power family with exponent 3 (K. Kim, D. L. DeMets, Biometrika 74 (1987) 149), close to O'Brien and Fleming's:
    little early, most at the end; used as an alpha-spending function as K. K. G. Lan and D. L. DeMets have it (Biometrika
    70 (1983) 659), so that neither number nor times of the looks need be planned. 5 % of alpha are kept for after the plan.
    """
    if share <= 1:
        return FIRST * alpha * share**3
    return alpha * (FIRST + (1 - FIRST) * (1 - 1 / share))


def compare(steps: Sequence[Step], aim: Aim) -> Compared:
    """Test over all looks whether the canary's part of the bad ones is more than its part of the traffic. Never raises.

    Within each stratum the canary's part is hypergeometric given the totals (rates: binomial by exposure), whatever the
    rate is and however it moves from look to look. The walk of their sum that has not been stopped yet is carried from
    test to test exactly (N. Stallard, S. Todd, "Exact sequential tests for single samples of discrete responses using
    spending functions", Statist. Med. 19 (2000) 3051), and each boundary is the smallest sum whose chance, together with
    what was spent before, stays within `spent`. So the chance of a false stop is at most alpha given any totals.
    """
    tests, found = _planned(steps, aim)
    if not _is_loud(tests, aim):
        return found
    since, bound = _walked(tests, aim)
    return found._replace(since_s=since, bound=bound)


def _planned(steps: Sequence[Step], aim: Aim) -> tuple[list[Test], Compared]:
    """Give the tests that the looks allow, and the totals.

    How much may be spent at a look follows from the traffic up to it and the failures before it alone: were it to follow
    from the look's own failures, a lucky control would buy the canary a laxer test. The share of the planned evidence that
    is there never falls. To pass, n must suffice for what is known now as well.
    """
    declared, alpha = aim.base, aim.alpha
    base, usual = declared, _needed(aim, declared, alpha)
    reached, share, last = base, 0.0, 0.0
    needed = wanted = usual
    n, bad, m, worse = 0, 0, 0, 0
    tests: list[Test] = []
    waiting: list[Stratum] = []
    for at_s, strata in steps:
        for more, failed, other, control in strata:
            n += more
            bad += failed
            m += other
            worse += control
        waiting += strata
        before, now = needed, (min(m, n)) / needed
        if share < 1:
            reached = base
        if now > share:
            share = now
            if is_due(last, share):
                tests.append((at_s, share, waiting))
                waiting, last = [], share
        # Most controls fail as is usual, which is told without a tail.
        over = worse - m * declared
        base = declared if over <= 0 or over * over <= UNDOUBTED * m * declared else _usual(worse, m, declared)
        if base == declared:
            needed = usual
        else:
            # Once most of alpha is spent, a plan that grows must do with what is left.
            needed = _needed(aim, base, alpha if share < 1 or base <= reached else alpha * (1 - FIRST) / 2)
        wanted = before if share < 1 and before > needed else needed
    return tests, Compared(n, bad, m, worse, wanted, base)


def _usual(worse: int, m: int, base: float) -> float:
    """Give the bad share that is usual: the one that is declared, or the control's where it is surely above that."""
    due = m * base
    if due > 0 and not is_rarer(due, worse, DOUBT):
        return base
    return round_up(worse / m)


def is_due(last: float, share: float) -> bool:
    """Tell whether to test again: by STEP before the plan is reached, when it is reached, by BEYOND after it."""
    if share < 1:
        return share >= last + STEP
    return last < 1 or share >= last * BEYOND


def round_up(share: float) -> float:
    """Give a share in steps of a twentieth of itself, upwards: few plans are worked out, none too small."""
    step = 1e-6
    while step * 20 < share:
        step *= 2
    return min(1.0, -(-share // step) * step)


def _needed(aim: Aim, base: float, alpha: float) -> float:
    return needed_counts(base, min(base + aim.rise, 0.999), alpha, aim.power)


def _is_loud(tests: Sequence[Test], aim: Aim) -> bool:
    """Tell whether the canary's part was ever so far above its due that a boundary may have been crossed.

    Any sum at or beyond a boundary has a chance of at most alpha, as all that was spent up to there adds up to no more.
    """
    far = QUIET * QUIET * log(1 / aim.alpha) if aim.alpha > 0 else 0.0
    over = variance = 0.0
    rate = aim.rate
    for _, _, strata in tests:
        for n, bad, m, worse in strata:
            both, all_bad = n + m, bad + worse
            if all_bad and both:
                due = all_bad * n / both
                over += bad - due
                variance += due * m / both * (1.0 if rate or both < 2 else (both - all_bad) / (both - 1))
        if over > 0 and over * over >= far * variance:
            return True
    return False


def _walked(tests: Sequence[Test], aim: Aim) -> tuple[float | None, int | None]:
    """Carry the walk through all tests; give the second at which it was stopped, and the last boundary."""
    state, used, seen = Spread(0, [1.0]), 0.0, 0
    bound: int | None = None
    for at_s, share, strata in tests:
        for each in map(_shorter, strata):
            seen += each.canary_bad
            state = joined(state, _due(each, rate=aim.rate))
        weights, allowed = state.weights, spent(aim.alpha, share) - used
        cut, over = len(weights), 0.0
        while cut and over + weights[cut - 1] <= allowed:
            cut -= 1
            over += weights[cut]
        used += over
        bound = state.first + cut
        if seen >= bound:
            return at_s, bound
        state = Spread(state.first, weights[:cut])
    return None, bound


def _due(each: Stratum, *, rate: bool) -> Spread:
    bad = each.canary_bad + each.control_bad
    if not rate:
        return hypergeometric(bad, each.canary_n, each.control_n)
    n = each.canary_n + each.control_n
    if not each.canary_n or not each.control_n or not bad:
        return Spread(bad if each.canary_n else 0, [1.0])
    return binomial(bad, each.canary_n / n)


def _shorter(each: Stratum) -> Stratum:
    """Let a stratum of very many failures count for less; the canary's are rounded down and the control's up."""
    by = -(-(each.canary_bad + each.control_bad) // MOST)
    if by <= 1:
        return each
    return Stratum(each.canary_n // by, each.canary_bad // by, -(-each.control_n // by), -(-each.control_bad // by))
