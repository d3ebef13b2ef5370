"""A runbook's first stage installs the ledger on a real API server: what the plan shows, once, proven, and never taken back."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import Person
from enrolling import deployment, write_runbook
from forgers import transport

from e2e import lab
from e2e.lab import audit
from e2e.providers import Provider, Reached
from meshup.cluster.clock import RealClock
from meshup.cluster.connect import over
from meshup.journal.forging import ALTERING, sent
from tests.forging.playing import DIGEST, OURS, Play, Server

pytestmark = pytest.mark.e2e
STAGE = """stages:
  - name: preflight
    steps: [{install-ledger: {}}]
    gates: [{ledger-enforced: {}}]
"""
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolic"


@contextlib.contextmanager
def server(provider: Provider, evidence: Any, name: str) -> Iterator[Reached]:
    """Start a server without the ledger. name: of the evidence that is kept."""
    if provider.name != "lab":
        pytest.skip("what was written is read from the lab's audit log: PROVIDER=lab")
    with provider.api_server() as found, evidence(found, name):
        lab.kubectl(found.lab, "create", "namespace", "shop")
        lab.kubectl(found.lab, "create", "namespace", "istio-system")
        lab.kubectl(found.lab, "apply", "--filename=-", stdin=json.dumps(deployment("cart", enrolled=False)))
        yield found


@pytest.fixture
def fresh(provider: Provider, evidence: Any) -> Iterator[Reached]:
    """A server that one test installs the ledger on."""
    with server(provider, evidence, "ledger-step-fresh") as found:
        yield found


@pytest.fixture(scope="module")
def reached(provider: Provider, evidence: Any) -> Iterator[Reached]:
    """A server that the other tests share."""
    with server(provider, evidence, "ledger-step") as found:
        yield found


@pytest.fixture
def admin(person: Person, reached: Reached) -> Person:
    """The administrator of a server with the ledger, which a run has installed."""
    made = administrator(person, reached)
    made.meshup("apply", "--yes")
    return made


def administrator(person: Person, of: Reached) -> Person:
    """Give the administrator of a server, with a runbook whose only stage installs the ledger."""
    person.kubeconfig = of.kubeconfig
    book = write_runbook(person.home, ("cart",))
    book.write_text(book.read_text().partition("stages:")[0] + STAGE)
    return person


def written(reached: Reached, since: int) -> list[str]:
    """Give the path of every write of a ledger object that took effect, in order. Leases and the journal are not of it."""
    events = audit.requests(since=since, home=reached.lab)
    return [
        str(each["requestURI"]).partition("?")[0]
        for each in events
        if audit.is_write(each)
        and each["responseStatus"]["code"] < 300
        and "dryRun" not in each["requestURI"]
        and ("meshup.dev" in each["requestURI"] or POLICIES in each["requestURI"])
        and not each["user"]["username"].startswith("system:")
    ]


def planned(person: Person) -> list[str]:
    """Give the objects of the plan, in order."""
    document = person.meshup("plan", "-o", "json").document()
    changes = [each for stage in document["stages"] for wave in stage["waves"] for each in wave["changes"]]
    return [each["object"] for each in changes]


def test_the_plan_is_what_ledger_install_would_write_and_is_written_once_and_proven(
    person: Person, fresh: Reached
) -> None:
    admin, reached = administrator(person, fresh), fresh
    wanted = [
        each["object"] for each in admin.meshup("ledger", "install", "--dry-run", "-o", "json").document()["written"]
    ]
    assert len(wanted) > 20
    assert planned(admin) == wanted

    mark = audit.mark(home=reached.lab)
    admin.meshup("apply", "--yes")
    found = written(reached, mark)
    assert len(found) == len(set(found)), "each once"
    marks = [each for each in found if each.endswith("/meshledgers/meshup/status")]
    assert len(marks) == 1, "since when they are enforced"
    assert len(found) == len(wanted) + len(marks)

    mark = audit.mark(home=reached.lab)
    said = admin.meshup("apply", "--yes")
    assert "nothing was written" in said.out + said.err
    told = admin.meshup("ledger", "install", "--yes", "-o", "json").document()
    assert (told["written"], told["state"]) == ([], "in force")
    assert written(reached, mark) == []


def test_an_altered_binding_is_put_back_as_a_whole(admin: Person) -> None:
    binding = ("validatingadmissionpolicybindings", "meshup-form")
    patch = '{"spec":{"validationActions":["Warn","Audit"]}}'
    admin.kubectl("patch", *binding, "--type=merge", "-p", patch)
    assert planned(admin) == ["ValidatingAdmissionPolicyBinding meshup-form"]
    admin.meshup("apply", "--yes")
    spec = admin.kubectl("get", *binding, "-o", "json").document()["spec"]
    assert spec["validationActions"] == ["Deny"]
    assert admin.meshup("ledger", "install", "--yes", "-o", "json").document()["state"] == "in force"


def test_where_there_is_a_pin_its_change_its_way_back_and_its_removal_are_forged_too(
    admin: Person, reached: Reached
) -> None:
    door = transport(Path(reached.kubeconfig))
    cluster = over(door, RealClock())
    assert sorted(policy for policy, _ in sent(cluster, RealClock()).unasked) == sorted(
        set(ALTERING) - {"meshup-epoch"}
    )
    server = Server(door, {}, lambda: datetime.now(UTC), time.sleep)
    head = {"apiVersion": "meshup.dev/v1", "kind": "MeshRelease", "metadata": {"name": "1.29.4"}}
    spec = {"mesh": "istio", "version": "1.29.4", "state": "supported", "digest": DIGEST}
    server.made(f"{OURS}/meshreleases", {**head, "spec": spec})
    play = Play(server, "cart-1")
    assert play.act({"who": "admin", "pin": {}, "until": {"status": 201}}) == {"status": 201}
    assert play.act({"who": "admin", "status": {"phase": "Active"}}) == {"status": 200}

    before = admin.kubectl("get", "meshpins", "-A", "-o", "json").document()["items"]
    found = sent(cluster, RealClock())
    assert (found.let, found.unasked) == ("", ())
    assert set(ALTERING) <= {policy for policy, _ in found.denied}
    assert admin.kubectl("get", "meshpins", "-A", "-o", "json").document()["items"] == before, "nothing is left behind"
    assert admin.meshup("ledger", "install", "--yes", "-o", "json").document()["state"] == "in force"


def test_a_rollback_of_the_run_leaves_every_object_of_the_ledger(admin: Person) -> None:
    kinds = (
        "customresourcedefinitions,validatingadmissionpolicies,validatingadmissionpolicybindings,meshledgers,meshpins"
    )
    before = admin.kubectl("get", kinds, "-A", "-o", "name").out
    assert "pins" in before
    said = admin.meshup("rollback", "--run", "newest", "--yes", code=None)
    assert said.code == 0, str(said)
    assert admin.kubectl("get", kinds, "-A", "-o", "name").out == before
