"""A pin's copy in meshup-system: written once, silent while the pin is there, and its record when the namespace is gone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from test_pins import pin

from meshup.cluster.connect import over
from meshup.journal.copies import copy_of, keep_copy
from meshup.journal.definitions import ensure
from meshup.journal.enforcement import trusted
from meshup.journal.gather import served
from meshup.journal.home import ensure_home
from meshup.journal.ledger import both, holding, pins, readable, record, recorded
from meshup.journal.pin import from_body
from meshup.simulate.api.server import ApiServer
from meshup.simulate.clock import VirtualClock

PINS = "meshpins.meshup.dev"


@pytest.fixture
def server():
    made = ApiServer(VirtualClock())
    cluster = over(made, made.clock, in_flight=1)
    ensure(cluster, "meshpins", pause=made.clock.advance)
    ensure_home(cluster)
    for name in ("shop", "bank"):
        cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return made


@pytest.fixture
def cluster(server):
    return over(server, server.clock, in_flight=1)


def kept(server, cluster, name="cart-1", **more):
    made = record(cluster, pin(name=name, namespace="shop", **more), pause=server.clock.advance)
    assert keep_copy(cluster, made) == ""
    return made


def test_a_copy_is_written_once_and_counts_for_nothing_while_the_pin_is_there(server, cluster):
    made = kept(server, cluster)
    assert keep_copy(cluster, made) == ""
    assert len(list(cluster.list("meshup.dev/v1", "MeshPin"))) == 2
    assert [each.uid for each in pins(cluster)] == [made.uid]
    assert len(served(cluster, "MeshPin")) == 1
    assert pins(cluster, namespace="meshup-system") == ()


def test_what_a_deleted_namespace_took_is_told_by_the_copy_as_declared_and_holds_nothing(server, cluster):
    made = kept(server, cluster)
    server.objects.delete(PINS, "shop", made.name)
    every, odd = both(cluster)
    (found,) = trusted(cluster, every)
    assert odd == ()
    told = ("namespace", "service", "user", "from_release", "to_release", "reason", "since", "until", "uid")
    assert [getattr(found, each) for each in told] == [getattr(made, each) for each in told]
    assert (found.phase, found.trust, found.copied) == ("Closed", "declared", True)
    assert holding((found,), namespace="shop", workload_uid=made.workload_uid, service=made.service) is None
    listed = list(cluster.list("meshup.dev/v1", "MeshPin"))
    assert readable(listed) == ((), ())
    assert recorded(listed) == (every, ())
    assert pins(cluster, namespace="shop") == ()


def test_an_export_holds_the_pin_under_its_own_namespace_and_uid(server, cluster):
    made = kept(server, cluster)
    server.objects.delete(PINS, "shop", made.name)
    (body,) = served(cluster, "MeshPin")
    assert (body["metadata"]["namespace"], body["metadata"]["uid"]) == ("shop", made.uid)
    assert from_body(body).copied


def test_a_pin_made_again_under_its_name_does_not_hide_the_one_before(server, cluster):
    first = kept(server, cluster)
    server.objects.delete(PINS, "shop", first.name)
    again = record(cluster, pin(name=first.name, namespace="shop"), pause=server.clock.advance)
    assert {each.uid for each in pins(cluster)} == {first.uid, again.uid}
    assert "another record has the name" in keep_copy(cluster, again)


def test_where_there_is_no_place_for_it_the_reason_is_given_and_the_pin_stands(server, cluster):
    server.objects.delete("namespaces", "", "meshup-system")
    made = record(cluster, pin(name="cart-1", namespace="shop"), pause=server.clock.advance)
    assert "meshup-system" in keep_copy(cluster, made)
    assert [each.name for each in pins(cluster)] == ["cart-1"]


def test_a_copy_says_what_the_pin_says(server, cluster):
    made = replace(pin(name="cart-1", namespace="shop"), uid="u-1", until=pin().since + timedelta(hours=3))
    body = copy_of(made)
    assert body["metadata"]["namespace"] == "meshup-system"
    assert body["spec"]["copyOf"] == {"namespace": "shop", "uid": "u-1"}
    read = from_body(body)
    assert (read.namespace, read.uid, read.until, read.reason) == ("shop", "u-1", made.until, made.reason)
