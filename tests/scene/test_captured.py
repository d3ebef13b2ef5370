"""What failing workloads show is kept before they are taken back, and never hinders that."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from meshup.cli.playing import proposed, session_of
from meshup.cli.simulating import programs
from meshup.cluster.connect import over
from meshup.engine import capture
from meshup.engine.execute import apply
from meshup.engine.fold import fold
from meshup.engine.history import newest_run
from meshup.engine.planning import plan_from, snapshot_for
from meshup.engine.session import Silence
from meshup.engine.standing import status
from meshup.journal.runs import heads, open_store
from meshup.journal.store import from_line, to_line
from meshup.model.journal import Captured, Intent, Reached, Started
from meshup.model.objects import ref_of
from meshup.model.problem import Exit
from meshup.model.scene import Witness
from meshup.model.text import is_clean
from meshup.model.transport import Response, TransportFailure
from meshup.simulate.scenario import load as scene
from meshup.views.run import outcome_document

CART = "shop/cart"
CRASH = {"fault": "crash", "on": CART}
LOOKS = ("/log", "/proxy/stats/prometheus", "/events")


class Between:
    """A transport that lets somebody answer what a capture asks: from its events on, which nothing else reads, to the next write.

    answer: gives None to let a request through.
    """

    def __init__(self, inner, answer):
        self._inner, self._answer = inner, answer
        self.on, self.asked = False, []

    def send(self, request):
        self.on = request.method == "GET" and (self.on or request.path.endswith("/events"))
        if self.on:
            self.asked.append(request)
            found = self._answer(request)
            if found is not None:
                return found
        return self._inner.send(request)


def failed(*faults, answer=lambda _: None):
    """Onboard the shop with faults that come once it is planned; give (session, outcome, transport)."""
    simulation = scene("shop", programs=programs())
    between = Between(simulation.server, answer)
    around = session_of(simulation, Silence())
    cluster = over(between, simulation.clock, in_flight=1, context=simulation.name)
    around = replace(around, cluster=cluster, fenced=cluster.fenced, identity=cluster.whoami())
    plan = plan_from(around, proposed(around), snapshot_for(around, around.drivers["istio"]), around.drivers["istio"])
    for each in faults:
        simulation.world.inject(each)
    return around, apply(around, plan, through="onboard"), between


def entries_of(around):
    found = newest_run(around)
    assert found is not None
    return found[0]


def test_a_crash_is_kept_with_its_warning_and_its_last_line_and_shown_afterwards_too():
    around, outcome, _ = failed(CRASH)
    assert outcome.exit == Exit.UNDONE
    (pod,) = [each for each in outcome.witnesses if each.events]
    assert pod.service == CART
    assert pod.object.startswith("Pod shop/cart-")
    assert any("CrashLoopBackOff" in each for each in pod.conditions)
    assert any(each.startswith("Ready is False") for each in pod.conditions)
    assert "BackOff x1" in pod.events[0]
    assert "app: fatal: it ends as soon as it is started" in pod.log
    state = entries_of(around)
    assert state.captured[outcome.stopped] == outcome.witnesses
    standing = status(around)
    assert standing.run is not None
    assert standing.run.witnesses == outcome.witnesses
    json.dumps(outcome_document(outcome), allow_nan=False)


def test_it_is_stored_before_anything_is_taken_back():
    around, outcome, _ = failed(CRASH)
    head = heads(around.cluster)[-1]
    told = open_store(around.cluster, head.run, epoch=head.epoch, folder=None).entries()
    kept = next(at for at, each in enumerate(told) if isinstance(each, Captured))
    back = [at for at, each in enumerate(told) if isinstance(each, Intent) and each.change.startswith("undo:")]
    assert isinstance(told[kept + 1], Reached)
    assert (told[kept + 1].place, told[kept + 1].how) == (outcome.stopped, "undoing")
    assert kept < min(back)


def test_a_run_that_goes_well_captures_nothing():
    around, outcome, between = failed()
    assert outcome.exit == 0
    assert entries_of(around).captured == {}
    assert between.asked == []


def test_the_log_of_an_application_that_runs_is_not_read():
    _, outcome, _ = failed({"fault": "server-first", "on": CART})
    assert outcome.exit == Exit.UNDONE
    kept = [each for each in outcome.witnesses if each.log]
    assert kept
    assert {line.partition(":")[0] for each in kept for line in each.log} == {"istio-proxy"}


def odd(body, status=200):
    return Response(status=status, headers={"content-type": "application/json"}, body=body)


ESCAPES = ("\x1b[31mred \u202e password=hunter2 " + "x" * 5000 + "\n") * 400
ANSWERS = {
    "forbidden": lambda _: odd(b'{"kind":"Status","code":403,"reason":"Forbidden","message":"no"}', 403),
    "broken": lambda _: odd(b'{"kind":"Status","code":500,"message":"boom"}', 500),
    "no JSON": lambda _: odd(b"\xff\xfe<html>"),
    "a list of nothing": lambda _: odd(b'{"items":[{"involvedObject":7,"metadata":null},null]}'),
    "hostile": lambda request: odd(ESCAPES.encode()) if request.path.endswith("/log") else None,
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=list(ANSWERS))
def test_whatever_is_answered_the_wave_goes_back(answer):
    _, plain, _ = failed(CRASH)

    def looked(request):
        return answer(request) if request.path.endswith(LOOKS) else None

    _, outcome, between = failed(CRASH, answer=looked)
    assert any(each.path.endswith(LOOKS) for each in between.asked)
    assert (outcome.exit, outcome.stopped, outcome.why) == (plain.exit, plain.stopped, plain.why)
    assert outcome.kept == plain.kept
    text = [line for each in outcome.witnesses for line in (*each.conditions, *each.events, *each.log, *each.unread)]
    assert all(is_clean(line) and len(line) <= capture.LINE + 40 for line in text)
    assert "hunter2" not in str(text)
    assert all(len(each.log) <= 2 * capture.LINES_EACH for each in outcome.witnesses)


def test_an_unreachable_server_costs_the_capture_and_not_the_way_back():
    def lost(request):
        if request.path.endswith(LOOKS):
            raise TransportFailure("timeout", "nobody answered", maybe_done=True)

    _, outcome, _ = failed(CRASH, answer=lost)
    assert outcome.exit == Exit.UNDONE
    assert all(not each.events and not each.log for each in outcome.witnesses)
    assert any("events" in line for each in outcome.witnesses for line in each.unread)


class Slow:
    """A transport on which every answer takes as long as one request may."""

    def __init__(self, simulation):
        self._simulation, self.asked = simulation, 0

    def send(self, request):
        self.asked += 1
        self._simulation.clock.advance(capture.EACH_S)
        return self._simulation.server.send(request)


def test_slow_answers_end_the_capture_before_all_is_read():
    simulation = scene("shop", programs=programs())
    around = session_of(simulation, Silence())
    every = [(each.id, each.workload) for each in proposed(around).services if each.workload.kind == "Deployment"]
    slow = Slow(simulation)
    around = replace(around, cluster=over(slow, simulation.clock, in_flight=1, context="shop"))
    began = simulation.clock.elapsed()
    capture.capture(around, around.drivers["istio"], every, revision="")
    assert simulation.clock.elapsed() - began <= capture.WITHIN_S + capture.EACH_S
    assert slow.asked == capture.WITHIN_S // capture.EACH_S + 1


def test_few_workloads_and_few_pods_are_looked_at_the_suffering_ones_first():
    simulation = scene("shop", programs=programs())
    around = session_of(simulation, Silence())
    book = proposed(around)
    every = [(each.id, each.workload) for each in book.services if each.workload.kind == "Deployment"]
    assert len(every) > capture.MOST_WORKLOADS
    simulation.world.inject({"fault": "crash", "on": every[0][0]})
    ref = every[0][1]
    found = around.cluster.get(ref)
    body = {"spec": {"template": {"metadata": {"annotations": {"again": "1"}}}}}
    around.cluster.merge_patch(ref_of(found), body)
    simulation.clock.advance(30.0)
    seen = capture.capture(around, around.drivers["istio"], every, revision="")
    assert len({each.service for each in seen}) <= capture.MOST_WORKLOADS
    pods = [each for each in seen if each.object.startswith("Pod ") and each.service == every[0][0]]
    assert len(pods) <= capture.PODS_EACH
    assert "CrashLoopBackOff" in str(pods[0].conditions)


def test_what_was_captured_is_one_line_of_the_journal_and_folds():
    begun = Started(at="2026-11-02T09:00:00Z", run="r", plan="p", plan_kind="apply", user="a", epoch=1, cluster_uid="u")
    kept = Captured(
        at="2026-11-02T09:00:00Z",
        place="onboard/wave-1",
        witnesses=(Witness(object="Pod shop/cart-1", log=("app: x",), signs={"update_rejected": 2.0}),),
    )
    assert from_line(to_line(kept), where="here") == kept
    assert fold([begun, kept]).captured == {"onboard/wave-1": kept.witnesses}
