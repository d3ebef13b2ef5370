"""The simulator over HTTP: tokens, streams, time, counters, broken connections."""

from __future__ import annotations

import http.client
import json
import sys
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from asking import CM, call, config, server

from meshup.model.transport import TransportFailure
from meshup.simulate.api.users import User
from meshup.simulate.http import Front


@pytest.fixture
def front():
    made = Front(server(), users={"ana-token": User(name="ana")}, speed=0).start()
    yield made
    made.stop()


def test_tokens_say_who_asks_and_no_header_can(front):
    assert call(front, "GET", CM)[0].status == 200
    assert call(front, "GET", CM, authorization="Bearer ana-token")[0].status == 403
    forged = {
        "authorization": "Bearer ana-token",
        "x-meshup-user": "kubernetes-admin",
        "x-meshup-groups": "system:masters",
    }
    assert call(front, "GET", CM, **forged)[0].status == 403
    assert call(front, "GET", CM, authorization="Bearer wrong")[0].status == 401


def test_one_connection_carries_many_requests(front):
    connection = http.client.HTTPConnection("127.0.0.1", int(front.url.rpartition(":")[2]), timeout=10)
    for _ in range(3):
        connection.request("GET", CM)
        response = connection.getresponse()
        assert (response.status, bool(response.read())) == (200, True)
    connection.close()


def test_a_watch_streams_while_others_write(front):
    connection = http.client.HTTPConnection("127.0.0.1", int(front.url.rpartition(":")[2]), timeout=10)
    connection.request("GET", f"{CM}?watch=1&fieldSelector=metadata.name=a")
    response = connection.getresponse()
    threading.Timer(0.2, lambda: call(front, "POST", CM, config("a"))).start()
    event = json.loads(response.readline())
    assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "a")
    response.close()
    connection.close()


def test_watches_that_are_dropped_leave_nothing_behind(front):
    before = len(front.server.store._listeners)
    connections = []
    for _ in range(5):
        connection = http.client.HTTPConnection("127.0.0.1", int(front.url.rpartition(":")[2]), timeout=10)
        connection.request("GET", f"{CM}?watch=1&resourceVersion={front.server.store.version}")
        connections.append((connection, connection.getresponse()))
    assert len(front.server.store._listeners) == before + 5
    for connection, response in connections:
        response.close()
        connection.close()
    for number in range(20):
        front.server.objects.create("configmaps", {"metadata": {"name": f"c{number}", "namespace": "default"}})
        threading.Event().wait(0.05)
        if len(front.server.store._listeners) == before:
            return
    raise AssertionError("watches stay open")


def test_time_moves_when_told_to(front):
    body = json.loads(call(front, "POST", "/simulator/clock", {"advance_s": 12.5})[1])
    assert body["elapsed_s"] == 12.5
    _, raw = call(front, "GET", "/simulator/clock")
    assert json.loads(raw)["now"] == "2026-11-02T09:00:12.500000Z"
    assert call(front, "GET", CM)[0].getheader("x-meshup-time") == "2026-11-02T09:00:12.500000Z"
    assert call(front, "POST", "/simulator/clock", {"advance_s": -1})[0].status == 400


def test_time_follows_real_time_when_nobody_moves_it():
    made = Front(server(), speed=100).start()
    try:
        threading.Event().wait(0.3)
        assert made.server.clock.elapsed() > 5
    finally:
        made.stop()


def test_requests_are_counted(front):
    call(front, "POST", CM, config("a"))
    call(front, "GET", CM)
    assert json.loads(call(front, "GET", "/simulator/requests")[1]) == {
        "requests": 2,
        "mutations": 1,
        "maxInFlight": 1,
        "logged": 2,
    }


def test_long_answers_are_packed_when_asked_for(front):
    for number in range(60):
        front.server.objects.create(
            "configmaps", {"metadata": {"name": f"c{number}", "namespace": "default"}, "data": {"k": "v" * 200}}
        )
    response, raw = call(front, "GET", CM, **{"accept-encoding": "gzip"})
    assert response.getheader("content-encoding") == "gzip"
    assert len(json.loads(raw)["items"]) == 61


def test_a_lost_answer_is_a_broken_connection(front):
    def lose(request, logged, response):
        raise TransportFailure("reset", "lost", maybe_done=True)

    front.server.after.append(lose)
    with pytest.raises((http.client.HTTPException, OSError)):
        call(front, "POST", CM, config("a"))
    assert front.server.objects.get("configmaps", "default", "a") is not None


def test_faults_go_to_whoever_registered_them(front):
    assert call(front, "POST", "/simulator/faults", {"fault": "x"})[0].status == 501
    front.faults = lambda body: {"heard": body["fault"]}
    assert json.loads(call(front, "POST", "/simulator/faults", {"fault": "x"})[1]) == {"heard": "x"}


def test_the_kubeconfig_leads_to_the_server(front):
    made = front.kubeconfig("ana")
    assert made["clusters"][0]["cluster"]["server"] == front.url
    assert made["users"][0]["user"]["token"] == "ana-token"
