"""One service goes back to a release that is installed, or out of the mesh: recorded first, performed with gates."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from bench import put
from rolling import Rolling
from seen import snapshot
from toymesh import HOME, REV, ToyDriver, book, deployment, kinds, policy

from meshup.engine.execute import apply
from meshup.engine.own_way_back import resume_own
from meshup.engine.planning import make_plan
from meshup.engine.reporting import view
from meshup.engine.rollback import choices, refusers, service_plan
from meshup.engine.standing import status
from meshup.journal.ledger import pins
from meshup.model.counts import Counts
from meshup.model.holds import HoldAt
from meshup.model.problem import Refused, UsageError
from meshup.model.reporting import report

NAMES = ["web", "cart", "ads"]
BOOK = book({"wave-1": ["web"], "wave-2": ["cart", "ads"]})
WEEK = timedelta(days=7)


def old_plane():
    marks = {"toy.example/plane": "1-0", "toy.example/release": "1.0"}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HOME}},
        deployment(HOME, "plane-1-0", marks=marks),
    ]


def onboarded(**more):
    world = Rolling(NAMES, **more)
    put(world.plain, old_plane())
    around = world.session()
    outcome = apply(around, make_plan(around, BOOK))
    assert outcome.exit == 0, outcome.why
    return world, around


def told(around):
    return report([view(around, book=BOOK)], now=around.clock.now(), at=HoldAt())


def plan_back(around, service="cart", to="1.0", **more):
    return service_plan(around, service, to=to, reason="timeouts to the ledger", until=WEEK, **more)


def test_it_goes_back_and_its_record_says_who_from_what_to_what_why_and_until_when():
    world, around = onboarded()
    plan = plan_back(around)
    assert plan.kind == "rollback-service"
    assert pins(around.cluster) == ()
    outcome = apply(around, plan)
    assert outcome.exit == 0, outcome.why
    assert world.templates()["cart"][REV] == "1-0"
    assert world.templates()["ads"][REV] == "2-0"
    (pin,) = pins(around.cluster)
    assert (pin.user, pin.service, pin.from_release, pin.to_release) == ("ana", "cart", "2.0", "1.0")
    assert (pin.reason, pin.phase, pin.until - pin.since) == ("timeouts to the ledger", "Active", WEEK)


def test_the_record_and_then_its_copy_are_written_before_the_act():
    world, around = onboarded()
    plan = plan_back(around)
    began = len(world.server.log)
    apply(around, plan)
    writes = [each.path for each in world.server.log[began:] if each.mutation]
    record = next(number for number, path in enumerate(writes) if path.endswith("/meshpins"))
    copy = next(number for number, path in enumerate(writes) if path.endswith("/namespaces/meshup-system/meshpins"))
    act = next(number for number, path in enumerate(writes) if path.endswith("/deployments/cart"))
    assert record < copy < act


def test_out_of_the_mesh_is_none():
    world, around = onboarded()
    assert apply(around, plan_back(around, to="none")).exit == 0
    assert REV not in world.templates()["cart"]
    shown = told(around)
    assert [(each.held.service, each.origin, each.held.to, each.held.trust) for each in shown.rows] == [
        ("cart", "2.0", "", "declared")
    ]


def test_who_leaves_is_told_who_will_refuse_its_calls():
    cart = next(each for each in BOOK.services if each.name == "cart")
    strict = snapshot([policy(each, "strict") for each in BOOK.services])
    assert refusers(ToyDriver(), cart, strict, BOOK) == (
        "shop/cart will call in plaintext, which is refused by shop/web, shop/ads",
    )
    assert refusers(ToyDriver(), cart, snapshot(), BOOK) == ()


def test_the_next_plan_leaves_a_pinned_service_alone():
    _, around = onboarded()
    apply(around, plan_back(around))
    plan = make_plan(around, BOOK)
    assert not plan.changed
    assert any("shop/cart is left out: ana pinned it to 1.0" in each for each in plan.notes)


def test_a_release_that_is_not_installed_is_refused_with_what_is():
    _, around = onboarded()
    with pytest.raises(Refused) as refused:
        plan_back(around, to="0.9")
    assert refused.value.code == "MU3402"
    assert "1.0 (revision 1-0)" in refused.value.why
    assert choices(around, BOOK) == (("1.0", "1-0"), ("2.0", "2-0"), ("none", ""))


@pytest.mark.parametrize(
    ("service", "until", "code"),
    [("crat", WEEK, "MU3401"), ("cart", timedelta(days=15), "MU3405"), ("cart", timedelta(0), "MU3405")],
)
def test_bad_input_is_one_clear_error(service, until, code):
    _, around = onboarded()
    with pytest.raises(UsageError) as refused:
        service_plan(around, service, to="1.0", reason="r", until=until)
    assert refused.value.code == code
    assert service != "crat" or "cart" in refused.value.why


def test_a_rollback_that_fails_is_undone_and_its_record_says_so():
    world, around = onboarded()
    world.stuck.add("cart")
    outcome = apply(around, plan_back(around))
    # Its way back is stuck too: a person must look.
    assert outcome.exit == 9
    assert "cart" in outcome.why
    world.stuck.clear()
    assert resume_own(around, "shop/cart").exit == 4
    assert world.templates()["cart"][REV] == "2-0"
    assert [each.phase for each in pins(around.cluster)] == ["Failed"]


def test_a_second_rollback_ends_the_first_pin():
    _, around = onboarded()
    apply(around, plan_back(around))
    assert apply(around, plan_back(around, to="none")).exit == 0
    assert [(each.to_release, each.phase) for each in pins(around.cluster)] == [("1.0", "Closed"), ("", "Active")]


def test_a_pin_that_was_written_and_never_acted_on_is_used_again():
    from meshup.engine.pinning import write_pin

    _, around = onboarded()
    write_pin(around, plan_back(around))
    assert apply(around, plan_back(around)).exit == 0
    assert len(pins(around.cluster)) == 1


def test_status_and_report_say_who_runs_what():
    world, around = onboarded()
    apply(around, plan_back(around))
    shown = status(around, book=BOOK)
    cart = next(each for each in shown.services if each.running.service == "cart")
    assert (cart.running.releases, cart.wanted, cart.is_right) == ((("1.0", 1),), "1.0", True)
    assert shown.revisions == (("1-0", "1.0"), ("2-0", "2.0"))
    counted = {each.release: (each.on, each.services_ever, each.temporary) for each in told(around).releases}
    none, one = Counts(), Counts(declared=1)
    assert counted == {"1.0": (1, none, none), "2.0": (2, one, one)}
    world.clock.jump(8 * 86400.0)
    late = told(around)
    assert [(each.overdue, each.effect) for each in late.rows] == [(True, "yes")]
    assert "overdue" in late.next


def test_what_left_its_release_without_a_record_is_inferred():
    world, around = onboarded()
    body = {
        **deployment("shop", "ads"),
        "spec": {"template": {"metadata": {"labels": {REV: "1-0"}}}},
    }
    world.plain.apply({**body, "metadata": {"name": "ads", "namespace": "shop"}}, manager="bob", force=True)
    world.clock.advance(10.0)
    rows = told(around).rows
    assert [(each.held.service, each.held.user, each.held.trust) for each in rows] == [("ads", "", "inferred")]


def test_a_run_that_meets_a_fresh_pin_leaves_the_service_alone():
    world = Rolling(NAMES)
    put(world.plain, old_plane())
    around = world.session()
    plan = make_plan(around, BOOK)
    assert apply(around, plan, through="onboard/wave-1").exit == 0
    apply(replace(around, gates=kinds()[1]), plan_back(around, service="ads"))
    outcome = apply(around, make_plan(around, BOOK))
    assert outcome.exit == 0
    assert world.templates()["ads"][REV] == "1-0"
    assert world.templates()["cart"][REV] == "2-0"
