"""An owner's rollback is judged again from its pin when it is over: bit for bit, and an edit of the record is seen."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from bench import session
from killing import Killed, Killer
from test_service import BOOK, onboarded, plan_back
from toymesh import kinds

from meshup.cli.kinds import gates as shipped
from meshup.cluster.connect import over
from meshup.cluster.errors import Forbidden
from meshup.engine.execute import apply
from meshup.engine.own_way_back import resume_own
from meshup.engine.replay import LEAST, Other, replay
from meshup.engine.rollback import AFTER
from meshup.journal.in_pin import PinStore
from meshup.journal.ledger import advance, pins
from meshup.journal.pin import ref_of_pin
from meshup.model.journal import Finished
from meshup.model.plan import PlannedGate
from meshup.model.problem import Refused
from meshup.model.verdict import Answer
from meshup.model.wire import dump


@pytest.fixture
def done():
    """A world after an owner's rollback that was verified, a session, and its pin."""
    world, around = onboarded()
    assert apply(around, plan_back(around)).exit == 0
    (pin,) = pins(around.cluster)
    return world, around, pin


def journal(world, pin):
    return world.plain.get(ref_of_pin(pin))["status"]["journal"]


def rewritten(world, pin, change):
    """Write a pin's journal over, which no policy of this world forbids: change(entry) for each of its entries."""
    lines = [json.loads(line) for line in journal(world, pin).splitlines()]
    for each in lines:
        change(each)
    text = "".join(json.dumps(each, sort_keys=True, separators=(",", ":")) + "\n" for each in lines)
    world.plain.update_status(ref_of_pin(pin), {"journal": text})


def test_its_plan_is_gone_and_every_verdict_comes_out_as_it_was(done):
    world, around, pin = done
    assert "plan" not in world.plain.get(ref_of_pin(pin))["status"]
    found = replay(around, run="shop/cart")
    assert (found.run, found.same) == (pin.name, True)
    assert {each.kind for each in found.verdicts} >= {"workloads-ready"}
    assert [each.gate for each in found.verdicts if each.now is None] == []
    assert all(each.readings for each in found.verdicts)


@pytest.mark.parametrize("name", ["cart", "shop/cart", "{pin}", "shop/{pin}"])
def test_it_is_found_by_its_service_and_by_its_pin(done, name):
    _, around, pin = done
    named = name.format(pin=pin.name)
    assert replay(around, run=named, namespace="shop").run == pin.name
    assert replay(around, run=named).run == pin.name


def test_without_a_name_the_newest_run_is_meant_and_not_a_pin(done):
    _, around, pin = done
    assert replay(around, namespace="shop").run != pin.name


def test_of_several_the_newest_is_judged_and_an_older_one_by_its_own_name(done):
    _, around, first = done
    assert apply(around, plan_back(around, to="none")).exit == 0
    old, new = pins(around.cluster)
    assert (old.name, old.phase) == (first.name, "Closed")
    assert replay(around, run="shop/cart").run == new.name
    assert replay(around, run=f"shop/{old.name}").same


def test_one_that_moved_nothing_asked_no_gate_and_the_one_before_it_is_judged(done):
    _, around, first = done
    assert apply(around, plan_back(around)).exit == 0
    renewed = pins(around.cluster)[-1]
    assert replay(around, run="shop/cart").run == first.name
    with pytest.raises(Refused) as refused:
        replay(around, run=f"shop/{renewed.name}")
    assert refused.value.code == "MU2305"


@pytest.mark.parametrize("name", ["shop/ads", "bank/cart", "20260101-000000-ana"])
def test_what_is_not_there_is_refused(done, name):
    _, around, _ = done
    with pytest.raises(Refused, match="there is no run") as refused:
        replay(around, run=name)
    assert "NAMESPACE/SERVICE" in refused.value.fix


def test_who_may_not_list_the_pins_of_all_namespaces_names_their_own(done):
    _, around, pin = done

    class Owners:
        """A cluster of somebody whose rights end at their namespace."""

        def __getattr__(self, name):
            return getattr(around.cluster, name)

        def list(self, api_version, kind, *, namespace="", **more):
            if kind == "MeshPin" and namespace != "shop":
                raise Forbidden("not permitted: list MeshPin", code="MU7101", fix="ask")
            return around.cluster.list(api_version, kind, namespace=namespace, **more)

    owner = replace(around, cluster=Owners())
    assert replay(owner, run="shop/cart").run == pin.name
    with pytest.raises(Refused) as refused:
        replay(owner, run=pin.name)
    assert "ana may not look for it among the rollbacks of all namespaces" in refused.value.why


def test_one_that_failed_and_was_taken_back_replays_too():
    world, around = onboarded()
    world.stuck.add("cart")
    assert apply(around, plan_back(around)).exit == 9
    world.stuck.clear()
    assert resume_own(around, "shop/cart").exit == 4
    found = replay(around, run="shop/cart")
    assert found.verdicts
    assert found.same


def test_one_that_was_killed_and_gone_on_with_replays():
    world, _ = onboarded()
    steps, gates = kinds()

    def process(wire):
        return session(over(wire, world.clock, in_flight=1), steps=steps, gates=gates)

    killer = Killer(world.server)
    at = 0
    while True:
        at += 1
        doomed = process(Killer(world.server, at=at, when="after"))
        try:
            apply(doomed, plan_back(doomed, book=BOOK))
        except Killed:
            resumable = pins(world.plain) and PinStore(world.plain, pins(world.plain)[0]).entries()
            if resumable:
                break
    around = process(killer)
    assert resume_own(around, "shop/cart", book=BOOK).exit == 0
    found = replay(around, run="shop/cart")
    assert any(each.now is not None for each in found.verdicts)
    assert found.same


# What is edited is seen.


def test_a_verdict_that_was_written_over_is_not_the_same(done):
    world, around, pin = done

    def change(entry):
        if entry["type"] == "Judgement":
            entry["judged"]["verdict"]["because"] = "all is well"

    rewritten(world, pin, change)
    assert not replay(around, run="shop/cart").same


def test_readings_that_were_written_over_are_not_the_same(done):
    world, around, pin = done

    def change(entry):
        if entry["type"] == "Judgement":
            for each in entry["judged"]["readings"]:
                each["data"] = {}

    rewritten(world, pin, change)
    assert not replay(around, run="shop/cart").same


def test_what_a_gate_was_asked_with_is_in_the_record_and_without_it_nothing_is_judged(done):
    world, around, pin = done
    rewritten(world, pin, lambda entry: entry.pop("gates", None))
    found = replay(around, run="shop/cart")
    assert found.verdicts
    assert {(each.now, each.why) for each in found.verdicts} == {(None, "what it was asked with is not on record")}


def test_a_journal_without_its_start_is_damaged(done):
    world, around, pin = done
    text = journal(world, pin)
    world.plain.update_status(ref_of_pin(pin), {"journal": text.partition("\n")[2]})
    with pytest.raises(Refused) as refused:
        replay(around, run="shop/cart")
    assert refused.value.code == "MU2311"


def test_other_terms_are_tried_on_it(done):
    _, around, _ = done
    found = replay(around, run="shop/cart", others=[Other(name=LEAST, value=10**9)])
    assert all(each.tried for each in found.verdicts)


# What it takes.


def test_what_is_kept_of_the_plan_is_small():
    gates = shipped()
    longest = {"release": "r" * 64, "revision": "r" * 63}
    kept = [
        PlannedGate(
            id=f"rollback/{kind}", kind=kind, title=gates[kind].title, params=longest, patience=gates[kind].patience
        )
        for kind in AFTER
    ]
    assert len(json.dumps(dump(tuple(kept)))) < 2048


def test_nothing_is_written_behind_the_end_of_a_pin(done):
    world, _, pin = done
    advance(world.plain, pin, "Closed", by="ana", at="2026-11-03T09:00:00Z")
    store = PinStore(world.plain, pin)
    store.entries()
    began = len(world.server.log)
    with pytest.raises(Refused) as refused:
        store.append([Finished(at="2026-11-03T09:00:01Z")])
    assert refused.value.code == "MU2317"
    assert not [each for each in world.server.log[began:] if each.mutation]


def test_a_verdict_that_fails_is_in_the_record_with_its_readings():
    world, around = onboarded()
    world.takes_s = 10_000.0
    plan = plan_back(around)
    outcome = apply(around, plan)
    assert outcome.exit != 0
    world.takes_s = 3.0
    (pin,) = pins(around.cluster)
    answers = [each.was.answer for each in replay(around, run=f"shop/{pin.name}").verdicts]
    assert set(answers) - {Answer.PASS}
