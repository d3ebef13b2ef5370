"""Looks that no longer fit into the journal hand on what only they hold, so that patience is never too long for evidence."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from evidence import BEGAN, GATES, compared
from looking import arm, look, sample

from meshup.gates.gate import Terms
from meshup.model.kept import fitting
from meshup.model.sampled import read, written
from meshup.model.verdict import Answer, Reading

CANARY = GATES["canary"]
TERMS = Terms(params={"metrics": ["memory"], "watch": 0.0}, patience=CANARY.patience)


def memory(number, *, points=2, **changed):
    """One look at a single pod of each revision, scraped twice since the look before."""
    samples = [sample("memory", arm("memory", number, n=4 * points), arm("memory", number, n=points))]
    seconds = 60.0 * number
    data = {**compared(seconds), **written(replace(look(number, samples), **changed))}
    return Reading(at=BEGAN + timedelta(seconds=seconds), elapsed_s=seconds, data=data)


def asked(readings, **kept):
    """Judge look after look as a run does, with no more readings than are kept."""
    found = []
    for each in readings:
        found = fitting([*found, each], handed_on=lambda older, newer: CANARY.handed_on(older, newer, TERMS), **kept)
        said = CANARY.judge(found, TERMS)
    return found, said


def points(reading):
    (pair,) = read(reading.data).pairs
    return [(len(each.control.values), len(each.canary.values)) for each in pair.samples]


def test_points_of_looks_that_are_left_out_are_judged_all_the_same():
    readings = [memory(number) for number in range(62)]
    kept, said = asked(readings, count=20)
    assert (len(kept), said.answer) == (20, Answer.PASS)
    forgetful = fitting(readings, count=20)
    assert "not enough data for memory: 38 of " in CANARY.judge(forgetful, TERMS).because


def test_readings_that_are_too_long_for_the_journal_hand_on_their_points_too():
    kept, said = asked([memory(number, points=4) for number in range(40)], most=1_200)
    assert len(kept) < 30
    assert said.answer is Answer.PASS


def test_points_that_are_no_evidence_are_not_handed_on():
    partial = memory(1)
    origins = tuple(replace(each, warnings=("a store did not answer",)) for each in read(partial.data).origins)
    partial = memory(1, origins=origins)
    assert points(CANARY.handed_on(partial, memory(2), TERMS)) == points(memory(2))
    assert points(CANARY.handed_on(memory(1), memory(2), TERMS)) == [(8, 4)]


def test_a_comparison_that_began_anew_takes_nothing_over():
    other = memory(1)
    other = replace(other, data={**other.data, "began": "earlier"})
    assert CANARY.handed_on(other, memory(2), TERMS) == memory(2)


def test_the_query_of_the_first_look_stays_with_the_oldest_that_is_kept():
    unasked = tuple(replace(each, query="") for each in look(2, []).origins)
    handed = CANARY.handed_on(memory(1), memory(2, origins=unasked), TERMS)
    assert [each.query for each in read(handed.data).origins] == ["q"]


def test_a_blind_reading_in_between_costs_no_points():
    blind = replace(memory(2), data={}, blind="the server did not answer")
    kept, _ = asked([memory(0), memory(1), blind, memory(3), memory(4)], count=3)
    assert points(kept[1]) == [(8, 4)]
