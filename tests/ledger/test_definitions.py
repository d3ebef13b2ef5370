"""The ledger's kinds are gone, or of a newer version: said as it is, nothing lost, nothing taken for an empty record."""

from __future__ import annotations

import json

import pytest
from test_commands import call, plain, shop  # noqa: F401 - fixtures

from meshup.journal.definitions import definition

CRDS = "customresourcedefinitions.apiextensions.k8s.io"


@pytest.fixture
def exported(shop, plain, call):  # noqa: F811
    """An export of what was on record before somebody deleted the kind of pins, and with it every pin."""
    call("ledger", "export", "--out", "ledger.jsonl")
    shop.server.objects.delete(CRDS, "", "meshpins.meshup.dev")
    shop.server.clock.advance(30)


def test_a_list_of_no_pins_is_told_from_a_cluster_that_can_hold_none(shop, plain, call, exported):  # noqa: F811
    assert json.loads(call("pins", "-o", "json").out) == {
        "schema": "meshup.dev/pins/v1",
        "installed": False,
        "pins": [],
    }
    assert "not in this cluster" in call("pins").out
    assert "meshup ledger install" in call("pins", "-n", "shop").out


def test_what_the_deleted_kind_held_is_in_the_export_and_stays_there(shop, plain, call, exported):  # noqa: F811
    before = json.loads(call("report", "--ledger", "ledger.jsonl", "-o", "json").out)
    assert len(before["rollbacks"]) == 7
    assert "nothing was new" in call("ledger", "export", "--after", "ledger.jsonl").out
    call("ledger", "verify", "ledger.jsonl")
    after = json.loads(call("report", "--ledger", "ledger.jsonl", "-o", "json").out)
    assert [each["reason"] for each in after["rollbacks"]] == [each["reason"] for each in before["rollbacks"]]


def test_an_installation_brings_the_kind_back_and_proves_the_policies_anew(shop, plain, call, exported):  # noqa: F811
    shop.pace.speed = 1
    found = json.loads(call("ledger", "install", "--yes", "-o", "json").out)
    assert {"how": "new", "object": "CustomResourceDefinition meshpins.meshup.dev"} in found["written"]
    assert found["state"] == "in force"
    assert json.loads(call("pins", "-o", "json").out)["installed"] is True


def test_a_kind_of_a_newer_meshup_is_left_as_it_is(shop, call):  # noqa: F811
    newer = json.loads(json.dumps(definition("meshpins")))
    (served,) = newer["spec"]["versions"]
    newer["spec"]["versions"].append({**served, "name": "v2", "storage": False})
    shop.server.objects.create(CRDS, newer)
    before = shop.server.objects.get(CRDS, "", "meshpins.meshup.dev")["metadata"]["generation"]
    for more in ([], ["-o", "json"], ["--dry-run"]):
        said = call("ledger", "install", "--yes", *more, code=6)
        assert "MU2341" in said.out + said.err
        assert "a newer meshup has installed it" in said.out + said.err
    assert shop.server.objects.get(CRDS, "", "meshpins.meshup.dev")["metadata"]["generation"] == before
