"""A pin is one decision of one person: its name, its form, its phases and its count."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from meshup.journal.definitions import definition
from meshup.journal.ledger import NEXT, holding, is_overdue
from meshup.journal.pin import PHASES, from_body, groups_digest, pin_name, to_body
from meshup.model.ledger import Pin
from meshup.model.objects import Ref
from meshup.model.shipped import shipped

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)


def pin(**changed):
    start = Pin(
        name="cart-1",
        namespace="shop",
        service="shop/cart",
        workload_uid="u1",
        from_release="1.30.3",
        from_revision="1-30-3",
        workload=Ref(api_version="apps/v1", kind="Deployment", namespace="shop", name="cart"),
        to_release="1.29.6",
        to_revision="1-29-6",
        user="ana",
        user_uid="7",
        reason="timeouts",
        since=NOW,
        until=NOW + timedelta(days=7),
    )
    return replace(start, **changed)


words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30)
times = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)).map(
    lambda d: d.replace(microsecond=0, tzinfo=UTC)
)


@given(
    user=words,
    user_uid=st.one_of(st.just(""), words),
    user_groups_digest=st.one_of(st.just(""), words),
    to_digest=st.one_of(st.just(""), words),
    reason=words,
    since=times,
    run=st.one_of(st.just(""), words),
    on_behalf=st.one_of(st.just(("", "")), st.tuples(words, st.sampled_from(["verified", "declared"]))),
)
def test_a_pin_is_read_back_as_it_was_written(on_behalf, **fields):
    fields |= {"on_behalf_of": on_behalf[0], "on_behalf_trust": on_behalf[1]}
    assert from_body(to_body(pin(**fields))) == pin(**fields)


def test_what_became_of_a_pin_is_read_from_its_status():
    body = {
        **to_body(pin()),
        "status": {
            "phase": "Closed",
            "closedBy": "bob",
            "closedAt": "2026-11-25T10:00:00Z",
            "observed": [{"release": "1.29.6", "pods": 2}, {"release": "", "pods": 1}],
            "exported": "sha256:1",
        },
    }
    body["metadata"]["creationTimestamp"] = "2026-11-24T10:00:00Z"
    found = from_body(body)
    assert (found.phase, found.closed_by, found.exported) == ("Closed", "bob", "sha256:1")
    assert found.observed == (("1.29.6", 2), ("", 1))
    assert (found.closed_at, found.created) == (NOW + timedelta(days=1), NOW)


@given(st.permutations(["dev", "system:authenticated", "ops"]))
def test_groups_have_one_digest_in_whatever_order_they_come(groups):
    assert groups_digest(groups) == groups_digest(["dev", "ops", "system:authenticated"])
    assert groups_digest(groups) != groups_digest(groups[:2])
    assert groups_digest([]) == ""


def test_hostile_texts_are_cleaned_when_written_and_when_read():
    assert "\x1b" not in to_body(pin(reason="a\x1b[31m\nb"))["spec"]["reason"]
    assert len(to_body(pin(reason="x" * 999))["spec"]["reason"]) == 256
    body = to_body(pin())
    body["spec"]["requestedBy"]["username"] = "a\u202eb\x1b"
    assert from_body(body).user == "a<U+202E>b\ufffd"


@given(st.lists(words, min_size=6, max_size=6))
def test_the_name_is_one_per_decision_and_valid(parts):
    keys = ("cluster_uid", "workload_uid", "from_release", "to_release", "user", "nonce")
    named = pin_name(service="shop/Cart_X.1", **dict(zip(keys, parts, strict=True)))
    assert named == pin_name(service="shop/Cart_X.1", **dict(zip(keys, parts, strict=True)))
    assert named.startswith("cart-x-1-")
    for at in range(6):
        other = [*parts[:at], parts[at] + "x", *parts[at + 1 :]]
        assert pin_name(service="shop/Cart_X.1", **dict(zip(keys, other, strict=True))) != named
    assert all(each.islower() or each.isdigit() or each == "-" for each in named)


def test_phases_only_go_forward():
    reachable = {phase: NEXT[phase] for phase in PHASES}
    assert reachable["Requested"] == {"Active", "Closed", "Failed"}
    assert reachable["Active"] == {"Closed", "Failed"}
    assert not reachable["Closed"]
    assert not reachable["Failed"]


def test_an_end_that_passed_is_overdue_while_the_pin_holds():
    past = NOW - timedelta(days=1)
    assert is_overdue(pin(phase="Active", until=past), NOW)
    assert not is_overdue(pin(phase="Active"), NOW)
    assert not is_overdue(pin(phase="Closed", until=past), NOW)


def test_the_newest_open_pin_holds():
    older, newer = pin(phase="Active"), pin(name="n", phase="Requested", since=NOW + timedelta(hours=1))
    closed = pin(name="c", phase="Closed", since=NOW + timedelta(hours=2))
    assert holding([newer, closed, older], namespace="shop", workload_uid="u1") == newer
    assert holding([closed], namespace="shop", workload_uid="u1") is None
    assert holding([older], namespace="edge", workload_uid="u1") is None


@pytest.mark.parametrize("plural", ["meshpins", "optins", "meshreleases", "meshruns", "meshledgers"])
def test_every_definition_has_a_schema_and_columns(plural):
    made = definition(plural)
    version = made["spec"]["versions"][0]
    assert made["metadata"]["name"] == f"{plural}.meshup.dev"
    schema = version["schema"]["openAPIV3Schema"]["properties"]
    for name in schema["spec"].get("required", ()):
        assert name in schema["spec"]["properties"]
    for column in version["additionalPrinterColumns"]:
        found = {"properties": schema}
        for part in column["jsonPath"].lstrip(".").split("."):
            found = found["properties"][part] if found.get("properties") else {}
        assert found or column["jsonPath"].startswith(".metadata")
    assert len(list((shipped("templates") / "crds").glob("*.yaml"))) == 5


def test_a_recorded_pin_fits_its_definition():
    jsonschema = pytest.importorskip("jsonschema")
    schema = definition("meshpins")["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    jsonschema.validate(
        to_body(pin(on_behalf_of="ana", run="r1", to_digest="sha256:0", user_groups_digest="sha256:1")), schema
    )
    written = to_body(pin())
    assert set(written["spec"]) <= set(schema["properties"]["spec"]["properties"])
    assert yaml.safe_load(yaml.safe_dump(written)) == written
