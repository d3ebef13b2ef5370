"""Samples stand in a journal exactly: a verdict is made again, bit for bit, from what was written."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from looking import series, terms
from spoils import SPOILS

from meshup.gates.canary.judge import findings, judge
from meshup.model.canary import METRICS
from meshup.model.sampled import read, written
from meshup.model.samples import Buckets, Counts, Look, Origin, Pair, Pod, Points, Sample
from meshup.model.verdict import Reading

NUMBER = st.none() | st.floats() | st.integers(0, 2**60)
TEXT = st.text(max_size=6)
ARM = st.none() | st.one_of(
    st.builds(Counts, n=NUMBER, bad=NUMBER, resets=st.none() | st.integers(0, 9)),
    st.builds(Points, values=st.lists(NUMBER, max_size=4).map(tuple)),
    st.builds(Buckets, bounds=st.lists(NUMBER, max_size=3).map(tuple), counts=st.lists(NUMBER, max_size=3).map(tuple)),
)
PODS = st.lists(st.builds(Pod, name=TEXT, revision=TEXT, age_s=NUMBER), max_size=2).map(tuple)
SAMPLE = st.builds(
    Sample, metric=TEXT, view=TEXT, control=ARM, canary=ARM, origin=st.integers(-1, 3), synthetic=st.booleans()
)
LOOK = st.builds(
    Look,
    at=st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2040, 1, 1)).map(
        lambda each: each.replace(tzinfo=UTC, fold=0)
    ),
    elapsed_s=st.floats(),
    skew_s=NUMBER,
    origins=st.lists(
        st.builds(
            Origin,
            source=TEXT,
            query=TEXT,
            scrape_s=st.floats(),
            newest=NUMBER,
            cluster=TEXT,
            series=st.tuples(st.integers(0, 3), st.integers(0, 3)),
            unlabelled=st.integers(0, 3),
            warnings=st.lists(TEXT, max_size=2).map(tuple),
            error=TEXT,
        ),
        max_size=2,
    ).map(tuple),
    pairs=st.lists(
        st.builds(Pair, service=TEXT, control=PODS, canary=PODS, samples=st.lists(SAMPLE, max_size=2).map(tuple)),
        max_size=2,
    ).map(tuple),
    whole=st.booleans(),
)


@given(LOOK)
def test_what_is_read_is_what_was_written_to_the_last_bit(look):
    text = json.dumps(written(look), allow_nan=False)
    assert repr(read(json.loads(text))) == repr(look)
    assert json.dumps(written(read(json.loads(text)))) == text


@pytest.mark.parametrize("metric", METRICS)
def test_a_verdict_is_made_again_bit_for_bit_from_its_readings(metric):
    settings = terms(metric)
    for seed, name in enumerate(SPOILS):
        looks = SPOILS[name](random.Random(seed), series(metric, n=4000), settings)
        readings = [
            Reading(at=each.at, elapsed_s=each.elapsed_s, data=json.loads(json.dumps(written(each)))) for each in looks
        ]
        again = [read(each.data) for each in readings]
        assert repr(findings(again, settings)) == repr(findings(looks, settings)), name
        assert judge(readings, settings) == judge(readings, settings)


def test_a_replay_may_try_other_values():
    looks = series("errors", n=2000, canary=0.004, share=0.001)
    readings = [Reading(at=each.at, elapsed_s=each.elapsed_s, data=written(each)) for each in looks]
    assert judge(readings, terms("errors")).answer.word == "fail"
    assert judge(readings, terms("errors", callers_alpha=1e-14)).answer.word == "unknown"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("form",), 2),
        (("form",), None),
        (("at",), 5),
        (("at",), "yesterday"),
        (("elapsed",), None),
        (("elapsed",), "soon"),
        (("whole",), 1),
        (("origins",), {}),
        (("origins", 0), []),
        (("pairs", 0, 3, 0, 2, 0), "x"),
        (("pairs", 0, 3, 0, 2, 1), True),
        (("pairs", 0, 3, 0, 4), 0.0),
    ],
)
def test_what_is_no_look_is_refused(path, value):
    data = json.loads(json.dumps(written(series("errors")[0])))
    node = data
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    with pytest.raises(ValueError):
        read(data)


@pytest.mark.parametrize("raw", [None, [], "", 3, {}, {"form": 1}])
def test_anything_else_is_refused(raw):
    with pytest.raises(ValueError):
        read(raw)


def test_odd_numbers_are_words_that_json_has():
    look = series("errors")[0]
    pair = look.pairs[0]
    odd = replace(pair.samples[0], canary=Counts(n=math.nan, bad=-math.inf), control=Counts(n=math.inf, bad=-0.0))
    text = json.dumps(written(replace(look, pairs=(replace(pair, samples=(odd,)),))), allow_nan=False)
    assert '["c", "NaN", "-Inf", 0]' in text
    assert '["c", "+Inf", -0.0, 0]' in text
