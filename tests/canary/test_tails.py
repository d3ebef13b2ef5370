"""Every distribution against scipy, on random and on tied samples."""

from __future__ import annotations

import math
import random

import pytest
from scipy import stats

from meshup.gates.canary.ranks import above, is_above
from meshup.gates.canary.sequence import DOUBT, QUIET, UNDOUBTED
from meshup.gates.canary.size import needed_counts
from meshup.gates.canary.tails import binomial, hypergeometric, is_rarer, joined, normal_point, normal_tail

SAMPLES = 10_000
LEVEL = 0.01


def tail(spread, at):
    """The chance of at least so many."""
    return math.fsum(spread.weights[max(0, at - spread.first) :])


def chance_above(canary, control):
    """The one-sided p of the rank test; 1 when all points are equal, where there is nothing to divide by."""
    return normal_tail(above(canary, control)) if len(set(canary) | set(control)) > 1 else 1.0


def close(one, other):
    return one == pytest.approx(other, rel=1e-8, abs=1e-13)


def test_the_hypergeometric_tail_is_that_of_fishers_exact_test():
    chance = random.Random(1)
    for _ in range(2_000):
        canary, control = chance.randint(0, 3000), chance.randint(0, 3000)
        bad = chance.randint(0, min(canary + control, chance.choice((5, 50, 500))))
        spread = hypergeometric(bad, canary, control)
        at = chance.randint(0, bad + 1)
        assert close(tail(spread, at), stats.hypergeom.sf(at - 1, canary + control, bad, canary)), (
            bad,
            canary,
            control,
            at,
        )


def test_the_binomial_tail_is_that_of_the_binomial_test():
    chance = random.Random(2)
    for _ in range(2_000):
        events, share = chance.randint(0, chance.choice((3, 40, 4000))), chance.uniform(0.001, 0.999)
        at = chance.randint(0, events + 1)
        assert close(tail(binomial(events, share), at), stats.binom.sf(at - 1, events, share)), (events, share, at)


def test_a_distribution_sums_up_to_one_and_so_does_a_sum_of_two():
    chance = random.Random(3)
    for _ in range(300):
        one = hypergeometric(chance.randint(0, 60), 500, chance.randint(60, 900))
        other = binomial(chance.randint(0, 60), chance.random() * 0.98 + 0.01)
        for each in (one, other, joined(one, other)):
            assert sum(each.weights) == pytest.approx(1, abs=1e-12)


def test_the_sum_of_two_halves_is_the_whole():
    whole, half = binomial(80, 0.3), binomial(40, 0.3)
    both = joined(half, half)
    assert all(close(tail(both, at), tail(whole, at)) for at in range(82))


def test_a_poisson_count_is_rarer_where_scipy_says_so():
    chance = random.Random(4)
    said = []
    for _ in range(20_000):
        mean = 10 ** chance.uniform(-6, 4)
        at = int(mean + chance.uniform(0, 5) * math.sqrt(mean)) + 1
        than = chance.choice((0.5, 0.05, 0.01, 1e-6))
        said.append(is_rarer(mean, at, than))
        assert said[-1] == (stats.poisson.sf(at - 1, mean) <= than), (mean, at, than)
    assert 0.2 < sum(said) / len(said) < 0.8


def test_normal_points_and_tails_are_scipys():
    chance = random.Random(5)
    for _ in range(2_000):
        tail = 10 ** chance.uniform(-12, -0.01)
        assert normal_point(tail) == pytest.approx(stats.norm.isf(tail), abs=1e-9)
        z = chance.uniform(-8, 8)
        assert close(normal_tail(z), stats.norm.sf(z))


def ranked(chance):
    """Two samples: smooth, coarse, nearly constant, or constant."""
    one, other = chance.randint(50, 70), chance.randint(50, 70)
    kind = chance.randrange(4)
    shift = chance.choice((0.0, 0.0, 0.3, 0.6))
    if kind == 0:
        return [chance.gauss(shift, 1) for _ in range(one)], [chance.gauss(0, 1) for _ in range(other)]
    steps = (3, 12, 1)[kind - 1]
    return (
        [float(round(chance.random() * steps + shift)) for _ in range(one)],
        [float(round(chance.random() * steps)) for _ in range(other)],
    )


def test_verdicts_are_scipys_on_ten_thousand_random_and_tied_samples():
    chance = random.Random(6)
    tied = harmed = 0
    for number in range(SAMPLES):
        if number % 2:
            canary, control = ranked(chance)
            own = chance_above(canary, control)
            right = stats.mannwhitneyu(canary, control, alternative="greater", method="asymptotic").pvalue
            if len(set(canary) | set(control)) == 1:
                right = 1.0  # scipy has no variance to divide by
            tied += len(set(canary) | set(control)) < len(canary) + len(control)
        else:
            n, m = chance.randint(100, 4000), chance.randint(100, 4000)
            bad, worse = (sum(chance.random() < 0.01 for _ in range(200)) for _ in range(2))
            worse *= chance.choice((1, 1, 3))
            own = tail(hypergeometric(bad + worse, n, m), worse)
            right = stats.hypergeom.sf(worse - 1, n + m, bad + worse, n)
        assert own == pytest.approx(right, rel=1e-8, abs=1e-13)
        assert (own <= LEVEL) is bool(right <= LEVEL)
        harmed += own <= LEVEL
    assert tied > SAMPLES // 4
    assert SAMPLES // 20 < harmed < SAMPLES // 2


def few_apart(chance):
    """Samples in which nearly all points are one value, where ties make the deviation smallest."""
    one, other, share = chance.randint(50, 70), chance.randint(50, 70), chance.random() * 0.4
    canary = [float(chance.randint(1, 3) if chance.random() < share else 0) for _ in range(one)]
    control = [float(chance.random() < share * chance.choice((0.0, 0.3, 1.0))) for _ in range(other)]
    return (canary, control) if chance.random() < 0.5 else ([-each for each in control], [-each for each in canary])


def test_sparing_the_ranks_changes_no_answer():
    chance, far_ones = random.Random(9), 0
    for _ in range(3_000):
        canary, control = chance.choice((ranked, few_apart))(chance)
        far = normal_point(10 ** chance.uniform(-6, -1.3))
        assert is_above(canary, control, far=far) is (above(canary, control) >= far)
        far_ones += above(canary, control) >= far
    assert 250 < far_ones < 2_750


def test_no_tail_begins_nearer_than_what_is_spared():
    """What `sequence` spares: a count fewer deviations above its mean than QUIET sqrt(ln 1 / alpha) is not that rare."""
    chance = random.Random(10)
    for _ in range(2_000):
        alpha = chance.choice((0.05, 0.02, 0.01, 0.001, 1e-4, 1e-6))
        if chance.random() < 0.5:
            events, share = int(10 ** chance.uniform(0, 3)), 1 - 10 ** chance.uniform(-3, -0.01)
            spread, mean = binomial(events, share), events * share
            variance = mean * (1 - share)
        else:
            canary, control = (int(10 ** chance.uniform(0, 3.5)) for _ in range(2))
            both, bad = canary + control, chance.randint(1, min(canary + control, 80))
            spread, mean = hypergeometric(bad, canary, control), bad * canary / both
            variance = mean * (control / both) * (both - bad) / max(1, both - 1)
        near = mean + QUIET * math.sqrt(math.log(1 / alpha) * variance)
        most = min(math.ceil(near) - 1, spread.first + len(spread.weights) - 1)
        assert most <= mean or tail(spread, most) > alpha, (spread.first, mean, variance, alpha)
    for mean in (0.01, 0.3, 1.0, 7.0, 80.0, 3000.0):
        assert stats.poisson.sf(math.floor(mean + math.sqrt(UNDOUBTED * mean)) - 1, mean) > DOUBT


def test_points_worth_less_lie_fewer_deviations_above():
    chance = random.Random(7)
    canary, control = [chance.gauss(1, 1) for _ in range(60)], [chance.gauss(0, 1) for _ in range(60)]
    assert above(canary, control, effect=4.0) == pytest.approx(above(canary, control) / 2)


def test_sizes_are_those_of_the_textbook_and_six_percent():
    """RELIABILITY section 8 lists them for alpha 1 %, power 95 %."""
    for base, worst, n in ((0.001, 0.01, 2127), (0.001, 0.005, 5893), (0.01, 0.02, 4657), (0.01, 0.05, 571)):
        assert needed_counts(base, worst, 0.01, 0.95) == pytest.approx(n * 1.06, rel=0.002)


@pytest.mark.parametrize(
    ("base", "worst", "alpha"), [(0.01, 0.01, 0.01), (0.5, 1.0, 0.01), (0.1, 0.2, 0.0), (-0.1, 0.2, 0.01)]
)
def test_what_no_amount_can_tell_needs_an_infinite_one(base, worst, alpha):
    assert needed_counts(base, worst, alpha, 0.95) == float("inf")
