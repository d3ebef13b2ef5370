"""Rules in words: what is none is refused at load with its line, and a decision is recorded with its samples."""

from __future__ import annotations

import json

import pytest
from halfway import book, rehearsed

from meshup.cli.kinds import kinds
from meshup.gates.canary.acting import USUAL
from meshup.model.canary import METRICS, Act
from meshup.model.problem import Exit
from meshup.model.rules import read, said
from meshup.runbook.load import load

GOOD = [
    "when any pass then promote",
    "when any pass then slow",
    "when latency unknown then roll back",
    "when errors fail then hold",
    "when memory above 1.5 then hold",
]


@pytest.mark.parametrize("text", GOOD)
def test_a_rule_is_written_as_it_is_read(text):
    assert said(read(text)) == text


def test_every_metric_answer_and_act_can_be_said():
    for metric in METRICS:
        for answer in ("pass", "unknown", "fail"):
            assert read(f"when {metric} {answer} then roll back").then is Act.ROLL_BACK
    assert {read(f"when any pass then {act.word}").then for act in Act} == set(Act)
    assert [read(said(each)) for each in USUAL] == list(USUAL)


BAD = {
    "when errors unknown then promote": "unknown never goes on",
    "when errors fail then slow": "fail never goes on",
    "when errors above 0.1 then promote": "no reason to go on",
    "when any above 0.1 then hold": "a value belongs to one metric",
    "when errors above nan then hold": "is no bound",
    "when errors above -1 then hold": "is no bound",
    "when errors above much then hold": "is no number",
    "when speed fail then hold": "speed is no metric",
    "when errors fail then celebrate": "is no rule",
    "when errors skipped then hold": "is no rule",
    "errors fail": "is no rule",
    "": "is no rule",
    "when errors fail then hold; when any pass then promote": "is no rule",
    "when __import__('os') fail then hold": "is no metric",
}


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_rule_is_refused_at_load_with_its_place(text):
    written = json.dumps(book("cart", rules=[text]), indent=1)
    loaded = load(written.encode(), name="book.yaml", kinds=kinds())
    (found,) = [each for each in loaded.problems if each.severity == "error"]
    assert (found.code, found.at.file) == ("MU1209", "book.yaml")
    assert "canary.rules" in found.what
    assert BAD[text] in found.what


def test_a_rule_decides_in_a_run_and_its_decision_stands_in_the_verdict(tmp_path, capsys):
    written = book(
        "cart", enrol={"hold": True}, metrics=["errors"], rules=["when errors fail then hold"], patience={"limit": "3m"}
    )
    code, _, (found,) = rehearsed(tmp_path, capsys, written, "--no-back", "--bad", "errors,errors=0.03")
    assert code == Exit.GATE_HELD
    assert found["answer"] == "unknown"
    assert 'held by the rule "when errors fail then hold"' in found["because"]
