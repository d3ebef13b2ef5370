"""The gate `canary` without a Prometheus: the proxies' own pages are its evidence, and say what a Prometheus would."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import yaml
from halfway import SCENARIO, book, rehearsed

from meshup.cli.kinds import kinds
from meshup.cli.playing import session_of
from meshup.engine.execute import apply
from meshup.engine.planning import driver_of, plan_from, snapshot_for
from meshup.engine.replay import replay
from meshup.engine.session import Silence
from meshup.gates.finding import MOST_SCRAPED
from meshup.model.problem import Exit
from meshup.runbook.load import load
from meshup.simulate.scenario import load as scene

HELD = {"hold": True}
QUICK = {"metrics": ["errors", "connection-failures", "latency"]}
TOLD = "from the proxies' own pages, sampled "


def without(runbook):
    """The same runbook, without a Prometheus."""
    return {key: value for key, value in runbook.items() if key != "metrics"}


@pytest.mark.parametrize("service", ["cart", "store"])
def test_a_good_release_passes_by_comparison_and_the_verdict_says_what_was_sampled(tmp_path, capsys, service):
    written = without(book(service, enrol=HELD, **QUICK))
    code, document, (found,) = rehearsed(tmp_path, capsys, written)
    assert code == Exit.DONE, document["why"]
    assert "found no harm, control 1-29-4, canary 1-30-3" in found["because"]
    assert f"; {TOLD}" in found["because"]


@pytest.mark.parametrize(
    ("service", "bad"),
    [
        ("cart", ""),
        ("store", ""),
        ("cart", "errors,errors=0.03"),
        ("cart", "one-caller,errors=0.1,caller=shop/web"),
        ("cart", "slow,latency=400"),
        ("store", "errors,errors=0.03"),
    ],
)
def test_both_sources_give_one_answer_of_the_same_release(tmp_path, capsys, service, bad):
    written = book(service, enrol=HELD, **QUICK)
    words = ("--bad", bad) if bad else ()
    answers = {}
    for name, runbook in (("prometheus", written), ("pages", without(written))):
        code, _, (found,) = rehearsed(tmp_path, capsys, runbook, *words)
        answers[name] = (code, found["answer"])
        assert (TOLD in found["because"]) is (name == "pages")
    assert answers["pages"] == answers["prometheus"]
    assert answers["pages"][1] == ("fail" if bad else "pass")


def test_callers_that_do_not_count_by_endpoint_leave_it_unknown(tmp_path, capsys):
    written = without(book("cart", enrol=HELD, patience={"limit": "5m"}, **QUICK))
    scenario = {**SCENARIO, "endpoint-counters": False}
    code, _, (found,) = rehearsed(tmp_path, capsys, written, "--no-back", **scenario)
    assert code == Exit.GATE_HELD
    assert "no page that was read tells a caller's requests apart by the pod that was called" in found["because"]


def test_of_more_proxies_than_may_be_read_a_part_is_and_that_is_said(tmp_path, capsys):
    many = [{**each, "replicas": 30} if each["name"] in ("web", "job") else each for each in SCENARIO["services"]]
    written = without(book("cart", enrol=HELD, **QUICK))
    code, _, (found,) = rehearsed(tmp_path, capsys, written, "--no-back", services=many)
    assert code == Exit.DONE
    assert f"{TOLD}{MOST_SCRAPED} of " in found["because"]


def test_what_was_judged_from_pages_is_judged_again_bit_for_bit(tmp_path):
    path = tmp_path / "world.yaml"
    path.write_text(yaml.safe_dump(SCENARIO))
    session = session_of(scene(str(path)), Silence())
    written = without(book("cart", enrol=HELD, **QUICK))
    loaded = load(json.dumps(written, indent=1).encode(), name="book", kinds=kinds())
    assert loaded.runbook is not None, loaded.problems
    driver = driver_of(session, loaded.runbook)
    seen = snapshot_for(session, driver)
    plan = plan_from(session, replace(loaded.runbook, cluster_uid=seen.cluster_uid), seen, driver)
    assert apply(session, plan).exit == Exit.DONE
    found = replay(session)
    assert found.same
    assert "canary" in {each.kind for each in found.verdicts}
