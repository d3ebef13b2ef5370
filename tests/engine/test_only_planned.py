"""P1: whatever gates say, wherever processes die and whoever interferes, every write was in the plan."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from killing import Killed
from littleworld import BOOK, World, config
from planned import surplus
from toymesh import kinds

from meshup.engine.execute import apply, resume
from meshup.engine.planning import make_plan
from meshup.engine.taking_back import run_plan, stage_plan
from meshup.model.problem import MeshupError
from meshup.model.transport import Request

PLACES = ("first", "strict/w-workload", "*")
ANSWERS = st.lists(st.sampled_from(["pass", "fail", "unknown"]), min_size=1, max_size=3)
SCRIPTS = st.dictionaries(st.sampled_from(PLACES), ANSWERS, max_size=2)
DEATHS = st.tuples(st.integers(0, 45), st.sampled_from(["before", "after"]))
ACTS = st.tuples(st.sampled_from(["apply", "resume", "back", "stage"]), DEATHS, SCRIPTS, st.booleans())
STARTS = st.sets(st.sampled_from(["existing", "labelled", "fresh-1", "policy-web", "ours"]))


def begin(chosen):
    """Make a world in which some of what the plan is about is there already, also as others would have made it."""
    world = World()
    for name in ("existing", "labelled"):
        if name not in chosen:
            world.server.objects.delete("configmaps", "shop", name)
    if "fresh-1" in chosen:
        world.plain.apply(config("fresh-1", x="0"), manager="argocd")
    if "policy-web" in chosen:
        world.plain.apply(config("policy-web", mode="off"), manager="argocd")
    if "ours" in chosen:
        world.plain.apply(config("fresh-2", labels={"meshup.dev/managed-by": "meshup"}, x="0"))
    return world


def meddle(world):
    """Do what others do meanwhile."""
    world.plain.apply(config("existing", a="9", b="c"), manager="argocd", force=True)


def perform(world, act, plans):
    """Play one process of the story; give its writes. Its end is of no interest here."""
    what, (at, when), script, interfered = act
    if interfered:
        meddle(world)
    gates = kinds()[1]
    gates["says"].script = {key: list(value) for key, value in script.items()}
    cluster, killer = world.door(at=at, when=when)
    try:
        around = world.session(cluster, gates=gates)
        if what == "resume":
            resume(around)
        else:
            made = {"apply": lambda: make_plan(around, BOOK), "back": lambda: run_plan(around)}
            plan = made[what]() if what in made else stage_plan(around, "first")
            plans.append(plan)
            apply(around, plan)
    except (Killed, MeshupError):
        pass
    return killer.writes


def check(chosen, story):
    world = begin(chosen)
    plans = []
    for act in story:
        for request in perform(world, act, plans):
            assert surplus(request, plans) == ""


ALONE = (0, "before")


@given(STARTS, st.lists(ACTS, min_size=1, max_size=4))
@settings(max_examples=60)
@example({"existing", "labelled"}, [("apply", ALONE, {}, False), ("back", ALONE, {}, False)])
@example({"existing", "labelled"}, [("apply", (20, "after"), {}, False), ("resume", ALONE, {}, True)])
def test_every_write_was_in_the_plan(chosen, story):
    check(chosen, story)


@pytest.mark.sweep
@given(STARTS, st.lists(ACTS, min_size=1, max_size=4))
@settings(max_examples=10_000)
def test_every_write_was_in_the_plan_often(chosen, story):
    check(chosen, story)


def test_a_write_that_was_not_planned_is_found():
    """The oracle itself: another object, another value, another field, a delete of whatever has the name."""
    world = begin({"existing", "labelled", "ours"})
    cluster, killer = world.door()
    plan = make_plan(world.session(), BOOK)
    cluster.apply(config("beside", a="1"))
    cluster.apply(config("existing", a="3"), force=True)
    cluster.apply(config("existing", a="2", c="3"), force=True)
    cluster.apply(config("existing", a="2"), force=True)
    killer.send(Request(method="DELETE", path="/api/v1/namespaces/shop/configmaps/fresh-1"))
    said = [surplus(each, [plan]) for each in killer.writes]
    assert "is in no plan" in said[0]
    assert "data.a = '3'" in said[1]
    assert "data.c = '3', planned None" in said[2]
    assert said[3] == ""
    assert "whatever its UID" in said[4]
