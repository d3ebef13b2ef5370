"""Rollouts that are played whole: nobody is stopped whose release is good, and a bad one is, with all gates of the runbook."""

from __future__ import annotations

import os

import pytest

from meshup.cli import whole as played

ROLLOUTS, PARTS = 50, 10
SEEDS = 2


def test_two_whole_rollouts_of_a_good_release_go_through_and_cost_no_request_more_than_usual():
    trials, found = played.whole(rollouts=SEEDS, seed=1, told=lambda _: None)
    assert found.why == ()
    assert (found.runs, found.through, found.held) == (SEEDS, SEEDS, 0)
    assert found.failed == found.usual > 100
    assert [each.what for each in trials] == ["whole: nothing is wrong", *(f"whole: {what}" for what, _ in played.BAD)]
    assert [each.what for each in trials if not each.is_kept] == []
    for cost in found.costs:
        assert 0 < max(cost.failed, cost.slowed) <= cost.requests


@pytest.mark.sweep
@pytest.mark.parametrize("part", range(PARTS))
def test_fifty_whole_rollouts_of_a_good_release_are_not_stopped(part, covered):
    """Each part has five rollouts with seeds of their own, fifty in all: two per cent of them are one."""
    if part % max(1, int(os.environ.get("MESHUP_SWEEP_EVERY", "1"))):
        pytest.skip("MESHUP_SWEEP_EVERY leaves this part out")
    each = ROLLOUTS // PARTS
    ended = [played.one(1 + part * each + number)[1] for number in range(each)]
    words = [each.word for each in ended]
    covered(f"whole rollouts, part {part}: {words.count('stopped')} of {each} stopped, {words.count('held')} held")
    assert words.count("stopped") <= 1, [each.why for each in ended]
    assert words.count("through") >= each - 1, [each.why for each in ended]
