"""A record is written before the act, once, and never goes back: whatever answer is lost and wherever it was killed."""

from __future__ import annotations

import pytest
from test_pins import NOW, pin
from tiny import Clock, Killed, Server, door

from meshup.cluster.errors import NotFound
from meshup.journal.ledger import advance, both, pins, record
from meshup.model.problem import Exit, Refused

CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/meshpins.meshup.dev"
PINS = "/apis/meshup.dev/v1/namespaces/shop/meshpins/"


def never(seconds):
    raise AssertionError("nothing had to be waited for")


@pytest.mark.parametrize("how", ["lost-before", "lost-after", "killed-before", "killed-after"])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_pin_is_recorded_once_wherever_it_was_interrupted(how, at):
    server = Server()
    server.faults = {at: how}
    for _ in range(2):
        try:
            made = record(door(server), pin(), pause=never)
            made = advance(door(server), made, "Active", run="r1")
        except Killed:
            continue
    assert [each.name for each in pins(door(server))] == ["cart-1"]
    assert made.phase == "Active"
    assert made.uid
    assert CRD in server.objects
    before = server.mutations
    assert record(door(server), pin(), pause=never) == made
    assert advance(door(server), made, "Active") == made
    assert server.mutations == before + 1


def test_another_decision_under_the_same_name_is_refused():
    server = Server()
    record(door(server), pin(), pause=never)
    with pytest.raises(Refused) as failed:
        record(door(server), pin(user="eve"), pause=never)
    assert failed.value.code == "MU2317"
    assert [each.user for each in pins(door(server))] == ["ana"]


def test_phases_never_go_back_and_two_who_end_it_agree():
    server = Server()
    made = record(door(server), pin(), pause=never)
    assert advance(door(server), made, "Closed", by="ana", at="2026-11-25T00:00:00Z").phase == "Closed"
    assert server.objects[PINS + "cart-1"]["status"]["closedBy"] == "ana"
    for phase in ("Requested", "Active", "Failed"):
        with pytest.raises(Refused) as failed:
            advance(door(server), made, phase)
        assert failed.value.code == "MU2317"


def test_somebody_elses_change_in_between_is_read_again():
    server = Server()
    made = record(door(server), pin(), pause=never)

    def touch(request):
        server.before_mutation = None
        advance(door(server), made, "Active", run="r2")

    server.before_mutation = touch
    assert advance(door(server), made, "Closed").phase == "Closed"
    assert server.objects[PINS + "cart-1"]["status"]["run"] == "r2"


def test_a_pin_that_was_deleted_and_made_again_is_another():
    server = Server()
    made = record(door(server), pin(), pause=never)
    del server.objects[PINS + "cart-1"]
    with pytest.raises(NotFound):
        advance(door(server), made, "Active")
    record(door(server), pin(), pause=never)
    with pytest.raises(Refused):
        advance(door(server), made, "Active")


def test_without_the_definition_and_the_right_nothing_is_done():
    server = Server()
    server.forbidden = "customresourcedefinitions"
    cluster = door(server)
    cluster._kept["kinds"] = {}
    with pytest.raises(Refused) as failed:
        record(cluster, pin(), pause=never)
    assert failed.value.code == "MU2316"
    assert failed.value.exit == Exit.REFUSED
    assert "meshpins.yaml" in failed.value.fix
    assert not server.log


def test_a_definition_is_waited_for_with_a_limit():
    server, clock = Server(), Clock()
    record(door(server), pin(), pause=never)
    server.objects[CRD]["status"] = {}
    waited = []

    def pause(seconds):
        waited.append(seconds)
        clock.sleep(seconds)
        if len(waited) == 3:
            server.objects[CRD]["status"] = {"conditions": [{"type": "Established", "status": "True"}]}

    record(door(server), pin(name="cart-2"), pause=pause)
    assert len(waited) == 3


def test_what_can_not_be_read_is_named_not_counted():
    server = Server()
    record(door(server), pin(), pause=never)
    server.objects[PINS + "odd"] = {
        "metadata": {"name": "odd", "namespace": "shop", "uid": "x"},
        "spec": {"since": "soon"},
    }
    assert len(pins(door(server))) == 1
    assert both(door(server))[1] == ("shop/odd",)
    assert pins(door(server))[0].since == NOW


def test_no_definition_is_no_pin():
    class Nothing(Server):
        def _read(self, request):
            from tiny import _failure

            return _failure(404, "NotFound")

    assert pins(door(Nothing())) == ()
