"""Where the API server serves mutating policies, it writes who asked itself; elsewhere a mismatch is denied."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from conftest import Person
from forgers import transport
from replaying import Replaying

from e2e import lab
from e2e.providers import Reached
from e2e.providers.lab import Lab
from tests.forging.playing import DIGEST, OURS, Play, Server

pytestmark = pytest.mark.e2e
RELEASE = {"mesh": "istio", "version": "1.29.4", "state": "supported", "digest": DIGEST}


@pytest.fixture(scope="module")
def reached(provider: Replaying, evidence: Any) -> Iterator[Reached]:
    """A server that serves MutatingAdmissionPolicy as v1beta1."""
    if provider.name != "lab":
        pytest.skip("the feature gate of the API server is the lab's to set: PROVIDER=lab")
    with provider.lent(Lab().api_server(mutating_policies=True)) as found, evidence(found, "stamping"):
        yield found


def test_what_a_client_leaves_out_or_misstates_is_stamped(person: Person, reached: Reached) -> None:
    person.kubeconfig = reached.kubeconfig
    said = person.meshup("ledger", "install", "--yes", "-o", "json").document()
    assert said["state"] == "in force"
    assert person.meshup("ledger", "install", "--yes", "-o", "json").document()["written"] == []
    policy = person.kubectl("get", "mutatingadmissionpolicies", "meshup-stamp", "-o", "json").document()
    assert policy["apiVersion"] == "admissionregistration.k8s.io/v1beta1"
    person.kubectl("create", "namespace", "shop")
    person.kubectl("create", "serviceaccount", "ci", "-n", "shop")
    person.kubectl("create", "clusterrolebinding", "ci", "--clusterrole=cluster-admin", "--serviceaccount=shop:ci")
    account = json.loads(lab.kubectl(reached.lab, "get", "serviceaccount", "ci", "--namespace=shop", "--output=json"))
    token = lab.token("ci", "shop", home=reached.lab)
    robot = transport(lab.as_user("ci", {"token": token}, home=reached.lab))
    server = Server(transport(reached.kubeconfig), {"ci": robot}, lambda: datetime.now(UTC), time.sleep)
    head = {"apiVersion": "meshup.dev/v1", "kind": "MeshRelease", "metadata": {"name": "1.29.4"}}
    server.made(f"{OURS}/meshreleases", {**head, "spec": RELEASE})

    forged = {
        "misstated": {"requestedBy": {"username": "alice", "uid": "u-1"}},
        "left-out": {"requestedBy": None},
        "without-uid": {"requestedBy": {"username": "alice"}},
    }
    for name, changes in forged.items():
        wanted = {"who": "ci", "pin": changes, "in": "shop", "until": {"status": 201}}
        assert Play(server, name).act(wanted) == {"status": 201}, name
        kept = json.loads(server.send("admin", "GET", f"{OURS}/namespaces/shop/meshpins/{name}").body)
        stamped = {"username": "system:serviceaccount:shop:ci", "uid": account["metadata"]["uid"]}
        assert kept["spec"]["requestedBy"] == stamped, name
