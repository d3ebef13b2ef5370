"""The real pod around a program: fetches with a Host header, and says so when nobody answers."""

from __future__ import annotations

import http.server
import threading

import pytest

from meshup.cli.inpod import RealPod
from meshup.cluster.clock import RealClock
from meshup.engine.wait import performed


class Echo(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.headers["Host"] == "shop.example" else 404)
        self.end_headers()
        self.wfile.write(self.path.encode() * 300)

    def log_message(self, *_):
        pass


@pytest.fixture
def echo():
    server = http.server.HTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_host_header_chooses_the_route(echo):
    pod = RealPod(None, RealClock())
    status, body = pod.fetch(echo + "/pay", "shop.example")
    assert (status, body[:8], len(body)) == (200, "/pay/pay", 200)
    assert pod.fetch(echo + "/pay", "other.example")[0] == 404


def test_no_answer_is_status_0_with_the_reason():
    status, why = RealPod(None, RealClock()).fetch("http://127.0.0.1:1/", "shop.example")
    assert status == 0
    assert "refused" in why.lower()


def test_a_program_sleeps_what_it_yields():
    slept = []

    class Counting:
        def sleep(self, seconds):
            slept.append(seconds)

    performed(iter([1.0, 2.0]), Counting())
    assert slept == [1.0, 2.0]
