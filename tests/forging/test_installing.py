"""The ledger is installed once, counts as enforced once forged records were denied, and never after it was tampered with."""

from __future__ import annotations

from datetime import timedelta

import pytest

from meshup.cluster.connect import over
from meshup.engine.ledger import install, missing, prove
from meshup.engine.session import Session
from meshup.journal.enforcement import enforcement, policies, trust_of
from meshup.journal.export import appended, read
from meshup.journal.gather import gathered
from meshup.journal.holder import this_process
from meshup.journal.ledger import advance, pins
from meshup.journal.pin import from_body
from meshup.journal.retention import due, let_go
from meshup.model.holds import HoldAt
from meshup.model.lacking import as_served, plain
from meshup.model.objects import Ref
from meshup.model.problem import DeadlinePassed, Refused
from meshup.simulate.api.server import ApiServer
from meshup.simulate.clock import VirtualClock
from tests.forging.playing import Play, Server

BINDINGS = "validatingadmissionpolicybindings.admissionregistration.k8s.io"
POLICIES = "validatingadmissionpolicies.admissionregistration.k8s.io"


class Place:
    """A cluster in memory and whoever installs the ledger there."""

    def __init__(self):
        self.clock = VirtualClock()
        self.server = ApiServer(self.clock)
        self.cluster = over(self.server, self.clock, in_flight=1)
        self.session = Session(
            cluster=self.cluster,
            clock=self.clock,
            drivers={},
            steps={},
            gates={},
            identity=self.cluster.whoami(),
            holder=this_process("kubernetes-admin"),
            fenced=lambda check: self.cluster,
        )

    def install(self):
        return install(self.session, missing(self.cluster), pause=self.clock.advance).enforcement

    def pin(self, name):
        """Record a right pin and give it as a report reads it."""
        play = Play(Server(self.server, {}, self.clock.now, self.clock.advance), name)
        assert play.act({"who": "admin", "pin": {}, "in": "default"}) == {"status": 201}
        found = self.server.objects.get("meshpins.meshup.dev", "default", name)
        return from_body(found)

    def release(self):
        spec = {"mesh": "istio", "version": "1.29.4", "state": "supported", "digest": "sha256:" + "a" * 64}
        body = {"apiVersion": "meshup.dev/v1", "kind": "MeshRelease", "metadata": {"name": "1.29.4"}, "spec": spec}
        self.cluster.create(body)


@pytest.fixture
def place():
    return Place()


def test_the_ledger_is_in_force_once_forged_records_were_denied_for_five_seconds(place):
    assert enforcement(place.cluster).state == "missing"
    began = place.clock.elapsed()
    found = place.install()
    assert (found.state, found.why) == ("in force", "")
    assert place.clock.elapsed() - began >= 5
    assert found == enforcement(place.cluster)


def test_a_second_installation_writes_nothing(place):
    first = place.install()
    before = place.server.mutations
    assert missing(place.cluster) == ()
    assert place.install() == first
    assert place.server.mutations == before


def test_a_record_is_enforced_from_the_proof_on_and_declared_before(place):
    found = place.install()
    place.release()
    place.clock.advance(60)
    pin = place.pin("cart-1")
    assert trust_of(pin, found) == "enforced"
    from dataclasses import replace

    assert trust_of(replace(pin, created=found.since - timedelta(seconds=1)), found) == "declared"
    assert trust_of(replace(pin, created=None), found) == "declared"
    assert trust_of(replace(pin, phase="Active"), found) == "declared", "moved by hand"
    assert trust_of(replace(pin, phase="Active", run="cart-1"), found) == "enforced"


def removed(place):
    place.server.objects.delete(BINDINGS, "", "meshup-requester")


def warns(place):
    ref = Ref(
        api_version="admissionregistration.k8s.io/v1", kind="ValidatingAdmissionPolicyBinding", name="meshup-form"
    )
    place.cluster.merge_patch(ref, {"spec": {"validationActions": ["Warn"]}}, manager="kubectl")


def passes_over(place):
    ref = Ref(api_version="admissionregistration.k8s.io/v1", kind="ValidatingAdmissionPolicy", name="meshup-kept")
    place.cluster.merge_patch(ref, {"spec": {"failurePolicy": "Ignore"}}, manager="kubectl")


def unbounded(place):
    place.server.objects.delete("meshledgers.meshup.dev", "", "meshup")


@pytest.mark.parametrize(
    ("tamper", "state"), [(removed, "missing"), (warns, "altered"), (passes_over, "altered"), (unbounded, "missing")]
)
def test_what_was_tampered_with_is_seen_and_proven_anew_after_it_is_mended(place, tamper, state):
    first = place.install()
    place.release()
    place.clock.advance(60)
    pin = place.pin("cart-1")
    tamper(place)
    assert enforcement(place.cluster).state == state
    assert trust_of(pin, enforcement(place.cluster)) == "declared"
    assert [each.ref.name for each in missing(place.cluster)] != []
    again = place.install()
    assert again.state == "in force"
    assert again.since > first.since
    assert trust_of(pin, again) == "declared", "nobody knows what was recorded in between"


def test_a_policy_that_was_away_and_came_back_by_itself_is_unproven(place):
    place.install()
    removed(place)
    body = next(each for each in policies() if each["kind"] == "ValidatingAdmissionPolicyBinding")
    place.cluster.create(body)
    assert missing(place.cluster) == ()
    assert enforcement(place.cluster).state == "unproven"
    assert place.install().state == "in force"


def test_a_ledger_that_does_not_deny_is_not_called_enforced(place):
    place.install()
    place.release()
    removed(place)
    with pytest.raises(DeadlinePassed) as failed:
        prove(place.cluster, place.clock, pause=place.clock.advance)
    assert failed.value.code == "MU2342"
    assert "meshup-requester let a forged record pass" in failed.value.why


def test_a_definition_of_a_newer_meshup_is_left_alone(place):
    place.install()
    ref = Ref(api_version="apiextensions.k8s.io/v1", kind="CustomResourceDefinition", name="meshpins.meshup.dev")
    versions = place.cluster.get(ref)["spec"]["versions"]
    place.cluster.merge_patch(ref, {"spec": {"versions": [*versions, {**versions[0], "name": "v2", "storage": False}]}})
    with pytest.raises(Refused) as refused:
        missing(place.cluster)
    assert refused.value.code == "MU2341"


def test_a_policy_of_somebody_else_is_not_overwritten(place):
    body = next(each for each in policies() if each["kind"] == "ValidatingAdmissionPolicy")
    place.cluster.create(
        {**body, "metadata": {"name": body["metadata"]["name"]}, "spec": {**body["spec"], "failurePolicy": "Ignore"}}
    )
    with pytest.raises(Refused) as refused:
        missing(place.cluster)
    assert refused.value.code == "MU2341"


def test_what_a_server_fills_in_changes_no_policy():
    spec = {"matchConstraints": {"resourceRules": [{"resources": ["a"]}]}}
    filled = {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "matchPolicy": "Equivalent",
            "namespaceSelector": {},
            "objectSelector": {},
            "resourceRules": [{"resources": ["a"], "scope": "*"}],
        },
    }
    assert plain(filled) == plain(spec)
    filled["matchConstraints"]["namespaceSelector"] = {"matchLabels": {"a": "b"}}
    assert plain(filled) != plain(spec)


def test_a_pin_that_the_policies_enforced_goes_once_it_is_over_and_exported(place):
    place.install()
    place.release()
    made = advance(place.cluster, place.pin("cart-1"), "Active", run="run-1")
    over = place.clock.now()
    advance(place.cluster, made, "Closed", by=place.session.identity.user, at=f"{over:%Y-%m-%dT%H:%M:%SZ}")
    lines, _, new = appended(None, gathered(place.cluster), cluster="c", at=f"{over:%Y-%m-%dT%H:%M:%SZ}")
    assert (new, lines.count(b'"trust":"enforced"')) == (2, 1), "the release and the pin"
    told = due(
        place.cluster,
        read(lines),
        path="ledger.jsonl",
        now=over + timedelta(days=1),
        at=HoldAt(window_s=0),
        stay_s=43200,
    )
    assert (told.left, [each.pin.name for each in told.going]) == ((), ["cart-1"])
    assert [why for _, why in let_go(place.cluster, told.going)] == [""]
    assert pins(place.cluster) == ()


@pytest.mark.parametrize(
    ("versions", "taken"),
    [(("v1", "v1beta1"), "v1"), (("v1alpha1", "v1beta1"), "v1beta1"), (("v1alpha1",), "v1alpha1"), ((), "")],
)
def test_what_stamps_is_taken_in_the_newest_version_that_is_served_or_left_out(versions, taken):
    group = "admissionregistration.k8s.io"
    stamps = [each for each in policies() if each["kind"].startswith("MutatingAdmission")]
    served = {(f"{group}/{version}", each["kind"]) for version in versions for each in stamps}
    found = [as_served(each, served) for each in stamps]
    assert len(stamps) == 2
    assert [each and each["apiVersion"] for each in found] == [f"{group}/{taken}" if taken else None] * 2
    rest = [each for each in policies() if each not in stamps]
    assert [as_served(each, served) for each in rest] == rest
