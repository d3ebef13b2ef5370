"""What the gates of a proposed runbook catch of a bad release, what they miss, and what either costs users."""

from __future__ import annotations

import contextlib
import io
import json

import pytest
import yaml

from meshup.cli.main import main
from meshup.model.problem import Exit
from meshup.simulate.scenario import read
from meshup.simulate.world.badness import KINDS

CAUGHT = {
    "errors": ("success-rate", "onboard/wave-1"),
    "slow": ("latency", "onboard/wave-1"),
    "connect,share=0.5": ("success-rate", "onboard/wave-2"),
    "one-caller": ("success-rate", "onboard/wave-1"),
    "load": ("success-rate", "onboard/wave-2"),
    "config": ("proxies-in-sync", "ingress"),
}
MISSED = ("slow,latency=100", "leaky", "late", "load,above=1000", "one-caller,caller=shop/nobody")
COSTS_NOTHING = ("slow,latency=100", "load,above=1000", "one-caller,caller=shop/nobody")


def rehearsed(capsys, *words):
    code = main(["rehearse", "--no-back", "-o", "json", *words])
    return code, json.loads(capsys.readouterr().out)


@pytest.fixture(scope="module")
def good():
    """How the same rehearsal ends when every release is good."""
    caught = io.StringIO()
    with contextlib.redirect_stdout(caught):
        code = main(["rehearse", "--no-back", "-o", "json"])
    return code, json.loads(caught.getvalue())


@pytest.mark.parametrize(("bad", "by"), CAUGHT.items(), ids=list(CAUGHT))
def test_a_gate_catches_it_and_its_wave_goes_back(capsys, bad, by):
    code, document = rehearsed(capsys, "--bad", bad)
    (trial,) = document["trials"]
    assert code == document["exit"] == Exit.UNDONE
    assert trial["caught"]
    assert (trial["gate"], trial["place"]) == by
    assert trial["because"] in document["why"]
    assert trial["at"]["failed"] <= trial["in_all"]["failed"] <= trial["in_all"]["requests"]
    kind = bad.partition(",")[0]
    assert (trial["at"]["failed"] > 0) == (kind not in ("slow", "config"))
    assert (trial["at"]["slowed"] > 0) == (kind == "slow")


@pytest.mark.parametrize("bad", MISSED)
def test_a_stop_that_a_good_release_has_too_catches_nothing(capsys, good, bad):
    good_code, good = good
    code, document = rehearsed(capsys, "--bad", bad)
    (trial,) = document["trials"]
    assert (code, document["stopped"], document["why"]) == (good_code, good["stopped"], good["why"])
    assert not trial["caught"]
    assert trial["gate"] == trial["place"] == ""
    assert trial["watched_s"] == 3600
    assert trial["at"]["failed"] == 0
    assert (trial["in_all"]["failed"] > 0) == (bad not in COSTS_NOTHING)
    assert (trial["in_all"]["slowed"] > 0) == (bad == "slow,latency=100")


def test_a_gate_on_a_query_of_the_runbook_catches_what_the_others_miss(tmp_path, monkeypatch, capsys):
    """Latency within its limit; the query asks for the share of quick answers by the canary pods' own counters."""
    scenario = dict(read("big"))
    scenario["generate"] = {**scenario["generate"], "services": 6, "namespaces": ["app-01"]}
    (tmp_path / "few.yaml").write_text(yaml.safe_dump(scenario))
    monkeypatch.chdir(tmp_path)
    played = ["--scenario", "few.yaml", "--through", "onboard/wave-1", "--bad", "slow,latency=100"]
    assert not rehearsed(capsys, *played)[1]["trials"][0]["caught"]
    text = runbook_of("few.yaml")
    query = "sum(rate(envoy_http_downstream_rq_time_bucket{le='100'}[1m])) / sum(rate(envoy_http_downstream_rq_time_count[1m]))"
    gate = "- {new-connections:"
    assert gate in text
    written = text.replace(
        gate,
        f'- {{prometheus-query: {{query: "{query}", at-least: 0.9}}, patience: {{limit: "5m", every: "15s", inARow: 1}}}}\n      {gate}',
    )
    (tmp_path / "book.yaml").write_text(written)
    trial = rehearsed(capsys, "-f", "book.yaml", *played)[1]["trials"][0]
    assert (trial["caught"], trial["gate"]) == (True, "prometheus-query")


def runbook_of(scenario: str) -> str:
    from meshup.cli.playing import session_of
    from meshup.cli.simulating import programs
    from meshup.engine.planning import snapshot_for
    from meshup.engine.propose import propose
    from meshup.engine.session import Silence
    from meshup.runbook import write
    from meshup.simulate.scenario import load

    around = session_of(load(scenario, programs=programs()), Silence())
    driver = around.drivers["istio"]
    return write.text(propose(snapshot_for(around, driver), driver))


def test_the_same_seed_gives_the_same_story_and_another_seed_another(capsys):
    _, first = rehearsed(capsys, "--bad", "errors,errors=0.05", "--seed", "5")
    assert rehearsed(capsys, "--bad", "errors,errors=0.05", "--seed", "5")[1] == first
    other = rehearsed(capsys, "--bad", "errors,errors=0.05", "--seed", "6")[1]
    assert other["trials"][0]["in_all"] != first["trials"][0]["in_all"]


def test_a_release_that_the_scenario_declares_bad_is_tried_too(tmp_path, capsys):
    scenario = {**read("shop"), "releases": [{"release": "1.30.3", "bad": "slow", "latency": 900}]}
    (tmp_path / "bad.yaml").write_text(yaml.safe_dump(scenario))
    trial = rehearsed(capsys, "--scenario", str(tmp_path / "bad.yaml"))[1]["trials"][0]
    assert trial["bad"] == [{"release": "1.30.3", "kind": "slow", "values": "latency=900"}]
    assert (trial["caught"], trial["gate"]) == (True, "latency")


def test_a_release_that_nobody_gets_hurts_nobody(capsys):
    code, document = rehearsed(capsys, "--fault", "bad-release:1.31.0,bad=errors")
    (trial,) = document["trials"]
    assert code == Exit.GATE_HELD
    assert trial["in_all"] == {"requests": 0, "failed": 0, "slowed": 0}


def test_without_a_bad_release_there_is_no_trial(good):
    assert good[1]["trials"] == []


def test_a_kind_that_is_not_known_is_a_usage_error_with_what_is(capsys):
    assert main(["rehearse", "--bad", "slwo"]) == Exit.USAGE
    told = capsys.readouterr().err
    assert "did you mean slow" in told
    assert "meshup explain bad-release" in told


def test_every_kind_is_caught_or_missed_here():
    assert {each.partition(",")[0] for each in (*CAUGHT, *MISSED)} == set(KINDS)
