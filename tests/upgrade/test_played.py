"""An upgrade on the shop in memory: who moves when, what stays, and that its way back leads back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from onboarded import NEW, OLD, OLDER, Onboarded, critical, onboarded

from meshup.engine.execute import apply
from meshup.engine.rehearse import differences
from meshup.engine.taking_back import run_plan
from meshup.model.holds import HoldAt
from meshup.model.problem import Exit, GateHeld


@pytest.fixture
def made() -> Onboarded:
    return onboarded()


def moved(made: Onboarded) -> set[str]:
    return {name for name, releases in made.runs().items() if releases == (NEW,)}


def test_critical_users_move_first_then_the_gateway_then_everybody_and_the_old_revision_goes_last(
    made: Onboarded,
) -> None:
    book = made.written()
    willing = {name for wave in book.waves for name in wave.services}
    assert critical(book) < willing
    assert made.apply(book, through="qualify").exit == 0
    assert moved(made) == critical(book)
    assert made.apply(book).exit == 0
    assert moved(made) == willing
    installed = made.driver.installed(made.seen())
    assert NEW in installed.values()
    assert OLD not in installed.values()
    names = [place for place, how in made.order.places if how == "done"]
    assert names[:3] == ["preflight", "control-plane", "qualify/critical"]
    spread = [f"spread/{each.name}" for each in book.waves[1:]]
    rest = ["gateway/10-percent", "gateway/100-percent", *spread, "gateway-own", "minimise"]
    assert names[-len(rest) :] == rest


def test_a_second_plan_has_nothing_to_do_and_a_second_apply_writes_nothing(made: Onboarded) -> None:
    book = made.written()
    assert made.apply(book).exit == 0
    plan = made.plan(book)
    assert [each.summary for each in plan.changes()] == []
    before = len([each for each in made.simulation.server.log if each.mutation])
    assert apply(made.session, plan).exit == 0
    written = [each for each in made.simulation.server.log if each.mutation][before:]
    assert [each.path for each in written if "/meshup-system/" not in each.path] == []


def test_nobody_else_moves_when_critical_users_find_the_release_bad_and_they_are_taken_back(made: Onboarded) -> None:
    made.simulation.world.inject({"fault": "bad-release", "on": NEW, "bad": "errors", "name": "bad"})
    book, first = made.written(), made.runs()
    outcome = made.apply(book)
    assert outcome.exit == Exit.UNDONE, outcome.why
    assert outcome.stopped == "qualify/critical"
    assert made.runs() == first
    assert all(made.runs()[each] == (OLD,) for each in critical(book))


def test_a_pin_is_left_alone_and_so_is_the_revision_it_holds(made: Onboarded) -> None:
    made.pin("shop/cart")
    found = made.derive()
    assert "pinned it to 1.29.4" in dict(found.left)["shop/cart"]
    book = made.written()
    assert "shop/cart" in {name for wave in book.waves for name in wave.services}
    plan = made.plan(book)
    assert not [each.id for each in plan.changes() if each.service == "shop/cart"]
    assert apply(made.session, plan).exit == 0
    assert made.runs()["shop/cart"] == (OLDER,)
    assert set(made.driver.installed(made.seen()).values()) == {OLDER, NEW}


def test_a_pin_on_the_old_release_keeps_its_revision(made: Onboarded) -> None:
    made.pin("shop/cart")
    made.pin("shop/cart", to=OLD)
    assert made.apply(made.written()).exit == 0
    assert made.runs()["shop/cart"] == (OLD,)
    assert OLD in made.driver.installed(made.seen()).values()


def test_the_way_back_of_a_whole_upgrade_leads_to_the_first_state(made: Onboarded) -> None:
    first, runs = made.seen(), made.runs()
    assert made.apply(made.written()).exit == 0
    assert made.runs() != runs
    back = apply(made.session, run_plan(made.session))
    assert back.exit == 0, back.why
    assert made.runs() == runs
    assert differences(first, made.seen()) == ()


def test_one_critical_service_that_goes_back_while_the_upgrade_is_under_way_holds_the_rest_unless_holds_say_otherwise(
    made: Onboarded,
) -> None:
    book = made.written()
    assert made.apply(book, through="qualify").exit == 0
    made.pin("shop/web", to=OLD)
    runs = made.runs()
    assert runs["shop/web"] == (OLD,)
    held = made.apply(book)
    assert (held.exit, held.code) == (Exit.GATE_HELD, "MU3121")
    assert "critical service shop/web went back: " in held.why
    assert made.runs() == runs
    with pytest.raises(GateHeld) as refused:
        made.written()
    assert (refused.value.code, "critical service shop/web went back: " in refused.value.why) == ("MU3603", True)
    made.book = replace(made.book, holds=HoldAt(critical=False))
    assert made.apply(made.written()).exit == 0
    assert made.runs()["shop/web"] == (OLD,)
    assert OLD in made.driver.installed(made.seen()).values()


def test_the_runbook_that_onboarded_can_no_longer_be_applied(made: Onboarded) -> None:
    assert made.apply(made.written()).exit == 0
    runs = made.runs()
    outcome = made.apply(made.book)
    assert outcome.exit == Exit.GATE_HELD
    assert "release-skew" in outcome.why
    assert made.runs() == runs


def test_an_upgraded_mesh_is_upgraded_again_from_the_runbook_of_the_first_upgrade(made: Onboarded) -> None:
    first = made.written()
    assert made.apply(first).exit == 0
    again = made.written("1.31.2", book=first)
    assert [each.name for each in again.stages] == [each.name for each in first.stages]
    assert [(each.name, set(each.services)) for each in again.waves] == [
        (each.name, set(each.services)) for each in first.waves
    ]
    assert [gate.kind for gate in again.stages[2].gates] == [gate.kind for gate in first.stages[2].gates]
    assert made.apply(again).exit == 0
    assert {releases for name, releases in made.runs().items() if name in critical(again)} == {("1.31.2",)}
