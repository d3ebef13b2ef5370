"""Unknown by rule: evidence that is none advances nothing, row by row, and in a million inputs by chance."""

from __future__ import annotations

import json
import os
import random
from dataclasses import replace

import pytest
from looking import series, terms
from spoils import SPOILS

from meshup.gates.canary.acting import decide
from meshup.gates.canary.judge import findings, judge, verdict
from meshup.model.canary import METRICS, Act
from meshup.model.sampled import written
from meshup.model.verdict import Answer, Reading

INPUTS, PARTS = 1_000_000, 400
N = {"errors": 4000, "connection-failures": 1000, "handshake-errors": 1000, "restarts": 2000, "latency": 4000}


def sound(metric, chance=None):
    """Looks that pass: a few more than are needed in a row, with more evidence than is needed."""
    looks = chance.randint(3, 5) if chance else 4
    return series(metric, looks=looks, n=N.get(metric, 120) * (chance.randint(1, 4) if chance else 1))


def judged(looks, settings):
    found = findings(looks, settings)
    return verdict(found, settings), decide((), found)


@pytest.mark.parametrize("metric", METRICS)
def test_sound_evidence_of_every_metric_passes(metric):
    said, decision = judged(sound(metric), terms(metric))
    assert (said.answer, decision.act) == (Answer.PASS, Act.PROMOTE), said.because


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", SPOILS)
def test_evidence_that_is_none_is_unknown_for_every_metric(name, metric):
    settings = terms(metric)
    for seed in range(12):
        chance = random.Random(seed)
        said, decision = judged(SPOILS[name](chance, sound(metric, chance), settings), settings)
        assert said.answer is Answer.UNKNOWN, (name, seed, said.because)
        assert decision.act is Act.HOLD
        assert said.because.strip()
        assert "\n" not in said.because


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("NaN", "no number"),
        ("stale", "the newest sample is"),
        ("warnings", "the answer is partial: a store did not answer"),
        ("query error", "the query failed: HTTP"),
        ("several series", "series for the"),
        ("wrong cluster", "another cluster"),
        ("wrong revision", "runs "),
        ("partial labels", "without the labels"),
        ("counter reset", "began anew"),
        ("counter went back", "went back from"),
        ("negative", "is negative"),
        ("window too short", "4 scrapes are"),
        ("skewed clocks", "clock"),
        ("baseline missing", "the baseline is missing"),
        ("control not equally fresh", "older than the canary's"),
        ("one replica is both", "one replica can't be both arms"),
        ("too few looks", "looks in a row"),
        ("cut short", "cut short"),
        ("too few samples or none", "requests in 240 s; no traffic is no evidence|not enough data"),
    ],
)
def test_unknown_says_which_rule_it_is(name, words):
    settings, said = terms("errors"), set()
    for seed in range(8):
        said.add(judged(SPOILS[name](random.Random(seed), sound("errors"), settings), settings)[0].because)
    assert any(word in each for each in said for word in words.split("|")), said


@pytest.mark.parametrize("late", [1, 2, 3])
def test_evidence_that_flaps_does_not_pass_until_enough_looks_are_sound_in_a_row(late):
    settings, looks = terms("errors"), list(series("errors", looks=8))
    looks[-late] = replace(looks[-late], whole=False)
    assert judged(looks, settings)[0].answer is Answer.UNKNOWN
    assert judged(series("errors", looks=8), settings)[0].answer is Answer.PASS


def test_looks_that_could_not_read_long_ago_do_not_matter():
    looks = list(series("errors", looks=8))
    readings = [Reading(at=each.at, elapsed_s=each.elapsed_s, data=written(each)) for each in looks]
    readings[2] = Reading(at=looks[2].at, elapsed_s=looks[2].elapsed_s, blind="HTTP 503")
    assert judge(readings, terms("errors")).answer is Answer.PASS
    readings[-1] = Reading(at=looks[-1].at, elapsed_s=looks[-1].elapsed_s, blind="HTTP 503")
    said = judge(readings, terms("errors"))
    assert (said.answer, said.because) == (Answer.UNKNOWN, "HTTP 503")


def test_nothing_read_and_nothing_asked_is_unknown():
    assert judge([], terms("errors")).answer is Answer.UNKNOWN
    assert judged((), terms("errors"))[0].answer is Answer.UNKNOWN
    assert judged(sound("errors"), terms("errors", wave=()))[0].answer is Answer.UNKNOWN
    assert judged(sound("errors"), terms("errors", wave=("shop/cart", "shop/web")))[0].answer is Answer.UNKNOWN
    assert judged(sound("errors"), terms("errors", "cpu"))[0].answer is Answer.UNKNOWN


@pytest.mark.parametrize("empty", ["cluster", "control", "canary"])
def test_terms_that_do_not_say_what_is_right_accept_nothing(empty):
    assert judged(sound("errors"), terms("errors", **{empty: ""}))[0].answer is Answer.UNKNOWN


def leaves(node, path=()):
    if isinstance(node, dict | list):
        for key, each in node.items() if isinstance(node, dict) else enumerate(node):
            yield from leaves(each, (*path, key))
    yield path


def test_whatever_stands_in_a_reading_judging_never_raises_and_numbers_must_be_some():
    chance, settings = random.Random(1), terms("errors")
    readings = [Reading(at=each.at, elapsed_s=each.elapsed_s, data=written(each)) for each in sound("errors")]
    odd = (None, "x", -1, [], {}, True, "NaN", 1e308, [None])
    every = sorted(leaves(readings[-1].data), key=str)
    for _ in range(3000):
        data = json.loads(json.dumps(readings[-1].data))
        path = chance.choice(every)
        if not path:
            data = chance.choice(odd)
        else:
            node = data
            for key in path[:-1]:
                node = node[key]
            node[path[-1]] = chance.choice(odd)
        said = judge([*readings[:-1], Reading(at=readings[-1].at, elapsed_s=240.0, data=data)], settings)
        counted = path[:3] == ("pairs", 0, 3) and path[-1] in (1, 2) and path[-2] in (2, 3)
        assert said.answer is not Answer.PASS or not counted or node[path[-1]] == 1e308, path


def at_random(number, seed):
    """Spoil sound looks, or leave a few as they are; give how many of those passed, and how many were spoiled."""
    chance = random.Random(seed)
    names, metrics = list(SPOILS), list(METRICS)
    settings = {each: terms(each) for each in metrics}
    bases = {each: [sound(each, random.Random(part)) for part in range(6)] for each in metrics}
    passed = spoiled = 0
    for _ in range(number):
        metric = chance.choice(metrics)
        looks = chance.choice(bases[metric])
        asked = settings[metric]
        if chance.random() < 0.02:
            passed += judged(looks, asked)[0].answer is Answer.PASS
            continue
        name = chance.choice(names)
        odd = SPOILS[name](chance, looks, asked)
        said, decision = judged(odd, asked)
        assert said.answer is not Answer.PASS, (metric, name, said.because)
        assert decision.act >= Act.HOLD, (metric, name)
        spoiled += 1
    return passed, spoiled


def test_a_share_of_the_inputs_by_chance_advances_nothing():
    passed, spoiled = at_random(INPUTS // PARTS, seed=0)
    assert passed
    assert spoiled > 0.9 * INPUTS // PARTS


@pytest.mark.sweep
@pytest.mark.parametrize("part", range(PARTS // 10))
def test_no_input_advances_without_fresh_finite_sufficient_evidence(part, covered):
    if part % max(1, int(os.environ.get("MESHUP_SWEEP_EVERY", "1"))):
        pytest.skip("MESHUP_SWEEP_EVERY leaves this part out")
    number = INPUTS * 10 // PARTS
    passed, spoiled = at_random(int(number * 1.03), seed=part + 1)
    covered(f"canary inputs, part {part}: {spoiled} that are no evidence, 0 advanced; {passed} that are, passed")
    assert spoiled >= number
    assert passed
