"""Every gate on evidence that is written down: what passes, what does not hold, what is unknown."""

from __future__ import annotations

import json

import pytest
from evidence import GATES, load, paths

from meshup.model.verdict import Answer


@pytest.mark.parametrize("path", paths(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_gate_says_what_its_case_says(path):
    gate, readings, terms, wanted = load(path)
    found = gate.judge(readings, terms)
    assert found.answer.word == wanted["answer"], found.because
    assert wanted["because"] in found.because
    assert "\n" not in found.because
    assert found.hopeless is wanted.get("hopeless", False)
    assert list(wanted.get("names", found.names)) == list(found.names)


@pytest.mark.parametrize("path", paths(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_reading_suffices_to_judge_again(path):
    gate, readings, terms, _ = load(path)
    again = [
        type(each)(at=each.at, elapsed_s=each.elapsed_s, data=json.loads(json.dumps(each.data)), blind=each.blind)
        for each in readings
    ]
    assert gate.judge(again, terms) == gate.judge(readings, terms)


@pytest.mark.parametrize("kind", sorted(GATES))
def test_every_gate_has_a_case_that_passes_and_one_that_is_unknown(kind):
    answers = {load(path)[3]["answer"] for path in paths() if path.parent.name == kind}
    assert {"pass", "unknown"} <= answers


def test_an_older_reading_never_stands_in_for_a_blind_one():
    for path in paths():
        gate, readings, terms, wanted = load(path)
        if wanted["answer"] != "pass":
            continue
        blind = type(readings[-1])(at=readings[-1].at, elapsed_s=readings[-1].elapsed_s + 5, blind="HTTP 503")
        verdict = gate.judge([*readings, blind], terms)
        assert (verdict.answer, verdict.because) == (Answer.UNKNOWN, "HTTP 503"), path
