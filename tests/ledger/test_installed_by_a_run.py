"""A run installs the ledger as `meshup ledger install` does: the same objects, once, served before used, and never taken back."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from bench import put, session
from killing import Killed, Killer
from toymesh import book, kinds, shop

from meshup.cluster.connect import over
from meshup.engine.execute import apply, resume
from meshup.engine.ledger import install, missing
from meshup.engine.planning import make_plan
from meshup.engine.taking_back import run_plan, stage_plan
from meshup.gates.ledger import LedgerEnforced
from meshup.journal.enforcement import enforcement, policies
from meshup.journal.forging import ALTERING, sent
from meshup.model.change import Apply
from meshup.model.lacking import DEFINITION, DEFINITIONS
from meshup.model.objects import Ref, dig
from meshup.model.problem import Refused
from meshup.model.runbook import GateSpec, Stage, StepSpec
from meshup.simulate.api.server import ApiServer
from meshup.simulate.clock import VirtualClock
from meshup.steps.ledger import InstallLedger
from tests.forging.playing import Play, Server

INSTALLS = Stage(
    name="preflight",
    steps=(StepSpec(kind="install-ledger", params={}),),
    gates=(GateSpec(kind="ledger-enforced", params={}, patience=LedgerEnforced.patience),),
)
BOOK = replace(book({}), stages=(INSTALLS,))
UNGATED = replace(BOOK, stages=(replace(INSTALLS, gates=()),))
ADMISSION = "admissionregistration.k8s.io/v1"
BINDING = Ref(api_version=ADMISSION, kind="ValidatingAdmissionPolicyBinding", name="meshup-form")
OURS = (DEFINITION, "MeshLedger", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")


class Serves:
    """A transport that sees whether kinds are served when something of them is written."""

    def __init__(self, inner, server):
        self._inner, self._server = inner, server
        self.early = []

    def send(self, request):
        if request.method in ("POST", "PATCH", "PUT") and "/apis/meshup.dev/" in request.path:
            there = [
                self._server.objects.get("customresourcedefinitions.apiextensions.k8s.io", "", each)
                for each in DEFINITIONS
            ]
            if ("dryRun", "All") not in request.query and not all(map(_established, there)):
                self.early.append(request.path)
        return self._inner.send(request)


def _established(definition):
    conditions = dig(definition, "status", "conditions") or ()
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)


class World:
    """A server without the ledger, and sessions on it."""

    def __init__(self):
        self.clock = VirtualClock()
        self.server = ApiServer(self.clock)
        self.plain = over(self.server, self.clock, in_flight=1)
        put(self.plain, shop(["web"]))
        self.serves = Serves(self.server, self.server)

    def session(self, *, at=0, when="before"):
        """Make a session of a process of its own; it dies at a write, 0 = never. Its writes are in `killer`."""
        self.killer = Killer(self.serves, at=at, when=when)
        steps, gates = kinds()
        more = {LedgerEnforced.kind: LedgerEnforced()}
        steps["install-ledger"] = InstallLedger()
        return session(over(self.killer, self.clock, in_flight=1), user="", steps=steps, gates={**gates, **more})

    def ledger(self):
        """Give everything of the ledger, as a server keeps it."""
        return {
            (kind, name): each
            for kind, version in zip(
                OURS, ("apiextensions.k8s.io/v1", "meshup.dev/v1", ADMISSION, ADMISSION), strict=True
            )
            for each in (self.plain.list(version, kind) if kind != "MeshLedger" or self.has_bounds() else ())
            for name in [each["metadata"]["name"]]
            if "meshup" in name
        }

    def has_bounds(self):
        return self.plain.find(Ref(api_version="meshup.dev/v1", kind="MeshLedger", name="meshup")) is not None

    def specs(self):
        """Give what the ledger's objects say."""
        return {key: each["spec"] for key, each in self.ledger().items()}

    def pin(self):
        """Record a right pin that is in effect."""
        spec = {"mesh": "istio", "version": "1.29.4", "state": "supported", "digest": "sha256:" + "a" * 64}
        body = {"apiVersion": "meshup.dev/v1", "kind": "MeshRelease", "metadata": {"name": "1.29.4"}, "spec": spec}
        self.plain.create(body)
        play = Play(Server(self.server, {}, self.clock.now, self.clock.advance), "cart-1")
        assert play.act({"who": "admin", "pin": {}, "in": "default"}) == {"status": 201}
        assert play.act({"who": "admin", "status": {"phase": "Active"}, "in": "default"}) == {"status": 200}


def performed(world, whole=BOOK):
    """Plan and apply; give the outcome."""
    around = world.session()
    return apply(around, make_plan(around, whole))


def by_hand():
    world = World()
    around = world.session()
    install(around, missing(world.plain), pause=world.clock.advance)
    return world.specs()


def test_the_plan_has_what_ledger_install_would_write_and_nothing_else():
    world = World()
    plan = make_plan(world.session(), BOOK)
    assert plan.blocked == ()
    wanted = missing(world.plain)
    assert [(each.change.on, each.change.body) for each in plan.changes()] == [(each.ref, each.body) for each in wanted]
    assert {type(each.change) for each in plan.changes()} == {Apply}
    assert [each.inverse for each in plan.changes()] == [None] * len(wanted)
    assert plan.one_way == (), "nothing is destroyed, so nobody accepts it by name"
    assert any("a way back leaves these" in each and "and 24 more" in each for each in plan.notes)
    assert world.server.mutations == len(shop(["web"]))


def test_it_writes_what_ledger_install_writes_and_is_proven_then_and_a_second_apply_writes_nothing():
    world = World()
    assert performed(world).exit == 0
    assert world.specs() == by_hand()
    assert missing(world.plain) == ()
    assert enforcement(world.plain).state == "in force"
    assert performed(world).exit == 0
    assert world.killer.writes == []
    assert world.serves.early == []


def test_a_stage_without_the_gate_leaves_it_unproven_and_the_plan_says_so():
    world = World()
    around = world.session()
    plan = make_plan(around, UNGATED)
    assert any("ledger-enforced is not asked for" in each for each in plan.notes)
    assert apply(around, plan).exit == 0
    assert enforcement(world.plain).state == "unproven"


def test_an_altered_binding_is_replaced_as_a_whole_and_proven_anew():
    world = World()
    performed(world)
    first = enforcement(world.plain).since
    world.plain.merge_patch(BINDING, {"spec": {"validationActions": ["Warn", "Audit"]}}, manager="kubectl")
    around = world.session()
    plan = make_plan(around, BOOK)
    assert [(each.change.on, each.change.whole) for each in plan.changes()] == [(BINDING, True)]
    world.clock.advance(5)
    assert apply(around, plan).exit == 0
    assert world.specs() == by_hand()
    again = enforcement(world.plain)
    assert (again.state, again.since > first) == ("in force", True)


class Meddles:
    """A transport behind which somebody deletes a binding as soon as the last one is written."""

    def __init__(self, inner, server):
        self._inner, self._server = inner, server

    def send(self, request):
        answer = self._inner.send(request)
        last = request.path.endswith("bindings/meshup-epoch") and request.method == "PATCH"
        if last and ("dryRun", "All") not in request.query:
            self._server.objects.delete(
                "validatingadmissionpolicybindings.admissionregistration.k8s.io", "", BINDING.name
            )
        return answer


def test_a_gate_that_fails_says_that_nothing_was_taken_back_and_a_new_plan_puts_right_what_is_missing():
    world = World()
    world.serves = Meddles(world.server, world.server)
    outcome = performed(world)
    assert (outcome.exit, outcome.code) == (3, "MU3114")
    assert "ValidatingAdmissionPolicyBinding meshup-form is not there" in outcome.why
    assert "nothing was taken back" in outcome.kept
    assert not [each for each in outcome.next if "rollback" in each]
    assert enforcement(world.plain).state == "missing"
    world.serves = Serves(world.server, world.server)
    around = world.session()
    plan = make_plan(around, BOOK)
    assert [each.change.on for each in plan.changes()] == [BINDING]
    assert apply(around, plan).exit == 0
    assert enforcement(world.plain).state == "in force"


def test_a_newer_kind_and_somebody_elses_policy_block_the_plan():
    world = World()
    performed(world)
    ref = Ref(api_version="apiextensions.k8s.io/v1", kind=DEFINITION, name="meshpins.meshup.dev")
    versions = world.plain.get(ref)["spec"]["versions"]
    world.plain.merge_patch(ref, {"spec": {"versions": [*versions, {**versions[0], "name": "v2", "storage": False}]}})
    assert [each.code for each in make_plan(world.session(), BOOK).blocked] == ["MU2341"]

    other = World()
    body = next(each for each in policies() if each["kind"] == "ValidatingAdmissionPolicy")
    other.plain.create(
        {**body, "metadata": {"name": body["metadata"]["name"]}, "spec": {**body["spec"], "failurePolicy": "Ignore"}}
    )
    around = other.session()
    plan = make_plan(around, BOOK)
    assert [each.code for each in plan.blocked] == ["MU2341"]
    with pytest.raises(Refused):
        apply(around, plan)


def undisturbed():
    world = World()
    performed(world)
    return [each.path for each in world.killer.writes], world.specs()


WRITES, FINAL = undisturbed()
POINTS = [(at, when) for at in range(1, len(WRITES) + 1) for when in ("before", "after")]
WAITING = (next(number for number, path in enumerate(WRITES) if path.endswith("/meshledgers/meshup")), "after")
"""Killed when all kinds are written and journalled, and before they were seen to be served."""
SWEPT = [
    each if number % 4 == 0 or each == WAITING else pytest.param(*each, marks=pytest.mark.sweep)
    for number, each in enumerate(POINTS)
]


def killed(at, when):
    world = World()
    plan = make_plan(world.session(), BOOK)
    with pytest.raises(Killed):
        apply(world.session(at=at, when=when), plan)
    return world, plan


@pytest.mark.parametrize(("at", "when"), SWEPT)
def test_killed_at_any_write_one_resume_converges_and_nothing_is_written_of_a_kind_before_it_is_served(at, when):
    world, plan = killed(at, when)
    try:
        outcome = resume(world.session())
    except Refused as none:
        assert none.code == "MU2305"
        outcome = apply(world.session(), plan)
    assert outcome.exit == 0, outcome.why
    assert world.specs() == FINAL
    assert enforcement(world.plain).state == "in force"
    assert world.serves.early == []
    assert resume(world.session()).exit == 0
    assert world.killer.writes == []


@pytest.mark.parametrize(("at", "when"), SWEPT)
def test_no_way_back_from_any_point_takes_away_or_alters_an_object_of_the_ledger(at, when):
    world, _ = killed(at, when)
    before = world.ledger()
    around = world.session()
    for planned in (lambda: run_plan(around), lambda: stage_plan(around, "preflight")):
        try:
            back = planned()
        except Refused as none:
            assert none.code == "MU2305"
            continue
        assert [each.change for each in back.changes()] == []
        apply(around, back)
    assert not [each for each in world.killer.writes if each.method == "DELETE" and "meshup-system" not in each.path]
    after = world.ledger()
    assert {key: each["metadata"]["uid"] for key, each in after.items()} == {
        key: each["metadata"]["uid"] for key, each in before.items()
    }
    assert {key: each["spec"] for key, each in after.items()} == {key: each["spec"] for key, each in before.items()}


def test_what_is_there_is_not_altered_by_forging_and_each_altering_is_denied_by_its_policy():
    world = World()
    performed(world)
    asked = sent(world.plain, world.clock)
    assert (asked.let, sorted(policy for policy, _ in asked.unasked)) == ("", sorted(set(ALTERING) - {"meshup-epoch"}))
    world.pin()
    before = json.dumps(list(world.plain.list("meshup.dev/v1", "MeshPin")))
    found = sent(world.plain, world.clock)
    assert (found.let, found.unasked) == ("", ())
    assert set(ALTERING) <= {policy for policy, _ in found.denied}
    assert json.dumps(list(world.plain.list("meshup.dev/v1", "MeshPin"))) == before


@pytest.mark.parametrize("policy", sorted(ALTERING))
def test_a_policy_of_changes_that_does_not_deny_is_seen_once_there_is_a_pin(policy):
    world = World()
    performed(world)
    world.pin()
    ref = Ref(api_version=ADMISSION, kind="ValidatingAdmissionPolicyBinding", name=policy)
    world.plain.delete(ref, uid=world.plain.get(ref)["metadata"]["uid"])
    world.clock.advance(60)
    assert sent(world.plain, world.clock).let.startswith(f"{policy} let ")


class Vanishes:
    """A transport on which the pin goes just before its removal is forged."""

    def __init__(self, server):
        self._server = server

    def send(self, request):
        if request.method == "DELETE" and "/meshpins/" in request.path:
            self._server.objects.delete("meshpins.meshup.dev", "default", "cart-1")
        return self._server.send(request)


def test_a_pin_that_goes_before_its_removal_is_forged_was_let_pass_by_no_policy():
    world = World()
    performed(world)
    world.pin()
    found = sent(over(Vanishes(world.server), world.clock, in_flight=1), world.clock)
    assert found.let == ""
    assert [policy for policy, _ in found.unasked] == ["meshup-kept"]
