"""A wave moves its services in a sliding window, with few appends, and stops at the one that does not come up."""

from __future__ import annotations

from dataclasses import replace

from rolling import Rolling
from toymesh import REV, book

from meshup.engine.execute import apply, resume
from meshup.engine.planning import make_plan
from meshup.engine.rehearse import rehearse
from meshup.model.runbook import Pacing
from meshup.model.verdict import Patience
from meshup.simulate.api.users import CONTROL_PLANE

NAMES = [f"s{number:02d}" for number in range(24)]


def moved(in_flight, **more):
    world = Rolling(NAMES, **more)
    around = world.session()
    meant = book({"w": NAMES}, in_flight=in_flight)
    plan = make_plan(around, meant)
    assert apply(around, plan, through="ingress").exit == 0
    return world, around, plan


def test_never_more_than_in_flight_move_at_once():
    world, around, plan = moved(4)
    world.moving_most = 0
    assert apply(around, plan).exit == 0
    assert world.moving_most == 4
    assert all(each.get(REV) == "2-0" for name, each in world.templates().items())


def test_a_window_looks_at_all_that_moves_with_one_list_an_interval():
    world, around, plan = moved(16)
    began = len(world.server.log)
    assert apply(around, plan).exit == 0
    ours = [each for each in world.server.log[began:] if each.user != CONTROL_PLANE.name]
    writes = [each.at for each in ours if each.method == "PATCH" and "/deployments/" in each.path]
    looks = [
        each.at
        for each in ours
        if each.method == "GET" and each.path == "/apis/apps/v1/deployments" and writes[0] <= each.at <= writes[-1]
    ]
    every_s = plan.stages[-1].waves[0].settle.every_s
    assert len(looks) == len(set(looks))
    assert len(looks) <= (writes[-1] - writes[0]) / every_s + 1


def test_the_journal_is_appended_to_at_most_once_per_service_and_group():
    world, around, plan = moved(4)
    began = len(world.server.log)
    assert apply(around, plan).exit == 0
    appends = [each for each in world.server.log[began:] if each.mutation and "/configmaps/run-" in each.path]
    assert len(appends) <= len(NAMES) + 2 * 2 + 2


def test_a_service_that_does_not_come_up_stops_its_wave_and_all_of_it_goes_back():
    world, around, plan = moved(4, stuck=())
    settle = Patience(limit_s=30.0, every_s=2.0, in_a_row=1)
    stages = tuple(
        replace(stage, waves=tuple(replace(wave, settle=settle) for wave in stage.waves)) for stage in plan.stages
    )
    from meshup.engine.planfile import sealed

    world = Rolling(NAMES)
    around = world.session()
    plan = sealed(replace(make_plan(around, book({"w": NAMES}, in_flight=4)), stages=stages))
    world.stuck.add("s05")
    first = world.templates()
    world.takes_s = 3.0

    def free(kept=world.stuck):
        kept.clear()

    world.clock.call_later(60.0, free)
    outcome = apply(around, plan)
    assert (outcome.exit, outcome.stopped) == (4, "onboard/w")
    assert "shop/s05" in outcome.why
    assert world.templates() == first
    assert resume(around).exit == 0


def test_new_connections_pace_the_window():
    world = Rolling(NAMES[:6])
    around = world.session()
    meant = replace(book({"w": NAMES[:6]}), pacing=Pacing(in_flight=6, new_connections_per_s=1.0))
    plan = make_plan(around, meant)
    apply(around, plan, through="ingress")
    began = world.clock.elapsed()
    assert apply(around, plan).exit == 0
    assert world.clock.elapsed() - began >= 50.0


def test_a_rehearsal_says_what_would_happen_and_whether_the_way_back_works():
    world = Rolling(["web", "cart"])
    found = rehearse(world.session(), book({"w": ["web", "cart"]}))
    assert (found.exit, found.way_back_works, found.left) == (0, True, ())
    assert found.virtual_s > 6.0
    world = Rolling(["web", "cart"])
    around = world.session()
    around.gates["says"].script = {"onboard/w": ["fail"]}
    found = rehearse(around, book({"w": ["web", "cart"]}))
    assert (found.exit, found.outcome.stopped, found.way_back_works) == (4, "onboard/w", True)
