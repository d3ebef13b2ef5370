"""A rollback without --to goes where the ledger says that it was well; it is said before the act and seen after it."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import timedelta

import pytest
from bench import put, session
from killing import Killed, Killer, Loser
from rolling import Rolling
from story import corner
from test_service import BOOK, NAMES, WEEK, old_plane, onboarded
from toymesh import HOME, deployment, kinds

from meshup.cluster.clock import ServedClock
from meshup.cluster.connect import over
from meshup.engine.execute import apply
from meshup.engine.healthy import evidence
from meshup.engine.own_way_back import resume_own
from meshup.engine.pinning import write_pin
from meshup.engine.planning import make_plan
from meshup.engine.rollback import choices, find_service, service_plan
from meshup.engine.unpinning import unpin
from meshup.journal.definitions import ensure
from meshup.journal.ledger import pins
from meshup.journal.pin import ref_of_pin
from meshup.model.objects import ref_of
from meshup.model.problem import MeshupError, Refused, UsageError

CART = find_service(BOOK, "cart")
INSTALLED = {"1-0": "1.0", "1-5": "1.5", "2-0": "2.0"}


def go(around, service="cart", to="", reason="timeouts", until=WEEK, **more):
    return service_plan(around, f"shop/{service}", to=to, reason=reason, until=until, book=BOOK, **more)


def plane(release):
    revision = release.replace(".", "-")
    marks = {"toy.example/plane": revision, "toy.example/release": release}
    return [deployment(HOME, f"plane-{revision}", marks=marks)]


def release(world, version, state="supported", **spec):
    ensure(world.plain, "meshreleases", pause=world.clock.sleep)
    body = {
        "apiVersion": "meshup.dev/v1",
        "kind": "MeshRelease",
        "metadata": {"name": version},
        "spec": {"mesh": "toy", "version": version, "state": state, **spec},
    }
    put(world.plain, [body])


def moved_once(at="1.0"):
    """A world whose services ran an old release before a run moved them to 2.0."""
    world = Rolling(NAMES)
    put(world.plain, [*old_plane(), *plane("1.5")])
    around = world.session()
    first = replace(BOOK, mesh=replace(BOOK.mesh, release=at, revision=at.replace(".", "-")))
    assert apply(around, make_plan(around, first)).exit == 0
    assert apply(around, make_plan(around, BOOK)).exit == 0
    return world, around


def test_without_a_target_it_goes_to_the_newest_release_whose_gates_passed():
    _, around = moved_once("1.5")
    plan = go(around)
    assert plan.release == "1.5"
    (why,) = [each for each in plan.notes if each.startswith("chosen: ")]
    assert "1.5 is the newest supported release it was well on" in why
    assert "passed workloads-ready, says on 2026-11-02" in why
    assert "onboard/wave-2" in why


def test_gates_that_passed_go_before_a_newer_release_where_it_merely_ran():
    _, around = moved_once("1.0")
    found = evidence(around, CART, INSTALLED)
    assert {(each.release, each.judged) for each in found} == {("1.0", True), ("1.0", False), ("2.0", True)}
    assert go(around).release == "1.0"


def test_where_it_ran_before_the_first_run_is_the_last_resort_and_said_so():
    world = Rolling(NAMES)
    put(world.plain, old_plane())
    cart = deployment("shop", "cart")
    cart["spec"]["template"]["metadata"]["labels"]["toy.example/rev"] = "1-0"
    put(world.plain, [cart])
    world.clock.advance(10.0)
    around = world.session()
    assert apply(around, make_plan(around, BOOK)).exit == 0
    plan = go(around)
    assert plan.release == "1.0"
    assert any("it ran there until run" in each and "no gate was asked then" in each for each in plan.notes)


def test_a_pin_that_was_verified_is_evidence_and_one_that_was_not_is_none():
    world, around = onboarded()
    assert apply(around, go(around, to="1.0")).exit == 0
    assert apply(around, go(around, to="2.0")).exit == 0
    (first, _) = pins(around.cluster)
    assert first.observed == (("1.0", 1),)
    plan = go(around)
    assert plan.release == "1.0"
    assert any(f"MeshPin shop/{first.name} of 2026-11-02: 1 of its pods were seen on it" in each for each in plan.notes)
    # A pin whose pods were on two releases proves nothing.
    ref = world.plain.list("meshup.dev/v1", "MeshPin", namespace="shop")
    name = next(each for each in ref if each["metadata"]["name"] == first.name)
    status = {"observed": [{"release": "1.0", "pods": 1}, {"release": "2.0", "pods": 1}]}
    world.plain.update_status(ref_of(name), status)
    assert not [each for each in evidence(around, CART, INSTALLED) if first.name in each.why]


def test_a_damaged_journal_is_no_evidence_and_no_obstacle():
    world, around = moved_once("1.5")
    segment = next(
        each
        for each in world.plain.list("v1", "ConfigMap", namespace="meshup-system")
        if each["metadata"]["name"].startswith("run-") and each["metadata"]["name"].endswith("-0000")
    )
    world.plain.merge_patch(ref_of(segment), {"data": {"schema": "of another time"}})
    found = evidence(around, CART, INSTALLED)
    assert found, "the other run still speaks"
    assert len({each.why.partition(":")[0] for each in found if each.judged}) == 1


def test_without_evidence_nothing_is_guessed():
    _, around = onboarded()
    with pytest.raises(UsageError) as refused:
        go(around)
    assert refused.value.code == "MU3407"
    assert "possible now: 1.0, 2.0, none (out of the mesh)" in refused.value.fix
    assert pins(around.cluster) == ()


def test_a_release_that_is_no_longer_supported_is_not_chosen():
    world, around = moved_once("1.5")
    assert apply(around, go(around, to="1.0")).exit == 0
    assert apply(around, go(around, to="2.0")).exit == 0
    assert go(around).release == "1.5"
    for version, state in (("2.0", "supported"), ("1.5", "deprecated"), ("1.0", "supported")):
        release(world, version, state)
    assert go(around).release == "1.0"


@pytest.mark.parametrize(
    ("version", "state", "spec", "code", "why"),
    [
        ("1.0", "blocked", {"note": "leaks"}, "MU3404", "release 1.0 is blocked: leaks"),
        ("1.0", "candidate", {}, "MU3404", "release 1.0 is candidate"),
        ("1.0", "deprecated", {}, "MU3404", "release 1.0 is deprecated"),
        ("1.0", "supported", {"endOfSupport": "2026-11-01T00:00:00Z"}, "MU3404", "out of support since 2026-11-01"),
        ("1.7", "supported", {}, "MU3406", "release 1.0 is not on record; on record are 1.7, 2.0"),
    ],
)
def test_what_is_not_supported_is_refused_with_what_is_possible_now(version, state, spec, code, why):
    world, around = onboarded()
    release(world, "2.0")
    release(world, version, state, **spec)
    for to in ("1.0", "1-0"):
        with pytest.raises(Refused) as refused:
            go(around, to=to)
        assert (refused.value.code, why in refused.value.why) == (code, True), refused.value.why
        assert "possible now: 2.0, none" in refused.value.fix
    assert choices(around, BOOK) == (("2.0", "2-0"), ("none", ""))
    assert pins(around.cluster) == ()


@pytest.mark.parametrize("to", ["", "1.0", "9.9"])
def test_where_no_release_is_possible_out_of_the_mesh_is_named_once_with_its_command(to):
    world, around = onboarded()
    release(world, "1.7")
    with pytest.raises(MeshupError) as refused:
        go(around, to=to)
    fix = refused.value.fix
    assert fix.startswith("meshup rollback shop/cart --to none --reason TEXT --until 7d")
    assert fix.count("none") == 1


def test_the_digest_of_the_release_on_record_is_in_the_pin():
    world, around = onboarded()
    release(world, "2.0")
    release(world, "1.0", digest="sha256:" + "a" * 64)
    assert apply(around, go(around, to="1.0")).exit == 0
    assert [each.to_digest for each in pins(around.cluster)] == ["sha256:" + "a" * 64]


def test_it_is_said_before_the_act_who_may_what_restarts_how_long_and_until_when():
    _, around = onboarded()
    apply(around, go(around, to="1.0"))
    said = [(each.word, each.text) for each in around.watcher.named("Noted")]
    words = [word for word, _ in said]
    assert words[:5] == ["allowed", "target", "restarts", "lasts", "record"], said
    told = dict(said)
    assert told["allowed"].startswith("ana may: all")
    assert told["target"] == "release 1.0 is installed as revision 1-0, and no MeshRelease says whether it is supported"
    assert "Deployment shop/cart, 1 pod" in told["restarts"]
    assert "until 2026-11-09" in told["lasts"]
    assert "never moved silently" in told["lasts"]


def test_what_the_running_proxies_say_is_in_the_record():
    _, around = onboarded()
    apply(around, go(around, to="1.0"))
    apply(around, go(around, "ads", to="none"))
    assert [(each.service, each.observed) for each in pins(around.cluster)] == [
        ("cart", (("1.0", 1),)),
        ("ads", (("", 1),)),
    ]


def test_a_new_pin_to_the_same_release_renews_and_restarts_nothing():
    world, around = onboarded()
    apply(around, go(around, to="1.0"))
    world.clock.jump(6 * 86400.0)
    template = world.plain.get(CART.workload)["spec"]["template"]
    outcome = apply(around, go(around, to="1.0", reason="not mended yet"))
    assert outcome.exit == 0
    assert "renewed until 2026-11-15" in outcome.kept
    assert world.plain.get(CART.workload)["spec"]["template"] == template
    first, second = pins(around.cluster)
    assert (first.phase, second.phase) == ("Closed", "Active")
    assert second.until - first.until >= timedelta(days=6)
    assert second.observed == (("1.0", 1),)


@pytest.mark.parametrize(("to", "restarts"), [("none", True), ("1.0", False)])
def test_the_pin_of_another_is_named_before_it_ends_and_its_record_says_by_whom_and_for_what(to, restarts):
    world = pinned()
    bob = process(world, user="bob")
    plan = go(bob, to=to, reason="not mended")
    (first,) = pins(world.plain)
    (ends,) = [each for each in plan.notes if each.startswith("ends: ")]
    assert f"MeshPin shop/{first.name} of ana, which holds it on 1.0 until 2026-11-09: timeouts" in ends
    assert apply(bob, plan).exit == 0
    said = [each.word for each in bob.watcher.named("Noted")]
    assert said.index("ends") < said.index("record")
    assert "ended" in said
    old, new = pins(world.plain)
    assert (old.phase, old.user, old.closed_by, new.phase) == ("Closed", "ana", "bob", "Active")
    record = world.plain.get(ref_of_pin(old))["status"]
    assert record["message"] == f"ended by MeshPin shop/{new.name}, by which bob went to {to}: not mended"
    assert plan.changed is restarts


def test_a_pin_of_a_workload_that_was_made_anew_does_not_hold_beside_the_next_one():
    world = pinned()
    body = world.plain.get(CART.workload)
    world.plain.delete(CART.workload, uid=body["metadata"]["uid"])
    put(world.plain, [deployment("shop", "cart")])
    world.clock.advance(30.0)
    around = process(world)
    assert apply(around, go(around, to="1.0")).exit == 0
    assert [each.phase for each in pins(world.plain)] == ["Closed", "Active"]


def test_a_clock_that_is_wrong_does_not_make_a_pin_longer_or_older():
    _, around = onboarded()
    ours = around.clock

    class Ahead(ServedClock):
        """This machine's clock is a day ahead of the server's."""

        def now(self):
            return ours.now() + timedelta(days=1)

        def elapsed(self):
            return ours.elapsed()

        def sleep(self, seconds):
            ours.sleep(seconds)

    clock = Ahead()
    clock.hear({"Date": f"{ours.now():%a, %d %b %Y %H:%M:%S GMT}"})
    wrong = replace(around, clock=clock)
    assert apply(wrong, go(wrong, to="1.0")).exit == 0
    (pin,) = pins(around.cluster)
    assert abs(pin.since - pin.created) < timedelta(seconds=10)
    assert pin.until - pin.since == WEEK


@pytest.mark.parametrize("date", ["", "soon", "Mon, 32 Nov 2026 09:00:00 GMT"])
def test_a_date_that_cannot_be_read_leaves_the_own_clock(date):
    clock = ServedClock()
    clock.hear({"date": date} if date else {})
    assert abs(clock.server_now() - clock.now()) < timedelta(seconds=1)


# Ending a pin early.


def process(world, wire=None, user="ana"):
    steps, gates = kinds()
    return session(over(wire or world.server, world.clock, in_flight=1), user=user, steps=steps, gates=gates)


def pinned():
    world, around = onboarded()
    assert apply(around, go(around, to="1.0")).exit == 0
    return world


def test_a_pin_that_is_ended_moves_nothing_and_the_next_plan_does():
    world = pinned()
    around = process(world)
    assert not make_plan(around, BOOK).changed
    done = unpin(around, "cart", reason="mended", namespace="shop", book=BOOK)
    assert done.fresh
    assert done.notes == ("nothing moves now: it stays on 1.0 until the next plan moves it to 2.0",)
    assert world.templates()["cart"]["toy.example/rev"] == "1-0"
    (pin,) = pins(world.plain)
    assert (pin.phase, pin.closed_by) == ("Closed", "ana")
    assert pin.closed_at is not None
    plan = make_plan(around, BOOK)
    assert [each.service for each in plan.changes()] == ["shop/cart"]


def test_the_pins_own_name_ends_it_too_and_a_second_time_writes_nothing():
    world = pinned()
    (pin,) = pins(world.plain)
    assert unpin(process(world), f"shop/{pin.name}", reason="").fresh
    began = len(world.server.log)
    again = unpin(process(world), "shop/cart", reason="")
    assert (again.fresh, again.pin.name) == (False, pin.name)
    assert not [each for each in world.server.log[began:] if each.mutation]


def test_the_pin_of_another_is_named_as_such():
    world = pinned()
    done = unpin(process(world, user="bob"), "shop/cart", reason="", book=BOOK)
    assert "it was the pin of ana: timeouts" in done.notes
    assert done.pin.closed_by == "bob"


@pytest.mark.parametrize("name", ["shop/ads", "bank/cart", "shop/no-such-pin"])
def test_what_is_not_pinned_is_refused_with_what_is(name):
    world = pinned()
    with pytest.raises(Refused) as refused:
        unpin(process(world), name, reason="")
    assert refused.value.code == "MU3408"
    assert ("cart (" in refused.value.why) is name.startswith("shop")


def test_a_rollback_under_way_is_not_ended_half_way():
    world, _ = onboarded()
    killed = Killer(world.server, at=0)
    around = process(world, killed)
    plan = go(around, to="1.0")
    act = next(number for number, each in enumerate(_writes_of(plan), 1) if each.path.endswith("/deployments/cart"))
    doomed = process(world, Killer(world.server, at=act, when="after"))
    with pytest.raises(Killed):
        apply(doomed, go(doomed, to="1.0"))
    with pytest.raises(Refused) as refused:
        unpin(process(world), "shop/cart", reason="")
    assert refused.value.code == "MU3409"
    # The way out that is named is one.
    assert resume_own(process(world), "shop/cart").exit == 0
    assert unpin(process(world), "shop/cart", reason="").fresh


def _writes_of(plan):
    world, _ = onboarded()
    killer = Killer(world.server)
    around = process(world, killer)
    assert apply(around, go(around, to="1.0")).exit == 0
    return killer.writes


def test_a_pin_that_was_never_acted_on_is_ended():
    world, around = onboarded()
    write_pin(around, go(around, to="1.0"))
    assert unpin(process(world), "shop/cart", reason="").fresh
    assert [each.phase for each in pins(world.plain)] == ["Closed"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("how", [Killer, Loser])
def test_killed_or_lost_at_its_write_a_pin_is_ended_once(how, when):
    world = pinned()
    try:
        unpin(process(world, how(world.server, at=1, when=when)), "shop/cart", reason="mended", book=BOOK)
    except (Killed, MeshupError):
        assert how is Killer
    unpin(process(world), "shop/cart", reason="mended", book=BOOK)
    (pin,) = pins(world.plain)
    assert (pin.phase, pin.closed_by) == ("Closed", "ana")
    began = len(world.server.log)
    assert not unpin(process(world), "shop/cart", reason="mended", book=BOOK).fresh
    assert not [each for each in world.server.log[began:] if each.mutation]


# Answers lost around a rollback: the record, its journal, the act and its end.


def writes_of_rollback():
    return len(_writes_of(None))


LOST = [(at, when) for at in range(1, writes_of_rollback() + 1) for when in ("before", "after")]


@pytest.mark.parametrize(("at", "when"), LOST)
def test_whatever_answer_of_a_rollback_is_lost_one_record_is_there_and_the_service_is_where_it_says(at, when):
    world, _ = onboarded()
    around = process(world, Loser(world.server, at=at, when=when))
    try:
        assert apply(around, go(around, to="1.0")).exit == 0
    except MeshupError:
        assert resume_own(process(world), "shop/cart").exit == 0
    (pin,) = pins(world.plain)
    assert (pin.phase, pin.to_release, pin.observed) == ("Active", "1.0", (("1.0", 1),))
    assert world.templates()["cart"]["toy.example/rev"] == "1-0"


@pytest.mark.parametrize(("key", "value"), [("istio-injection", "enabled"), ("istio.io/rev", "1-30-3")])
def test_a_pin_that_the_namespace_would_beat_is_refused_with_the_way_out(key, value):
    shop = corner()
    book = shop.book()
    assert apply(shop.session, shop.plan(book), through="ingress").exit == 0
    space = {"metadata": {"labels": {key: value}}}
    shop.simulation.server.objects.patch("namespaces", "", "shop", space)
    with pytest.raises(Refused) as refused:
        service_plan(shop.session, "shop/cart", to="1.29.4", reason="r", until=WEEK, book=book)
    assert refused.value.code == "MU3403"
    assert f"namespace shop carries {key}={value}, which beats the pod's label" in refused.value.why
    assert f"kubectl label namespace shop {key}-" in refused.value.fix
    assert pins(shop.session.cluster) == ()


@pytest.mark.parametrize(("at", "when"), LOST)
def test_killed_and_killed_again_while_going_on_there_is_one_record_and_it_ends_well(at, when):
    for again, side in ((1, "after"), (2, "before"), (3, "after")):
        world, _ = onboarded()
        doomed = process(world, Killer(world.server, at=at, when=when))
        with pytest.raises(Killed):
            apply(doomed, go(doomed, to="1.0"))
        if not pins(world.plain):
            continue
        with contextlib.suppress(Killed):
            resume_own(process(world, Killer(world.server, at=again, when=side)), "shop/cart")
        assert resume_own(process(world), "shop/cart").exit == 0
        (pin,) = pins(world.plain)
        assert (pin.phase, pin.observed) == ("Active", (("1.0", 1),))
        assert world.templates()["cart"]["toy.example/rev"] == "1-0"
