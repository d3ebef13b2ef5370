"""Virtual time is what the simulator's answers say, moved by sleeping, and never goes back."""

from __future__ import annotations

import json
import time
from datetime import timedelta

import pytest
from scripted import Reply, Scripted, status, value

from meshup.cluster.access import Access, Credential
from meshup.cluster.clock import RealClock, ServedClock, SimulatorClock, server_now
from meshup.cluster.connect import connect
from meshup.cluster.credentials import Fixed
from meshup.cluster.https import HttpsTransport


def at(text, body=b"{}"):
    return Reply(body=body, headers=(("x-meshup-time", text),))


def test_a_simulator_is_recognised_and_brings_its_time():
    version = json.dumps({"gitVersion": "v1.34.4+meshup-simulator"}).encode()
    replies = [at("2030-01-01T00:00:00Z", version), at("2030-01-01T00:10:00Z")]
    with Scripted(replies) as server:
        cluster = connect(Access(server=server.url, login=Fixed(Credential())))
        assert cluster.is_simulator()
        clock = cluster.clock
        assert isinstance(clock, SimulatorClock)
        assert (clock.now().year, clock.now().minute) == (2030, 0)
        before = clock.elapsed()
        clock.sleep(600)
        assert json.loads(server.seen[-1].body) == {"advance_s": 600}
        assert server.seen[-1].path == "/simulator/clock"
        assert 590 < clock.elapsed() - before < 610


def test_a_real_server_keeps_the_machines_clock():
    with Scripted([value({"gitVersion": "v1.34.4"})]) as server:
        cluster = connect(Access(server=server.url, login=Fixed(Credential())))
        assert isinstance(cluster.clock, RealClock)
        assert abs(cluster.clock.elapsed() - time.clock_gettime(time.CLOCK_BOOTTIME)) < 1


def test_records_go_by_the_servers_date_and_waits_by_the_machines_clock():
    version = value({"gitVersion": "v1.34.4"})
    system = json.dumps({"metadata": {"name": "kube-system", "uid": "1"}}).encode()
    dated = Reply(body=system, headers=(("Date", "Tue, 01 Jan 2030 10:00:00 GMT"),))
    with Scripted([version, dated]) as server:
        cluster = connect(Access(server=server.url, login=Fixed(Credential())))
        assert server_now(cluster.clock) == pytest.approx(cluster.clock.now(), abs=timedelta(seconds=1))
        cluster.uid()
        there = server_now(cluster.clock)
        assert (there.year, there.hour) == (2030, 10)
        assert cluster.clock.now().year != 2030
        assert abs(cluster.clock.elapsed() - time.clock_gettime(time.CLOCK_BOOTTIME)) < 1


def test_a_second_of_rounding_is_no_skew():
    clock = ServedClock()
    clock.hear({"date": f"{clock.now() - timedelta(seconds=1):%a, %d %b %Y %H:%M:%S GMT}"})
    assert abs(clock.server_now() - clock.now()) < timedelta(seconds=0.5)


def test_it_never_goes_back_and_survives_odd_headers():
    with Scripted([value({})]) as server:
        clock = SimulatorClock(HttpsTransport(Access(server=server.url, login=Fixed(Credential()))))
        clock.hear({"x-meshup-time": "2030-01-01T00:10:00Z"})
        clock.hear({"x-meshup-time": "2030-01-01T00:15:00Z"})
        elapsed = clock.elapsed()
        assert elapsed >= 300
        for odd in ("2030-01-01T00:01:00Z", "yesterday", "", "\x1b"):
            clock.hear({"x-meshup-time": odd})
        clock.hear({})
        assert clock.elapsed() >= elapsed
        assert clock.now().minute >= 15


@pytest.mark.parametrize("reply", [status(404, "NotFound"), Reply(how="reset")])
def test_a_sleep_is_real_when_the_simulator_does_not_answer(reply):
    with Scripted([reply]) as server:
        clock = SimulatorClock(HttpsTransport(Access(server=server.url, login=Fixed(Credential()))))
        began = time.monotonic()
        clock.sleep(0.1)
        assert time.monotonic() - began >= 0.1
