"""Traffic made of chance: by the seed and nothing else, around its rates, and never less than before."""

from __future__ import annotations

import pytest

from meshup.simulate.scenario import load
from meshup.simulate.world.edges import Stretch
from meshup.simulate.world.history import SPREAD
from meshup.simulate.world.noise import Noise


def stretch(noise, seconds, *, rps=100.0, errors=0.01, opened=10.0, unconnected=0.02, stream=(0, "a", "b")):
    steady = Stretch(rps * seconds, rps * seconds * errors, opened * seconds, 0.0, 20.0)
    return noise.stretch(stream, steady, unconnected=unconnected, drawn=False)


def test_what_comes_does_not_depend_on_how_often_somebody_looks():
    once, often = stretch(Noise(5), 600.0), [stretch(noise, 1.0) for noise in [Noise(5)] for _ in range(600)]
    for name in ("requests", "failed", "opened", "lost"):
        assert sum(getattr(each, name) for each in often) == pytest.approx(getattr(once, name), abs=1.0), name


def test_another_seed_and_another_pair_of_pods_have_a_chance_of_their_own():
    assert stretch(Noise(5), 600.0) == stretch(Noise(5), 600.0)
    assert stretch(Noise(5), 600.0) != stretch(Noise(6), 600.0)
    noise = Noise(5)
    assert stretch(noise, 600.0) != stretch(noise, 600.0, stream=(0, "a", "c"))


def test_counts_are_whole_and_lie_around_their_rates_by_as_much_as_chance_does():
    several = [stretch(Noise(seed), 600.0) for seed in range(40)]
    for name, mean in (("requests", 60_000 - 120), ("failed", 600), ("opened", 5_880), ("lost", 120)):
        values = [getattr(each, name) for each in several]
        assert all(each == int(each) for each in values)
        middle = sum(values) / len(values)
        assert middle == pytest.approx(mean, abs=4 * (mean / len(values)) ** 0.5), name
        variance = sum((each - middle) ** 2 for each in values) / (len(values) - 1)
        assert 0.4 < variance / mean < 2.2, name


def test_times_are_shared_out_as_the_spread_says_and_every_request_has_one():
    found = stretch(Noise(1), 6000.0, errors=0.0, unconnected=0.0)
    assert sum(found.spread) == found.requests
    for (_, share), count in zip(SPREAD, found.spread, strict=True):
        assert count / found.requests == pytest.approx(share, abs=0.01)


def test_what_fails_anyway_is_told_apart_from_what_a_rollout_costs():
    noise = Noise(3)
    stretch(noise, 600.0)
    assert noise.failed == noise.usual > 0
    noise.nobody(7.0)
    assert noise.failed == noise.usual + 7.0


def test_gauges_of_proxies_differ_a_little_and_each_scrape_has_one_value():
    noise = Noise(1)
    later = noise.level("a", 3000.0)
    assert [noise.level("a", each) for each in (0.0, 3000.0)][1] == later
    values = [noise.level(uid, 15.0 * number) for uid in "abcdefgh" for number in range(50)]
    assert len(set(values)) == len(values)
    assert all(0.8 < each < 1.2 for each in values)


def test_only_a_scenario_that_says_so_is_noisy():
    assert load("noisy").world.traffic.noise is not None
    assert load("shop").world.traffic.noise is None
