"""The probe says what each host and path answered, one line each, and ends when all answer as they should."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from pods import ToyPod, Wire, run

from meshup.engine.probing import probe
from meshup.simulate.api.server import ApiServer
from meshup.simulate.clock import VirtualClock

ASK = json.dumps([{"host": "shop.example", "path": "/"}, {"host": "shop.example", "path": "/pay", "expect": 404}])
ARGUMENTS = ("--gateway", "http://edge.istio-ingress", "--ask", ASK)


def pod():
    clock = VirtualClock()
    return ToyPod(transport=Wire(ApiServer(clock)), clock=clock)


def test_it_ends_when_every_path_answers():
    one = pod()
    one.answers = {
        ("http://edge.istio-ingress/", "shop.example"): (200, "hello"),
        ("http://edge.istio-ingress/pay", "shop.example"): (404, "no such page"),
    }
    assert run(probe(one, ARGUMENTS), one.clock, most_s=100) == 0
    assert [json.loads(each) for each in one.lines] == [
        {"host": "shop.example", "path": "/", "status": 200, "why": ""},
        {"host": "shop.example", "path": "/pay", "status": 404, "why": ""},
    ]


def test_it_asks_again_while_something_is_wrong():
    one = pod()
    one.answers = {("http://edge.istio-ingress/pay", "shop.example"): (404, "")}
    one.clock.call_later(12, lambda: one.answers.update({("http://edge.istio-ingress/", "shop.example"): (200, "")}))
    assert run(probe(one, ARGUMENTS), one.clock, most_s=100) == 15
    first = json.loads(one.lines[0])
    assert first == {"host": "shop.example", "path": "/", "status": 0, "why": "connection refused"}


@pytest.mark.parametrize("status", [404, 500, 503, 0])
def test_no_route_and_no_server_are_not_fine(status):
    one = pod()
    one.answers = {("http://edge.istio-ingress/", "shop.example"): (status, "why")}
    run(
        probe(one, ("--gateway", "http://edge.istio-ingress", "--ask", '[{"host": "shop.example", "path": "/"}]')),
        one.clock,
        most_s=20,
    )
    assert json.loads(one.lines[0])["why"] == "why"


def test_arguments_that_are_not_whole_are_refused():
    one = pod()
    with pytest.raises(ValueError, match="needed"):
        run(probe(one, ("--gateway", "http://x")), one.clock, most_s=1)
