"""Run against self-service rollback, and owner against owner: frozen at any write while the other goes through."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bench import put
from bench import session as sitting
from killing import Killed, Killer, _writes
from rolling import Rolling
from test_service import BOOK, NAMES, WEEK, old_plane
from toymesh import HOME, REV, gate, kinds

from meshup.cluster.connect import over
from meshup.engine.execute import apply, resume
from meshup.engine.handover import await_yield
from meshup.engine.history import newest_run
from meshup.engine.own_way_back import resume_own
from meshup.engine.pinning import write_pin
from meshup.engine.planning import make_plan
from meshup.engine.rollback import service_plan
from meshup.engine.taking_back import run_plan
from meshup.engine.wait import Pause
from meshup.journal.ledger import pins
from meshup.model.change import Delete
from meshup.model.objects import Ref, ref_of
from meshup.model.problem import MeshupError, Refused
from meshup.model.runbook import Pacing, Stage, StepSpec
from meshup.steps.step import Draft, Drafted

SERVICE = "shop/cart"
INTENTS = 4
"""Of a run that goes on with wave-2, the number of the write that stores its intents."""


class Frozen:
    """A transport whose owner is frozen at one write, before or after its effect, while `meanwhile` is called."""

    def __init__(self, inner, meanwhile, *, at=0, when="before"):
        self._inner, self._meanwhile, self.at, self.when = inner, meanwhile, at, when
        self.writes = []

    def send(self, request):
        if not _writes(request):
            return self._inner.send(request)
        self.writes.append(request)
        here = len(self.writes) == self.at
        if here and self.when == "before":
            self._meanwhile()
        answer = self._inner.send(request)
        if here and self.when == "after":
            self._meanwhile()
        return answer


def world_before():
    """Give a world with an old plane, the new one installed, and no service moved yet."""
    world = Rolling(NAMES)
    put(world.plain, old_plane())
    around = world.session()
    plan = make_plan(around, BOOK)
    assert apply(around, plan, through="ingress").exit == 0
    return world, plan


def process(world, meanwhile=lambda: None, *, at=0, when="before", user="ana", **more):
    wire = Frozen(world.server, meanwhile, at=at, when=when)
    steps, gates = kinds()
    more.setdefault("gates", gates)
    return sitting(over(wire, world.clock, in_flight=1), user=user, steps=steps, **more), wire


def wish(around, to="1.0", reason="timeouts"):
    return service_plan(around, SERVICE, to=to, reason=reason, until=WEEK, book=BOOK)


def go_back(world, to="1.0", **more):
    around, _ = process(world, **more)
    return apply(around, wish(around, to))


def finish(around, plan):
    """Apply; a run that was stopped for nothing but time is gone on with."""
    outcome = apply(around, plan)
    assert outcome.exit == 0, (outcome.why, outcome.code)
    return outcome


def writes_of_run():
    world, plan = world_before()
    around, wire = process(world)
    finish(around, plan)
    return len(wire.writes)


def writes_of_owner():
    world, plan = world_before()
    finish(world.session(), plan)
    around, wire = process(world)
    assert apply(around, wish(around)).exit == 0
    return len(wire.writes)


RUN_POINTS = [(at, when) for at in range(1, writes_of_run() + 1) for when in ("before", "after")]
OWNER_POINTS = [(at, when) for at in range(1, writes_of_owner() + 1) for when in ("before", "after")]


def settled(world, *, to="1-0"):
    """The service is where its owner wants it, the others where the run wants them, and one pin says so."""
    world.clock.advance(30.0)
    found = {name: labels.get(REV) for name, labels in world.templates().items()}
    assert found == {"web": "2-0", "cart": to, "ads": "2-0"}
    active = [each for each in pins(world.plain) if each.phase in ("Active", "Requested")]
    assert [(each.service, each.to_revision, each.phase) for each in active] == [("cart", to, "Active")]


@pytest.mark.parametrize(("at", "when"), RUN_POINTS)
def test_an_owner_goes_through_while_the_run_is_frozen_at_any_write(at, when):
    world, plan = world_before()
    outcomes = []
    around, _ = process(world, lambda: outcomes.append(go_back(world)), at=at, when=when)
    finish(around, plan)
    assert [each.exit for each in outcomes] == [0], [each.why for each in outcomes]
    settled(world)
    assert resume(world.session()).exit == 0


@pytest.mark.parametrize(("at", "when"), OWNER_POINTS)
def test_a_run_goes_through_while_the_owner_is_frozen_at_any_write(at, when):
    world, plan = world_before()
    assert apply(world.session(), plan, through="onboard/wave-1").exit == 0
    exits = []
    owner, _ = process(world, lambda: exits.append(finish(world.session(), plan).exit), at=at, when=when)
    # Its pods are on no release yet, so the wish moves them.
    outcome = apply(owner, wish(owner))
    if not exits:
        finish(world.session(), plan)
    assert outcome.exit == 0, outcome.why
    settled(world)


@pytest.mark.parametrize(("at", "when"), OWNER_POINTS)
def test_an_owner_killed_at_any_write_goes_on_with_the_pin_alone(at, when):
    world, plan = world_before()
    finish(world.session(), plan)
    steps, gates = kinds()
    doomed = sitting(over(Killer(world.server, at=at, when=when), world.clock, in_flight=1), steps=steps, gates=gates)
    with pytest.raises(Killed):
        apply(doomed, wish(doomed))
    around = world.session(user="bob")
    try:
        outcome = resume_own(around, SERVICE)
    except Refused as none:
        assert none.code == "MU2305"
        assert pins(around.cluster) == ()
        return
    assert outcome.exit == 0, outcome.why
    settled(world)
    (pin,) = pins(around.cluster)
    assert pin.user == "ana"
    again, wire = process(world)
    assert resume_own(again, SERVICE).exit == 0
    assert wire.writes == []


@pytest.mark.parametrize(("at", "when"), OWNER_POINTS)
def test_of_two_owners_one_wins_and_the_other_is_refused(at, when):
    world, plan = world_before()
    finish(world.session(), plan)
    second = []

    def other():
        try:
            second.append(go_back(world, to="none", user="bob").exit)
        except MeshupError as refused:
            second.append(int(refused.exit))

    around, _ = process(world, other, at=at, when=when)
    try:
        first = apply(around, wish(around)).exit
    except MeshupError as refused:
        first = int(refused.exit)
    assert sorted([first, *second]) in ([0, 6], [0, 0])
    world.clock.advance(30.0)
    (active,) = [each for each in pins(world.plain) if each.phase in ("Active", "Requested")]
    assert (active.phase, active.to_revision or None) == ("Active", world.templates()["cart"].get(REV))
    if first == 6:
        assert active.user == "bob"
        assert {each.phase for each in pins(world.plain) if each.user == "ana"} <= {"Closed", "Failed"}


def flag(world, **more):
    """Record a pin on cart, as an owner does before anything else; give it as it is stored."""
    around, _ = process(world, **more)
    return write_pin(around, wish(around))


def state_of(world):
    found = newest_run(world.session())
    return found[0]


def test_what_a_run_leaves_alone_is_recorded_with_the_pin_and_no_gate_is_asked_about_it():
    world, plan = world_before()
    assert apply(world.session(), plan, through="onboard/wave-1").exit == 0
    pin = flag(world)
    outcome = finish(world.session(), plan)
    state = state_of(world)
    left = state.left["onboard/wave-2", "shop/cart"]
    assert (left.pin, left.why) == (f"shop/{pin.name}", "ana pinned it to 1.0 until 2026-11-09: timeouts")
    asked = {each.judged.gate: each.judged.readings[-1].data for each in outcome.judgements}
    assert asked["onboard/wave-2/says"]["services"] == ["shop/ads"]
    assert state.open == ()


def test_a_wave_that_all_owners_took_out_is_done_without_a_verdict():
    world, plan = world_before()
    assert apply(world.session(), plan, through="onboard/wave-1").exit == 0
    for each in ("cart", "ads"):
        around = world.session()
        write_pin(around, service_plan(around, each, to="1.0", reason="r", until=WEEK, book=BOOK))
    outcome = finish(world.session(), plan)
    assert dict(outcome.places)["onboard/wave-2"] == "done"
    assert not [each for each in outcome.judgements if each.place == "onboard/wave-2"]


def test_the_way_back_of_a_wave_leaves_alone_what_its_owner_took():
    world, plan = world_before()
    assert apply(world.session(), plan, through="onboard/wave-1").exit == 0
    _, gates = kinds()
    gates["says"].script = {"onboard/wave-2": ["unknown", "unknown", "fail"], "*": ["pass"]}
    around = world.session(gates=gates, watcher=OnEvent("GateAnswered", lambda: go_back(world), at=2))
    outcome = apply(around, plan)
    assert outcome.exit == 4, outcome.why
    templates = world.templates()
    assert (templates["cart"].get(REV), templates["ads"].get(REV), templates["web"][REV]) == ("1-0", None, "2-0")


class OnEvent:
    """A watcher that does something once, at the event of a kind of that number."""

    def __init__(self, kind, do, *, at=1):
        self.kind, self.do, self.left = kind, do, at
        self.events = []

    def tell(self, event):
        self.events.append(event)
        if type(event).__name__ == self.kind:
            self.left -= 1
            if self.left == 0:
                self.do()


def test_a_service_that_does_not_come_up_because_its_owner_moves_it_stops_no_wave():
    world, plan = world_before()
    assert apply(world.session(), plan, through="onboard/wave-1").exit == 0
    world.takes_s = 40.0
    world.stuck.add("cart")

    def take_it():
        world.clock.call_later(20.0, lambda: flag(world))

    outcome = apply(world.session(watcher=OnEvent("PlaceStarted", take_it)), plan)
    assert outcome.exit == 0, outcome.why
    assert state_of(world).left["onboard/wave-2", "shop/cart"]


def test_an_owner_waits_for_what_has_begun_and_shows_it():
    world, plan = world_before()
    assert apply(world.session(), plan, through="onboard/wave-1").exit == 0
    seen = {}

    def owner():
        around, _ = process(world)
        pin = write_pin(around, wish(around))
        began = world.clock.elapsed()
        seen["run"] = await_yield(around, pin, pause=Pause(around, beat=lambda: None, next_command=""))
        seen["took"], seen["waits"] = world.clock.elapsed() - began, around.watcher.named("Waits")

    around, _ = process(world, owner, at=INTENTS, when="after")
    finish(around, plan)
    assert seen["run"] == state_of(world).run
    assert 30.0 <= seen["took"] <= 32.0
    first = seen["waits"][0]
    assert (first.object, first.limit_s, first.elapsed_s) == ("Deployment shop/cart", 30.0, 0.0)
    assert seen["run"] in first.because


def test_a_run_that_waits_lets_go_of_what_it_wrote_ahead_within_thirty_seconds():
    world = Rolling(NAMES)
    put(world.plain, old_plane())
    slow = make_plan(world.session(), replace(BOOK, pacing=Pacing(in_flight=1), waves=(ALL,), stages=ONE_WAVE))
    assert apply(world.session(), slow, through="ingress").exit == 0
    world.takes_s = 90.0
    times = {}

    def look():
        begun = any(each.service == SERVICE for each in state_of(world).open)
        if begun and "asked" not in times:
            flag(world)
            times["asked"] = world.clock.elapsed()
        elif "asked" in times and not begun:
            times.setdefault("yielded", world.clock.elapsed())

    world.clock.every(1.0, look)
    finish(world.session(), slow)
    assert times["yielded"] - times["asked"] <= 30.0


ALL = replace(BOOK.waves[0], name="all", services=("shop/web", "shop/cart", "shop/ads"))
ONE_WAVE = tuple(replace(each, waves=("all",)) if each.waves else each for each in BOOK.stages)


class Drop:
    """Takes the old plane away, as minimise does."""

    kind, title, needs, params = "drop", "the old plane is gone", frozenset(), {}

    def draft(self, scope):
        found = [each for each in scope.snapshot.of("Deployment", HOME) if each["metadata"]["name"] == "plane-1-0"]
        drafts = [
            Draft(change=Delete(on=ref_of(each), uid=each["metadata"]["uid"], before=each), step=self.kind, summary="x")
            for each in found
        ]
        return Drafted(drafts=tuple(drafts))


@pytest.mark.parametrize("kept", [True, False])
def test_a_revision_that_a_pin_asks_for_after_the_plan_is_not_taken_away(kept):
    world = Rolling(NAMES)
    planes = old_plane()
    planes[1]["metadata"]["labels"]["meshup.dev/managed-by"] = "meshup"
    put(world.plain, planes)
    steps, _ = kinds()
    steps["drop"] = Drop()
    last = Stage(name="minimise", steps=(StepSpec(kind="drop", params={}),), gates=(gate("says"),))
    around = replace(world.session(), steps=steps)
    plan = make_plan(around, replace(BOOK, stages=(*BOOK.stages, last)))
    assert apply(around, plan, through="onboard").exit == 0
    if kept:
        flag(world)
    assert apply(around, plan).exit == 0
    there = world.plain.find(Ref(api_version="apps/v1", kind="Deployment", namespace=HOME, name="plane-1-0"))
    assert (there is not None) == kept
    left = state_of(world).left.get(("minimise", ""))
    assert (left is not None) == kept


def test_a_run_is_taken_back_around_a_pinned_service():
    world, plan = world_before()
    finish(world.session(), plan)
    assert go_back(world).exit == 0
    around = world.session()
    back = run_plan(around)
    assert back.blocked == ()
    assert any(each.startswith("shop/cart is left where it is: ana pinned it to 1.0") for each in back.notes)
    assert apply(around, back).exit == 0
    assert {name: labels.get(REV) for name, labels in world.templates().items()} == {
        "web": None,
        "cart": "1-0",
        "ads": None,
    }


def test_an_owner_who_pins_while_a_run_is_taken_back_keeps_their_service():
    for at in range(1, 40):
        world, plan = world_before()
        finish(world.session(), plan)
        outcomes = []
        around, wire = process(world, lambda: outcomes.append(go_back(world).exit), at=at)
        outcome = apply(around, run_plan(around))
        if not outcomes:
            assert at > 10
            return
        assert (outcome.exit, outcomes) == (0, [0]), (at, outcome.why)
        assert world.templates()["cart"].get(REV) == "1-0", (at, wire.writes[at - 1].path)


def test_a_saved_plan_is_not_stale_because_an_owner_took_their_service_since():
    world, plan = world_before()
    assert apply(world.session(), plan, through="onboard/wave-1").exit == 0
    assert go_back(world).exit == 0
    again = make_plan(world.session(), BOOK)
    assert any(each.startswith("shop/cart is left out: ana pinned it to 1.0") for each in again.notes)
    outcome = finish(world.session(), plan)
    assert dict(outcome.places)["onboard/wave-2"] == "done"
    settled(world)
    assert apply(world.session(), plan).kept.endswith("performed the plan already")
