"""On a real API server records outlive their namespace, and are let go by the retention role alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Person
from forgers import Forgers, forgers, transport

from e2e import lab
from e2e.providers import Provider
from meshup.cluster.clock import RealClock
from meshup.cluster.connect import over
from meshup.journal.copies import keep_copy
from meshup.journal.pin import from_body
from tests.forging.playing import OURS, Play, binding

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def staffed(provider: Provider, evidence: Any) -> Iterator[Forgers]:
    """A server with the policies and everybody; the keeper may also keep heads of exports."""
    with forgers(provider, evidence, "kept") as found:
        role = ("--role=meshup-retention", "--user=keeper", "--namespace=meshup-system")
        lab.kubectl(found.reached.lab, "create", "rolebinding", "keeper", *role)
        yield found


def recorded(staffed: Forgers, name: str, namespace: str, **changes: str) -> None:
    """Let alice record a pin that is in effect, with its copy."""
    play = Play(staffed.server, name)
    assert play.act({"who": "alice", "pin": changes, "in": namespace, "until": {"status": 201}}) == {"status": 201}
    assert play.act({"who": "alice", "status": {"phase": "Active"}, "in": namespace}) == {"status": 200}
    there = json.loads(staffed.server.send("alice", "GET", f"{OURS}/namespaces/{namespace}/meshpins/{name}").body)
    alice = over(transport(staffed.kubeconfigs["alice"]), RealClock())
    for _ in range(2):
        assert keep_copy(alice, from_body(there)) == "", "written again it meets itself"


def test_a_namespace_with_a_pin_in_effect_goes_and_its_record_stays(person: Person, staffed: Forgers) -> None:
    home = staffed.reached.lab
    lab.kubectl(home, "create", "namespace", "brief")
    staffed.server.made(*binding("brief", "alice", "meshup-owner", "brief"))
    recorded(staffed, "brief-1", "brief")
    lab.kubectl(home, "delete", "namespace", "brief", "--timeout=90s")
    assert lab.kubectl(home, "get", "meshpins", "--namespace=brief", "--output=name") == ""

    person.kubeconfig = staffed.kubeconfigs["keeper"]
    (row,) = [
        each for each in person.meshup("report", "-o", "json").document()["rollbacks"] if each["name"] == "brief-1"
    ]
    told = ("user", "service", "from", "to", "reason", "phase", "trust")
    said = ("alice", "brief/cart", "1.30.1", "1.29.4", "timeouts to ledger", "Closed", "declared")
    assert tuple(row[each] for each in told) == said
    assert row["since"] < row["until"]
    person.meshup("ledger", "export", "--out", "ledger.jsonl")
    person.meshup("ledger", "verify", "ledger.jsonl")
    lines = [json.loads(each) for each in (person.home / "ledger.jsonl").read_text().splitlines()]
    (line,) = [each for each in lines if each.get("record", {}).get("metadata", {}).get("name") == "brief-1"]
    assert (line["record"]["metadata"]["namespace"], line["trust"]) == ("brief", "declared")
    assert line["record"]["spec"]["copyOf"]["uid"] == line["record"]["metadata"]["uid"]
    again = person.meshup("report", "--ledger", "ledger.jsonl", "-o", "json").document()["rollbacks"]
    (row,) = [each for each in again if each["name"] == "brief-1"]
    assert tuple(row[each] for each in told) == said


def test_the_retention_role_exports_and_prunes_and_nobody_else_does(person: Person, staffed: Forgers) -> None:
    recorded(staffed, "held-1", "shop")
    recorded(staffed, "kept-1", "shop", **{"service": "web", "from.release": "1.28.6", "from.revision": "1-28-6"})
    at = staffed.server.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    closed = {"phase": "Closed", "closedBy": "alice", "closedAt": at}
    for name in ("held-1", "kept-1"):
        assert Play(staffed.server, name).act({"who": "alice", "status": closed}) == {"status": 200}
    staffed.server.pause(2)

    person.kubeconfig = staffed.kubeconfigs["keeper"]
    person.meshup("ledger", "export", "--out", "kept.jsonl")
    prune = ("ledger", "prune", "kept.jsonl", "--older", "1s", "--yes")
    for name in ("bob", "operator", "alice"):
        person.kubeconfig = staffed.kubeconfigs[name]
        person.meshup(*prune, code=7).is_one_error(exit_code=7)
    left = lab.kubectl(staffed.reached.lab, "get", "meshpins", "--all-namespaces", "--output=name").split()
    assert left.count("meshpin.meshup.dev/kept-1") == 2, "the pin and its copy"

    person.kubeconfig = staffed.kubeconfigs["keeper"]
    shown = person.meshup(*prune).out
    assert "shop/held-1" in shown, "a rollback of today counts: it stays"
    assert "the verdict on 1.30.1 rests on it" in " ".join(shown.split())
    left = lab.kubectl(staffed.reached.lab, "get", "meshpins", "--all-namespaces", "--output=name").split()
    assert "meshpin.meshup.dev/kept-1" not in left
    assert left.count("meshpin.meshup.dev/held-1") == 2
    assert '"kept-1"' in (person.home / "kept.jsonl").read_text(), "it is in the export"
