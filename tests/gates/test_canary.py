"""The gate `canary` from end to end: a release under traffic, its Prometheus, the judge, and what becomes of the wave."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
import yaml
from halfway import GOOD, SCENARIO, book, rehearsed

from meshup.cli.kinds import kinds
from meshup.cli.playing import session_of
from meshup.engine.execute import apply, resume
from meshup.engine.history import newest_run
from meshup.engine.planning import driver_of, plan_from, snapshot_for
from meshup.engine.replay import replay
from meshup.engine.rollback import service_plan
from meshup.engine.session import Silence
from meshup.model.problem import Exit
from meshup.model.sampled import read
from meshup.model.verdict import Answer
from meshup.runbook.load import load
from meshup.simulate.scenario import load as scene

HELD = {"hold": True}
QUICK = {"metrics": ["errors", "connection-failures", "latency"]}
"""Without restarts and memory, which take longest to be sure of."""
READY = {"workloads-ready": {}}


def test_pods_of_one_revision_alone_are_unknown_and_the_wave_holds(tmp_path, capsys):
    code, _, (found,) = rehearsed(tmp_path, capsys, book("cart", patience={"limit": "5m"}), "--no-back")
    assert code == Exit.GATE_HELD
    assert found["answer"] == "unknown"
    assert "no control pod serves, and both arms are needed at once" in found["because"]


def test_pods_of_one_revision_alone_fail_beyond_the_hard_limit_and_the_wave_goes_back(tmp_path, capsys):
    code, _, (found,) = rehearsed(tmp_path, capsys, book("cart"), "--no-back", "--bad", "errors,errors=0.5")
    assert code == Exit.UNDONE
    assert found["answer"] == "fail"
    assert "beyond the hard limit 0.25" in found["because"]


@pytest.mark.parametrize("service", ["cart", "store"])
def test_a_good_release_that_is_held_half_way_passes_by_comparison_and_the_rest_moves(tmp_path, capsys, service):
    written = book(service, enrol=HELD, gates=[READY], **QUICK)
    code, document, (found,) = rehearsed(tmp_path, capsys, written)
    assert code == Exit.DONE, document["why"]
    assert "found no harm, control 1-29-4, canary 1-30-3" in found["because"]
    kinds = [each["kind"] for each in document["verdicts"] if each["place"] == "upgrade/first"]
    assert kinds == ["not-on-hold", "canary", "workloads-ready"]
    assert document["way_back"] == "works: the cluster equals its first state"


@pytest.mark.parametrize(
    ("service", "bad"),
    [
        ("cart", "errors,errors=0.03"),
        ("cart", "one-caller,errors=0.1,caller=shop/web"),
        ("cart", "slow,latency=400"),
        ("store", "errors,errors=0.03"),
    ],
)
def test_a_bad_release_is_caught_half_way_and_its_wave_goes_back(tmp_path, capsys, service, bad):
    written = book(service, enrol=HELD, gates=[READY], **QUICK)
    code, document, (found,) = rehearsed(tmp_path, capsys, written, "--bad", bad)
    (trial,) = document["trials"]
    assert code == Exit.UNDONE, document["why"]
    assert (trial["caught"], trial["gate"], trial["place"]) == (True, "canary", "upgrade/first")
    assert found["answer"] == "fail"
    assert "first seen after" in found["because"]
    assert document["way_back"] == "works: the cluster equals its first state"


@pytest.fixture
def around(tmp_path):
    """A session on the cluster with two releases, and a plan that holds cart half-way."""
    path = tmp_path / "world.yaml"
    path.write_text(yaml.safe_dump(SCENARIO))
    simulation = scene(str(path))
    session = session_of(simulation, Silence())
    loaded = load(json.dumps(book("cart", enrol=HELD, **QUICK), indent=1).encode(), name="book", kinds=kinds())
    assert loaded.runbook is not None, loaded.problems
    driver = driver_of(session, loaded.runbook)
    seen = snapshot_for(session, driver)
    plan = plan_from(session, replace(loaded.runbook, cluster_uid=seen.cluster_uid), seen, driver)
    return simulation, session, plan


def revisions(simulation):
    """Which revisions the pods of cart ask for, sorted."""
    found = simulation.server.objects.list("pods", "shop", {"app": "cart"})
    stay = [each for each in found if not each["metadata"].get("deletionTimestamp")]
    return sorted(each["metadata"]["labels"]["istio.io/rev"] for each in stay)


def cart(simulation):
    return simulation.server.objects.get("deployments.apps", "shop", "cart")["spec"]


def test_a_run_that_is_left_half_way_stays_there_and_goes_on_later(around):
    simulation, session, plan = around
    before = {key: value for key, value in cart(simulation).items() if key != "template"}
    left = apply(replace(session, wait_s=60.0), plan)
    assert left.exit == Exit.DEADLINE
    simulation.clock.advance(3600)
    assert revisions(simulation) == ["1-29-4"] * 4 + ["1-30-3"]
    again = resume(session)
    assert again.exit == Exit.DONE, again.why
    assert revisions(simulation) == ["1-30-3"] * 4
    assert {key: value for key, value in cart(simulation).items() if key != "template"} == before
    third = resume(session)
    assert third.exit == Exit.DONE
    assert third.written == 0


def test_both_revisions_serve_in_every_look_that_a_pass_is_made_of_and_it_replays(around):
    _, session, plan = around
    assert apply(session, plan).exit == Exit.DONE
    state, _ = newest_run(session)
    judged = next(each.judged for each in state.judgements if each.judged.kind == "canary")
    assert judged.verdict.answer is Answer.PASS
    looks = [read(each.data) for each in judged.readings if "form" in each.data]
    assert len(looks) > 3
    for look in looks:
        (pair,) = look.pairs
        assert {pod.revision for pod in pair.control} == {"1-29-4"}
        assert {pod.revision for pod in pair.canary} == {"1-30-3"}
    assert replay(session).same


def test_an_owner_who_goes_back_meanwhile_takes_the_hold_off(around):
    simulation, session, plan = around
    apply(replace(session, wait_s=60.0), plan)
    objects = simulation.server.objects
    assert cart(simulation)["minReadySeconds"] > 0
    taken = apply(
        session, service_plan(session, "shop/cart", to="1.29.4", reason="no", until=timedelta(days=1), book=plan.book)
    )
    assert taken.exit == Exit.DONE, taken.why
    assert revisions(simulation) == ["1-29-4"] * 4
    assert not objects.get("deployments.apps", "shop", "cart")["spec"].get("minReadySeconds")


def both_held(tmp_path, **canary):
    """A session, and a plan that holds cart and store half-way in one wave."""
    path = tmp_path / "world.yaml"
    path.write_text(yaml.safe_dump(SCENARIO))
    simulation = scene(str(path))
    session = session_of(simulation, Silence())
    written = book("cart", "store", enrol=HELD, patience={"limit": "10m"}, **QUICK, **canary)
    loaded = load(json.dumps(written, indent=1).encode(), name="book", kinds=kinds())
    assert loaded.runbook is not None, loaded.problems
    driver = driver_of(session, loaded.runbook)
    seen = snapshot_for(session, driver)
    return session, plan_from(session, replace(loaded.runbook, cluster_uid=seen.cluster_uid), seen, driver)


def newest_canary(session, run):
    state, _ = newest_run(session, run=run)
    return [each.judged.verdict for each in state.judgements if each.judged.kind == "canary"][-1]


def after_going_back(session, plan):
    """Let the owner of cart go back while the wave is held half-way, and go on with the wave."""
    left = apply(replace(session, wait_s=60.0), plan)
    assert left.exit == Exit.DEADLINE
    back = service_plan(session, "shop/cart", to=GOOD, reason="timeouts", until=timedelta(days=1), book=plan.book)
    assert apply(session, back).exit == Exit.DONE
    return resume(session, run=left.run)


def test_an_owner_of_the_wave_who_goes_back_while_it_is_judged_holds_it_and_is_named(tmp_path):
    session, plan = both_held(tmp_path)
    outcome = after_going_back(session, plan)
    assert outcome.exit == Exit.GATE_HELD, outcome.why
    found = newest_canary(session, outcome.run)
    assert found.answer is Answer.UNKNOWN
    assert "shop/cart: kubernetes-admin took it back to 1.29.4: timeouts" in found.because
    assert "1 owner went back, at most 0 may" in found.because


def test_so_many_owners_as_the_runbook_says_may_go_back(tmp_path):
    session, plan = both_held(tmp_path, rollbacks=1)
    outcome = after_going_back(session, plan)
    assert outcome.exit == Exit.DONE, outcome.why
    assert newest_canary(session, outcome.run).answer is Answer.PASS
