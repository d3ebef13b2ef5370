"""Killed at any write, before it is sent or with its effect, one resume converges and a second one writes nothing."""

from __future__ import annotations

import pytest
from killing import Killed
from littleworld import BOOK, World

from meshup.engine.execute import apply, resume
from meshup.engine.planning import make_plan
from meshup.engine.taking_back import run_plan
from meshup.model.problem import Refused


def undisturbed():
    world = World()
    cluster, killer = world.door()
    around = world.session(cluster)
    outcome = apply(around, make_plan(around, BOOK))
    assert outcome.exit == 0, outcome.why
    return len(killer.writes), world.result()


WRITES, FINAL = undisturbed()
POINTS = [(at, when) for at in range(1, WRITES + 1) for when in ("before", "after")]


def killed(world, at, when):
    plan = make_plan(world.session(), BOOK)
    cluster, _ = world.door(at=at, when=when)
    with pytest.raises(Killed):
        apply(world.session(cluster), plan)
    return plan


@pytest.mark.parametrize(("at", "when"), POINTS)
def test_one_resume_converges_and_a_second_writes_nothing(at, when):
    world = World()
    plan = killed(world, at, when)
    around = world.session()
    try:
        outcome = resume(around)
    except Refused as none:
        assert none.code == "MU2305"
        outcome = apply(around, plan)
    assert outcome.exit == 0, outcome.why
    assert world.result() == FINAL
    cluster, killer = world.door()
    assert resume(world.session(cluster)).exit == 0
    assert killer.writes == []


@pytest.mark.parametrize(("at", "when"), POINTS)
def test_from_every_point_the_way_back_leads_to_the_first_state(at, when):
    world = World()
    first = world.state()
    killed(world, at, when)
    around = world.session()
    try:
        back = run_plan(around)
    except Refused as none:
        assert none.code == "MU2305"
        assert world.state() == first
        return
    assert back.blocked == ()
    outcome = apply(around, back)
    assert outcome.exit == 0, outcome.why
    assert world.state() == first


@pytest.mark.sweep
@pytest.mark.parametrize(("at", "when"), POINTS[::3])
def test_killed_again_while_resuming_and_while_going_back(at, when):
    for going_back in (False, True):
        for again in range(1, 40):
            world = World()
            first = world.state()
            plan = killed(world, at, when)
            cluster, _ = world.door(at=again, when=when)
            try:
                around = world.session(cluster)
                outcome = apply(around, run_plan(around)) if going_back else resume(around)
            except Refused as none:
                assert none.code == "MU2305"
                break
            except Killed:
                around = world.session()
                outcome = _back(around) if going_back else _resume(around, plan)
                assert outcome.exit == 0, outcome.why
                assert (world.state() == first) if going_back else (world.result() == FINAL)
                continue
            assert outcome.exit == 0, outcome.why
            break


def _resume(around, plan):
    try:
        return resume(around)
    except Refused:
        return apply(around, plan)


def _back(around):
    """Go back again; a way back that was cut off in the middle of changes is refused, and its resume finishes it."""
    try:
        return apply(around, run_plan(around))
    except Refused as cut_off:
        assert cut_off.code == "MU2304"
        return resume(around)
