"""The sequential test: what it may spend, what it finds, and that nothing but the samples decides."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from meshup.gates.canary import sequence
from meshup.gates.canary.sequence import Aim, Step, Stratum, compare, round_up, spent

AIM = Aim(base=0.001, rise=0.009, alpha=0.01, power=0.95)


def played(chance, rates, *, looks, n, m=0):
    """Steps of a canary and a control that fail at these rates."""
    steps = []
    for number in range(1, looks + 1):
        bad, worse = (drawn(chance, size, rate) for size, rate in zip((n, m or n), rates, strict=True))
        steps.append(Step(60.0 * number, (Stratum(n, bad, m or n, worse),)))
    return steps


def drawn(chance, n, rate):
    return sum(chance.random() < rate for _ in range(n))


def test_alpha_is_never_overspent():
    shares = [each / 50 for each in range(1, 5000)]
    every = [spent(0.01, each) for each in shares]
    assert every == sorted(every)
    assert every[-1] <= 0.01


@pytest.mark.parametrize("rate", [False, True])
def test_false_stops_stay_below_alpha_whatever_the_rate_and_the_looks(rate):
    chance, runs = random.Random(1), 1500
    aim = AIM._replace(alpha=0.05, rise=0.05, base=0.02, rate=rate)
    stops = sum(
        compare(played(chance, (0.02, 0.02), looks=chance.randint(1, 30), n=40), aim).since_s is not None
        for _ in range(runs)
    )
    # 0.05 * 1500 = 75; three deviations are 25.
    assert stops <= 100


def test_a_rate_that_moves_from_look_to_look_stops_nothing():
    """Both arms suffer the same noon peak; the canary has most of its traffic in it."""
    steps = [
        Step(60.0, (Stratum(200, 0, 2000, 2),)),
        Step(120.0, (Stratum(2000, 200, 200, 20),)),
        Step(180.0, (Stratum(200, 0, 2000, 1),)),
    ]
    assert compare(steps, AIM).since_s is None
    together = Stratum(2400, 200, 4200, 23)
    assert compare([Step(180.0, (together,))], AIM).since_s is not None


def test_one_look_is_fishers_exact_test_at_what_may_be_spent():
    chance = random.Random(2)
    for _ in range(400):
        n, m = chance.randint(500, 6000), chance.randint(500, 6000)
        bad, worse = chance.randint(0, 40), chance.randint(0, 20)
        found = compare([Step(60.0, (Stratum(n, bad, m, worse),))], AIM)
        share = found.have / compare([], AIM).needed  # what was planned before anything failed
        level = spent(AIM.alpha, share) if share >= sequence.STEP else 0.0
        p = stats.hypergeom.sf(bad - 1, n + m, bad + worse, n)
        assert (found.since_s is not None) is bool(p <= level), (n, bad, m, worse)


counts = st.tuples(st.integers(1, 800), st.integers(0, 12), st.integers(1, 800), st.integers(0, 12))


@given(st.lists(counts, min_size=1, max_size=12))
def test_sparing_the_walk_changes_no_answer(rows):
    steps = [
        Step(float(at), (Stratum(n, min(bad, n), m, min(worse, m)),)) for at, (n, bad, m, worse) in enumerate(rows)
    ]
    tests, _ = sequence._planned(steps, AIM)
    assert compare(steps, AIM).since_s == sequence._walked(tests, AIM)[0]


def test_sparing_the_walk_changes_no_answer_where_failures_are_many():
    chance, walked = random.Random(8), 0
    for number in range(150):
        share = chance.choice((0.1, 0.3, 0.5))
        n, m = chance.choice(((300, 300), (60, 600), (600, 60)))
        rise = chance.choice((0.0, 0.04, 0.08))
        aim = AIM._replace(alpha=chance.choice((0.01, 0.0001)), base=share, rise=0.1)
        steps = played(chance, (share + rise, share), looks=6, n=n, m=m)
        tests = [(step.at_s, (at + 1) / 6, step.strata) for at, step in enumerate(steps)]
        found = sequence._walked(tests, aim)[0]
        walked += found is not None
        assert found is None or sequence._is_loud(tests, aim), number
    assert walked > 10


@given(st.lists(counts, min_size=2, max_size=10))
def test_later_looks_never_unsay_a_harm(rows):
    steps = [
        Step(float(at), (Stratum(n, min(bad, n), m, min(worse, m)),)) for at, (n, bad, m, worse) in enumerate(rows)
    ]
    seen = [compare(steps[:many], AIM).since_s for many in range(1, len(steps) + 1)]
    first = next((each for each in seen if each is not None), None)
    assert all(each == first for each in seen[seen.index(first) :]) if first is not None else set(seen) == {None}


@pytest.mark.parametrize(
    ("base", "rise", "alpha"), [(0.001, 0.009, 0.01), (0.001, 0.009, 0.01 / 12), (0.01, 0.04, 0.01), (0.3, 0.1, 0.001)]
)
def test_the_smallest_harm_is_found_by_the_time_the_plan_is_there(base, rise, alpha):
    aim = Aim(base=base, rise=rise, alpha=alpha, power=0.95)
    needed = int(compare([], aim).needed)
    chance, runs = random.Random(3), 300
    n = -(-needed // 20)
    caught = 0
    for _ in range(runs):
        rates = (base + rise, base)
        caught += compare(played(chance, rates, looks=20, n=n), aim).since_s is not None
    # 95 % of 300 are 285; three deviations are 11.
    assert caught >= 274


def test_a_control_that_surely_fails_more_than_usual_asks_for_more_data():
    steps = [Step(60.0, (Stratum(3000, 60, 3000, 60),))]
    found = compare(steps, AIM)
    assert found.base == pytest.approx(0.02, rel=0.06)
    assert found.needed > 2 * compare([], AIM).needed
    lucky = [Step(60.0, (Stratum(3000, 3, 3000, 4),))]
    assert compare(lucky, AIM).needed == compare([], AIM).needed


def test_a_plan_that_grows_after_it_was_reached_must_do_with_the_alpha_that_is_left():
    good = [Step(60.0, (Stratum(3000, 3, 3000, 3),))]
    moved = [*good, Step(120.0, (Stratum(1000, 30, 1000, 30),))]
    assert compare(good, AIM).have >= compare(good, AIM).needed
    found = compare(moved, AIM)
    assert found.have < found.needed
    known_before = [Step(60.0, (Stratum(1000, 9, 1000, 9),)), Step(120.0, (Stratum(3000, 24, 3000, 24),))]
    assert found.needed > 1.5 * compare(known_before, AIM).needed


def test_the_controls_luck_at_a_look_buys_no_laxer_test_at_that_look():
    """What may be spent follows from the traffic and from what failed before: the same totals, parted otherwise, at one level."""
    first = Step(60.0, (Stratum(500, 5, 500, 5),))
    levels = set()
    for worse in (0, 10, 20):
        tests, _ = sequence._planned([first, Step(120.0, (Stratum(2000, 20 - worse, 2000, worse),))], AIM)
        levels.add(tests[-1][1])
    assert len(levels) == 1


def test_a_plan_that_was_reached_at_once_stays_as_it_is():
    steps = [Step(60.0 * each, (Stratum(3000, 3, 3000, 3),)) for each in range(1, 6)]
    assert {compare(steps[:many], AIM).needed for many in range(1, 6)} == {compare([], AIM).needed}


def test_bases_are_rounded_up_and_by_little():
    chance = random.Random(4)
    for _ in range(500):
        share = 10 ** chance.uniform(-5, 0)
        assert share <= round_up(share) <= share * 1.11 + 1e-6


def test_very_many_failures_are_judged_too():
    bad = Step(60.0, (Stratum(1_000_000, 130_000, 1_000_000, 100_000),))
    even = Step(60.0, (Stratum(1_000_000, 100_000, 1_000_000, 100_000),))
    aim = AIM._replace(base=0.1, rise=0.02)
    assert compare([bad], aim).since_s == 60.0
    assert compare([even], aim).since_s is None
