"""A plan of 1,000 Deployments, each with a pod, on a real API server: what it finds, and what it asks, by the audit log."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from conftest import Person
from enrolling import NAMESPACE, deployment, write_runbook

from e2e.lab import audit
from e2e.providers import Provider, Reached
from meshup.cluster.https import HttpsTransport
from meshup.cluster.kubeconfig import Choice, access
from meshup.model.transport import Request

pytestmark = pytest.mark.e2e
SIZE, CHANGED = 1000, 100
NAMES = tuple(f"s{number:05d}" for number in range(SIZE))
HEADERS = {"accept": "application/json", "content-type": "application/json"}
PATIENCE_S = 300.0


@dataclass(frozen=True, slots=True)
class Fleet:
    """A real server with 1,000 Deployments, of which 100 are not enrolled."""

    reached: Reached
    transport: HttpsTransport

    def post(self, path: str, body: object) -> None:
        """Create an object."""
        answer = self.transport.send(Request(method="POST", path=path, headers=HEADERS, body=json.dumps(body).encode()))
        assert answer.status == 201, answer.body

    def ready_pods(self) -> int:
        """Give how many pods are ready."""
        path = f"/api/v1/namespaces/{NAMESPACE}/pods"
        answer = self.transport.send(Request(method="GET", path=path, headers=HEADERS))
        conditions = [each["status"].get("conditions", ()) for each in json.loads(answer.body)["items"]]
        return sum(any(one["type"] == "Ready" and one["status"] == "True" for one in each) for each in conditions)


@pytest.fixture(scope="module")
def fleet(provider: Provider, evidence: Any) -> Iterator[Fleet]:
    """All pods ready, on nodes that kwok pretends."""
    if provider.name != "lab":
        pytest.skip("requests are counted in the lab's audit log: PROVIDER=lab")
    with provider.api_server(fake_nodes=3) as reached, evidence(reached, "fleet"):
        found = Fleet(reached, HttpsTransport(access(Choice(kubeconfig=str(reached.kubeconfig)))))
        found.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
        with ThreadPoolExecutor(8) as several:
            bodies = [deployment(name, enrolled=number >= CHANGED) for number, name in enumerate(NAMES)]
            list(several.map(lambda body: found.post(path, body), bodies))
        deadline = time.monotonic() + PATIENCE_S
        while found.ready_pods() < SIZE:
            assert time.monotonic() < deadline, f"{found.ready_pods()} of {SIZE} pods are ready"
            time.sleep(1)
        yield found


@pytest.fixture
def planner(person: Person, provider: Provider, fleet: Fleet) -> Person:
    """Somebody who may do all, whose requests are told apart by the name."""
    person.kubeconfig = provider.user(fleet.reached, "planner", ("system:masters",))
    write_runbook(person.home, NAMES)
    return person


def asked(fleet: Fleet, since: int) -> Counter[str]:
    """Give what the planner asked, by sort."""
    found: Counter[str] = Counter()
    for event in audit.requests(since=since, user="planner", home=fleet.reached.lab):
        uri = event["requestURI"]
        if audit.is_write(event):
            found["writes"] += 1
        elif "dryRun=All" in uri:
            found["dry runs"] += 1
        else:
            found["pages" if "limit=" in uri else "others"] += 1
    return found


def test_a_plan_of_a_thousand_asks_no_more_than_it_must(planner: Person, fleet: Fleet) -> None:
    since = audit.mark(home=fleet.reached.lab)
    plan = planner.meshup("plan", "-o", "json").document()
    assert plan["summary"]["change"] == CHANGED
    counts = asked(fleet, since)
    assert counts["writes"] == 0
    assert counts["dry runs"] == CHANGED, counts
    assert counts["pages"] >= SIZE // 500, "pages of 500"
    assert sum(counts.values()) <= counts["pages"] + CHANGED + 3, counts


def test_the_evidence_names_every_request(planner: Person, fleet: Fleet) -> None:
    since = audit.mark(home=fleet.reached.lab)
    planner.kubectl("get", "--raw", "/version")
    planner.kubectl("create", "configmap", "told", "-n", NAMESPACE)
    events = list(audit.requests(since=since, user="planner", home=fleet.reached.lab))
    assert [audit.is_write(each) for each in events if each["requestURI"] == "/version"] == [False]
    assert [each["verb"] for each in events if audit.is_write(each)] == ["create"]
