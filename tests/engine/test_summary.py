"""A run's summary: there for kubectl where its definition is, and never in the way of the run."""

from __future__ import annotations

from bench import put
from littleworld import BOOK, World
from toymesh import kinds

from meshup.engine.execute import apply
from meshup.engine.planning import make_plan
from meshup.journal.definitions import definition
from meshup.journal.lease import LEASE
from meshup.model.objects import Ref


def summaries(world):
    return list(world.plain.list("meshup.dev/v1", "MeshRun"))


def served():
    world = World()
    put(world.plain, [definition("meshruns")])
    world.clock.advance(5.0)
    return world


def test_it_says_who_what_and_how_it_ended():
    world = served()
    around = world.session()
    outcome = apply(around, make_plan(around, BOOK))
    assert outcome.exit == 0, outcome.why
    (found,) = summaries(world)
    assert found["metadata"]["name"] == outcome.run
    assert (found["spec"]["kind"], found["spec"]["user"]["name"]) == ("apply", "ana")
    status = found["status"]
    assert (status["phase"], status["epoch"], status["exit"]) == ("Finished", 1, 0)
    assert status["place"] == outcome.places[-1][0]


def test_a_stop_is_said_with_its_reason_and_the_next_command():
    world = served()
    _, gates = kinds()
    gates["says"].script = {"*": ["fail"]}
    around = world.session(gates=gates)
    outcome = apply(around, make_plan(around, BOOK))
    status = summaries(world)[0]["status"]
    assert (status["phase"], status["exit"], status["place"]) == ("Stopped", outcome.exit, outcome.stopped)
    assert status["why"] == outcome.why
    assert "meshup apply --resume" in status["next"]


def test_where_its_definition_is_not_there_nothing_of_it_is_sent():
    world = World()
    around = world.session()
    assert apply(around, make_plan(around, BOOK)).exit == 0
    assert not [each for each in world.server.log if each.path.startswith("/apis/meshup.dev") and each.mutation]


def test_a_run_goes_on_when_its_summary_is_refused():
    world = served()
    around = world.session()
    plan = make_plan(around, BOOK)
    on = Ref(api_version="apiextensions.k8s.io/v1", kind="CustomResourceDefinition", name="meshruns.meshup.dev")
    world.plain.delete(on, uid=world.plain.get(on)["metadata"]["uid"])
    # This session has read that the kind is served, and it is not any more.
    assert apply(around, plan).exit == 0


def test_an_epoch_does_not_fall_when_lease_and_journal_are_gone():
    world = served()
    around = world.session()
    assert apply(around, make_plan(around, BOOK), through="first").exit == 0
    for kind, name in (("Lease", LEASE.name), *(("ConfigMap", each) for each in _journal(world))):
        ref = Ref(
            api_version=LEASE.api_version if kind == "Lease" else "v1", kind=kind, namespace=LEASE.namespace, name=name
        )
        world.plain.delete(ref, uid=world.plain.get(ref)["metadata"]["uid"])
    again = world.session()
    assert apply(again, make_plan(again, BOOK)).exit == 0
    assert sorted(each["status"]["epoch"] for each in summaries(world)) == [1, 2]


def _journal(world):
    return [each["metadata"]["name"] for each in world.plain.list("v1", "ConfigMap", namespace=LEASE.namespace)]
