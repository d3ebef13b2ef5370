"""Every gate on evidence that is written down: what passes, what does not hold, what is unknown."""

from __future__ import annotations

import json

import pytest
import yaml
from evidence import CASES, GATES, load, paths

from meshup.model.verdict import Answer
from tests.gates.tape import TAPES


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


REASONS = yaml.safe_load((CASES / "gates" / "reasons.yaml").read_text("utf-8"))


@pytest.mark.parametrize("kind", sorted(GATES))
def test_every_gate_has_cases_that_pass_that_fail_that_are_unknown_and_of_a_real_cluster_or_says_why_not(kind):
    own = [path for path in paths() if path.parent.name == kind]
    cases = [(load(path)[3], path) for path in own]
    answers = {case["answer"] for case, _ in cases}
    recorded = [case for case, path in cases if "tape" in case or "recorded:" in path.read_text("utf-8")]
    there = {"pass": "pass" in answers, "unknown": "unknown" in answers, "fail": "fail" in answers}
    there |= {"recorded": bool(recorded), "recorded, blocking": any(each["answer"] != "pass" for each in recorded)}
    missing = {name for name, is_there in there.items() if not is_there}
    assert missing == set(REASONS.get(kind, {}))


def test_reasons_are_of_gates_that_are_there():
    assert set(REASONS) <= set(GATES)
    assert all(len(text) > 40 for each in REASONS.values() for text in each.values())


def test_every_tape_is_played_by_a_case():
    cases = [yaml.safe_load(path.read_text("utf-8")) for path in paths()]
    assert {path.stem for path in TAPES.glob("*.json")} == {case["tape"] for case in cases if "tape" in case}


def test_an_older_reading_never_stands_in_for_a_blind_one():
    for path in paths():
        gate, readings, terms, wanted = load(path)
        if wanted["answer"] != "pass":
            continue
        blind = type(readings[-1])(at=readings[-1].at, elapsed_s=readings[-1].elapsed_s + 5, blind="HTTP 503")
        verdict = gate.judge([*readings, blind], terms)
        assert (verdict.answer, verdict.because) == (Answer.UNKNOWN, "HTTP 503"), path
