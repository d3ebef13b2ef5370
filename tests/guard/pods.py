"""A cluster in memory with one strict policy and a Lease, and a pod for programs to run in."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import yaml

from meshup.model.shipped import shipped
from meshup.model.transport import Request, TransportFailure
from meshup.simulate.api.server import ApiServer
from meshup.simulate.clock import VirtualClock

POLICY = "/apis/security.istio.io/v1/namespaces/shop/peerauthentications/web"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/meshup-system/leases/meshup-guard-workload"
ARGUMENTS = (
    "--lease",
    "meshup-system/meshup-guard-workload",
    "--after",
    "120",
    "--policy",
    POLICY,
    "--back",
    "spec.mtls.mode=PERMISSIVE",
)


@dataclass
class Wire:
    """A transport that a test can cut: failing(request) tells whether there is no answer."""

    server: ApiServer
    failing: object = None
    sent: list = field(default_factory=list)

    def send(self, request):
        self.sent.append(request)
        if self.failing is not None and self.failing(request):
            raise TransportFailure("connect", "refused", maybe_done=False)
        return self.server.send(request)


@dataclass
class ToyPod:
    transport: Wire
    clock: VirtualClock
    lines: list = field(default_factory=list)
    answers: dict = field(default_factory=dict)

    def fetch(self, url, host):
        return self.answers.get((url, host), (0, "connection refused"))

    def say(self, line):
        self.lines.append(line)


def put(server, path, body, *, manager="meshup", force=False):
    query = (("fieldManager", manager), *((("force", "true"),) if force else ()))
    answer = server.send(
        Request(
            method="PATCH",
            path=path,
            query=query,
            headers={"content-type": "application/apply-patch+yaml"},
            body=json.dumps(body).encode(),
        )
    )
    assert answer.status < 300, answer.body
    return json.loads(answer.body)


def read(server, path):
    answer = server.send(Request(method="GET", path=path))
    return json.loads(answer.body) if answer.status == 200 else None


def policy(mode="STRICT", **more):
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": "PeerAuthentication",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"mtls": {"mode": mode}, "selector": {"matchLabels": {"app": "web"}}, **more},
    }


def lease(renewed="", *, disarmed=False):
    notes = {"annotations": {"meshup.dev/disarmed": "true"}} if disarmed else {}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "meshup-guard-workload", "namespace": "meshup-system", **notes},
        "spec": {"leaseDurationSeconds": 120, **({"renewTime": renewed} if renewed else {})},
    }


def cluster():
    clock = VirtualClock()
    server = ApiServer(clock)
    text = shipped("templates").joinpath("istio", "stand-in", "10-definitions.yaml").read_text("utf-8")
    for each in yaml.safe_load_all(text):
        if each["metadata"]["name"].startswith("peerauth"):
            put(server, f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{each['metadata']['name']}", each)
    for name in ("shop", "meshup-system"):
        put(server, f"/api/v1/namespaces/{name}", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    clock.advance(5)
    put(server, LEASE, lease())
    return server, clock


def beat(server, clock):
    put(server, LEASE, lease(clock.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")))


def run(program, clock, *, most_s):
    """Run a program on virtual time; the seconds it ran, None when it goes on after most_s."""
    began = clock.elapsed()
    for seconds in program:
        clock.advance(seconds)
        if clock.elapsed() - began > most_s:
            return None
    return clock.elapsed() - began


def mode(server):
    return read(server, POLICY)["spec"]["mtls"]["mode"]
