"""What a Prometheus can't tell two revisions by is found while planning, before anything moves, with the family that it can."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import yaml
from halfway import SCENARIO, book

from meshup.cli.kinds import kinds
from meshup.cli.playing import session_of
from meshup.engine.planning import driver_of, plan_from, snapshot_for
from meshup.engine.session import Silence
from meshup.gates.evidence.checking import Facts, unfit, unfit_for_pages
from meshup.gates.evidence.holding import Held, chosen
from meshup.meshes.istio.driver import IstioSidecar
from meshup.model.verdict import Patience
from meshup.runbook.load import load
from meshup.simulate.scenario import load as scene

COMPARED = "both revisions are compared by "


def planned(tmp_path, *, scenario=None, metrics=None, low=None, **canary):
    """Plan the move of cart; give the plan. low: what its lowTraffic says."""
    path = tmp_path / "world.yaml"
    path.write_text(yaml.safe_dump({**SCENARIO, **(scenario or {})}))
    session = session_of(scene(str(path)), Silence())
    written = {**book("cart", enrol={"hold": True}, **canary)}
    written["metrics"] = metrics if metrics is not None else written["metrics"]
    if low is not None:
        written["services"] = [
            {**each, **({"lowTraffic": low} if each["name"] == "cart" else {})} for each in written["services"]
        ]
    loaded = load(json.dumps(written, indent=1).encode(), name="book.yaml", kinds=kinds())
    assert loaded.runbook is not None, loaded.problems
    driver = driver_of(session, loaded.runbook)
    seen = snapshot_for(session, driver)
    return plan_from(session, replace(loaded.runbook, cluster_uid=seen.cluster_uid), seen, driver)


def told(plan):
    return [each.what for each in plan.blocked if each.code == "MU2129"]


def test_a_plan_says_by_which_family_both_revisions_are_compared(tmp_path):
    plan = planned(tmp_path)
    (note,) = [each for each in plan.notes if each.startswith(COMPARED)]
    assert "errors, latency from the mesh's standard metrics" in note
    assert "errors at callers, connection-failures at callers from Envoy's own metrics by endpoint" in note
    assert plan.blocked == ()


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"metrics": {"service": "shop/nobody:9090"}}, "the server did not answer"),
        ({"metrics": {"service": "shop/prometheus:9090", "podLabel": "pod_name"}}, "do not say whose they are"),
        ({"scenario": {"endpoint-counters": False}}, "tells callers' requests apart"),
        ({"patience": {"limit": "5m", "every": "5s"}}, "looks every 5 s are too many"),
        ({"patience": {"limit": "50s", "every": "20s"}, "watch": "30s"}, "a limit of 50 s is too short"),
    ],
)
def test_what_would_stay_unknown_blocks_the_plan_and_names_its_line(tmp_path, changed, what):
    plan = planned(tmp_path, **changed)
    (found,) = [each for each in plan.blocked if each.code == "MU2129"]
    assert what in found.what
    assert found.at.file == "book.yaml"
    assert found.at.line > 0


def test_without_a_prometheus_the_plan_says_that_pages_are_read_and_of_how_many(tmp_path):
    plan = planned(tmp_path, metrics={})
    assert told(plan) == []
    (note,) = [each for each in plan.notes if each.startswith(COMPARED)]
    assert note == f"{COMPARED}the proxies' own pages: of at most 50 pods, some of every revision and caller"


def test_a_plan_says_who_is_probed_and_what_that_is_not(tmp_path):
    note = "shop/cart: little traffic is declared, so probed with GETs at its pods, no statistical evidence"
    assert note in planned(tmp_path, low={"path": "/healthz", "port": 8080}).notes
    assert note not in planned(tmp_path).notes


@pytest.mark.parametrize(
    ("services", "metrics", "what"),
    [
        (1, ["errors", "memory"], []),
        (1, ["errors", "cpu"], ["no page of a proxy tells cpu"]),
        (25, ["errors", "restarts"], []),
        (26, ["errors"], ["the wave has 26 services, and both revisions of each need a page that is read"]),
    ],
)
def test_what_pages_can_not_tell_is_found_while_planning(services, metrics, what):
    found = unfit_for_pages(DRIVER.comparison(), {"metrics": metrics}, services)
    assert [each.what for each in found] == what


def test_a_gate_that_pages_can_not_answer_blocks_the_plan_and_names_its_line(tmp_path):
    path = tmp_path / "world.yaml"
    path.write_text(yaml.safe_dump(SCENARIO))
    session = session_of(scene(str(path)), Silence())
    written = {**book("cart", enrol={"hold": True}, metrics=["errors", "cpu"]), "metrics": {}}
    loaded = load(json.dumps(written, indent=1).encode(), name="book.yaml", kinds=kinds())
    driver = driver_of(session, loaded.runbook)
    seen = snapshot_for(session, driver)
    plan = plan_from(session, replace(loaded.runbook, cluster_uid=seen.cluster_uid), seen, driver)
    (found,) = [each for each in plan.blocked if each.code == "MU2129"]
    assert found.at.line > 0


def test_callers_that_need_not_be_told_apart_are_not_asked_for(tmp_path):
    assert told(planned(tmp_path, scenario={"endpoint-counters": False}, callers="own")) == []


def test_where_no_proxy_runs_yet_nothing_is_known_and_nothing_is_blocked(tmp_path):
    bare = [{key: value for key, value in each.items() if key != "revision"} for each in SCENARIO["services"]]
    plan = planned(tmp_path, scenario={"services": bare})
    assert told(plan) == []
    assert "what both revisions are compared by is known once a proxy runs" in plan.notes


DRIVER = IstioSidecar()
NAMES = frozenset({"envoy_cluster_upstream_rq", "envoy_cluster_upstream_rq_time_bucket"})


def judged(names=NAMES, *, scrape_s=15.0, named=("shop/a",), **params):
    asked = chosen(DRIVER.comparison(), names, split="none", clients=False)
    found = Facts(
        held=Held(names=names, scrape_s=scrape_s), named=frozenset(named), proxies=frozenset({"shop/a"}), asked=asked
    )
    terms = {"metrics": ["errors", "latency"], "callers": "own", **params}
    return [each.what for each in unfit(found, terms, Patience(limit_s=1800, every_s=30))]


def test_a_metric_that_the_server_does_not_hold_is_named():
    assert judged() == []
    assert judged(metrics=["errors", "restarts", "cpu"]) == ["the server holds no metric that tells cpu"]
    assert len(judged(frozenset())) == 2


def test_proxies_that_are_not_scraped_are_found():
    assert judged(named=()) == ["no proxy of the runbook's services is scraped"]
    assert judged(scrape_s=None) == ["how often the server scrapes proxies is not known"]
    assert judged(scrape_s=60.0) == ["looks every 30 s are too many"]
