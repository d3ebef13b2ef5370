"""Rules of the JUnit file, by the attributes that GitLab, Jenkins and Azure read: red exactly where the exit code is."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from story import chapters

from meshup.engine.ending import of_error
from meshup.model.events import Outcome
from meshup.model.problem import Refused
from meshup.views.junit import junit

ENDS = sorted(name for name, each in chapters().items() if isinstance(each, Outcome))


def bad(root: ET.Element) -> list[ET.Element]:
    return [
        case for case in root.iter("testcase") if case.find("failure") is not None or case.find("error") is not None
    ]


@pytest.mark.parametrize("name", ENDS)
def test_a_file_is_red_exactly_where_the_exit_code_is(name: str) -> None:
    outcome = chapters()[name]
    root = ET.fromstring(junit(outcome))
    assert bool(bad(root)) is (outcome.exit not in (0, 5)), name
    assert root.tag == "testsuites"
    for suite in (root, *root):
        cases = list(suite.iter("testcase"))
        assert cases, suite.get("name")
        counts = {key: int(suite.get(key, "")) for key in ("tests", "failures", "errors", "skipped")}
        assert counts == {
            "tests": len(cases),
            "failures": sum(case.find("failure") is not None for case in cases),
            "errors": sum(case.find("error") is not None for case in cases),
            "skipped": sum(case.find("skipped") is not None for case in cases),
        }
    names = [(case.get("classname"), case.get("name")) for case in root.iter("testcase")]
    assert len(set(names)) == len(names), "a case that stands twice is shown once by GitLab"
    assert all(each.get("name") for each in root)
    assert all(float(case.get("time", "x")) >= 0 for case in root.iter("testcase"))


def test_steps_and_gates_are_both_cases() -> None:
    stop = chapters()["exit-4"]
    root = ET.fromstring(junit(stop))
    sorts = {case.get("name"): case for case in root.iter("testcase")}
    assert sorts["ingress/install-control-plane"].get("classname") == "step"
    assert len(sorts["ingress/install-control-plane"]) == 1, "passed: its output alone"
    assert sorts["onboard/wave-1/enrol"].find("skipped") is not None
    assert sorts["onboard/wave-1/success-rate"].find("failure") is not None


@pytest.mark.parametrize("code", [1, 2, 3, 4, 6, 7, 8, 9, 130])
def test_an_error_before_any_run_is_a_case_of_its_own(code: int) -> None:
    refused = of_error(Refused("the plan is stale", code="MU2103", fix="meshup plan"))
    root = ET.fromstring(junit(replace(refused, exit=code)))
    (case,) = bad(root)
    error = case.find("error")
    assert error is not None
    assert (error.get("type"), error.get("message")) == ("MU2103", "the plan is stale")


def test_what_waits_is_no_failure() -> None:
    root = ET.fromstring(junit(chapters()["exit-5"]))
    assert bad(root) == []
    assert any("approved" in (each.get("message") or "") for each in root.iter("skipped"))
