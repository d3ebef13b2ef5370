"""A release on hold goes no further: plan says so and apply judges it anew before each wave; pins are left alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from bench import session as sitting
from ledgered import NAMES, NEW, OLD, went_back, world
from toymesh import book, gate, kinds

from meshup.cluster.errors import Forbidden
from meshup.engine.execute import apply, resume
from meshup.engine.planfile import parse, text_of
from meshup.engine.planning import make_plan
from meshup.engine.releases import decide, listed
from meshup.engine.reporting import view
from meshup.engine.wait import ask, look
from meshup.gates.gate import Eyes, Terms
from meshup.gates.on_hold import NotOnHold
from meshup.journal.copies import keep_copy
from meshup.journal.home import ensure_home
from meshup.journal.ledger import advance
from meshup.model.events import PlaceEnded
from meshup.model.holds import HoldAt
from meshup.model.objects import dig
from meshup.model.problem import GateHeld
from meshup.model.reporting import report
from meshup.model.runbook import Waiver
from meshup.views.plan import document, text

WAVES = {"wave-1": ["web"], "wave-2": ["cart"], "wave-3": ["pay"]}
BOOK = replace(book(WAVES), holds=HoldAt(users=0))
AWAY = ("ads", "mail")
"""Services of nobody's wave: who goes back with them says something about the release all the same."""


class Then:
    """A watcher that does something once, when a place is done."""

    def __init__(self, place, act):
        self._place, self._act, self.told = place, act, []

    def tell(self, event):
        self.told.append(event)
        if isinstance(event, PlaceEnded) and event.reached.place == self._place and self._act is not None:
            act, self._act = self._act, None
            act()


def gates():
    return {**kinds()[1], NotOnHold.kind: NotOnHold()}


def sit(made, **more):
    """A session that knows the gate."""
    return sitting(made.plain, gates=gates(), **more)


def revision(made, name):
    for each in made.plain.list("apps/v1", "Deployment", namespace="shop"):
        if each["metadata"]["name"] == name:
            return dig(each, "spec", "template", "metadata", "labels", "toy.example/rev")
    return None


def test_every_wave_that_widens_is_asked_and_no_other_stage() -> None:
    plan = make_plan(sit(world(moved=False)), BOOK)
    asked = {
        f"{stage.name}/{wave.name}"
        for stage in plan.stages
        for wave in stage.waves
        if any(each.kind == NotOnHold.kind for each in wave.before)
    }
    assert asked == {"onboard/wave-1", "onboard/wave-2", "onboard/wave-3"}


def test_a_wave_with_nothing_to_move_is_not_asked() -> None:
    made = world(moved=False)
    assert apply(sit(made), make_plan(sit(made), BOOK)).exit == 0
    again = make_plan(sit(made), BOOK)
    assert not any(wave.before for stage in again.stages for wave in stage.waves)


def test_a_gate_of_that_name_in_the_runbook_takes_the_place_of_ours() -> None:
    own = replace(BOOK.stages[-1], before=(gate(NotOnHold.kind),))
    plan = make_plan(sit(world(moved=False)), replace(BOOK, stages=(*BOOK.stages[:-1], own)))
    assert [len(wave.before) for wave in plan.stages[-1].waves] == [1, 1, 1]


def test_a_plan_says_that_the_release_is_on_hold_with_names_reasons_and_waves() -> None:
    made = world(moved=False)
    went_back(made, "ads")
    plan = make_plan(sit(made), BOOK)
    assert plan.held is not None
    assert plan.held.places == ("onboard/wave-1", "onboard/wave-2", "onboard/wave-3")
    shown, written = text(plan, width=120), document(plan)["held"]
    for words in ("on hold: 1 user went back", "owner-ads took shop/ads to 1.0", "timeouts of ads", "onboard/wave-2"):
        assert words in " ".join(shown.split())
    assert (written["release"], written["names"]) == (NEW, list(plan.held.names))
    assert parse(text_of(plan), where="p").held == plan.held


def test_who_went_back_counts_for_the_plan_once_their_namespace_is_gone() -> None:
    made = world(moved=False)
    (pin,) = went_back(made, "ads")
    ensure_home(made.plain)
    assert keep_copy(made.plain, pin) == ""
    before = make_plan(sit(made), BOOK).held
    made.server.objects.delete("meshpins.meshup.dev", "shop", pin.name)
    assert before is not None
    assert make_plan(sit(made), BOOK).held == before


def test_nobody_went_back_and_no_plan_is_held() -> None:
    made = world(moved=False)
    went_back(made, "ads")
    assert make_plan(sit(made), replace(BOOK, holds=HoldAt(users=1))).held is None
    assert make_plan(sit(made), replace(BOOK, holds=HoldAt(users=0))).held is not None


def test_apply_refuses_the_first_wave_that_widens_and_moves_nothing() -> None:
    made = world(moved=False)
    went_back(made, "ads")
    outcome = apply(sit(made), make_plan(sit(made), BOOK))
    assert (outcome.exit, outcome.code, outcome.stopped) == (3, "MU3121", "onboard/wave-1")
    assert any("owner-ads" in line and "timeouts of ads" in line for line in outcome.details)
    assert revision(made, "web") is None
    assert outcome.judgements[-1].judged.verdict.names == outcome.details


def test_apply_judges_anew_before_each_wave_and_leaves_what_is_done() -> None:
    made = world(moved=False)
    around = sit(made, watcher=Then("onboard/wave-1", lambda: went_back(made, "ads")))
    plan = make_plan(around, BOOK)
    assert plan.held is None
    outcome = apply(around, plan)
    assert (outcome.exit, outcome.code, outcome.stopped) == (3, "MU3121", "onboard/wave-2")
    assert [revision(made, name) for name in ("web", "cart", "pay")] == ["2-0", None, None]


def test_a_plan_that_was_held_when_it_was_made_goes_on_once_the_release_may_spread() -> None:
    made = world(moved=False)
    (pin,) = went_back(made, "ads")
    plan = make_plan(sit(made), replace(BOOK, holds=HoldAt(users=0, window_s=60.0)))
    assert plan.held is not None
    assert apply(sit(made), plan).exit == 3
    advance(made.plain, pin, "Closed", by="owner-ads")
    made.clock.advance(61.0)
    assert resume(sit(made)).exit == 0
    assert [revision(made, name) for name in ("web", "cart", "pay")] == ["2-0"] * 3


def test_a_rollback_that_ended_counts_for_as_long_as_the_window_says() -> None:
    made = world(moved=False)
    (pin,) = went_back(made, "ads")
    advance(made.plain, pin, "Closed", by="owner-ads")
    made.clock.advance(5.0)
    assert make_plan(sit(made), replace(BOOK, holds=HoldAt(users=0, window_s=60.0))).held is not None
    assert make_plan(sit(made), replace(BOOK, holds=HoldAt(users=0, window_s=2.0))).held is None


def test_a_blocked_release_goes_no_further_though_nobody_went_back() -> None:
    made = world(moved=False)
    decide(sit(made, user="pia"), "add", NEW, book=BOOK)
    around = sit(made, watcher=Then("onboard/wave-1", lambda: _block(made)))
    outcome = apply(around, make_plan(around, replace(BOOK, holds=HoldAt())))
    assert (outcome.exit, outcome.code, outcome.stopped) == (3, "MU3121", "onboard/wave-2")
    assert "loses connections (pia" in outcome.why
    plan = make_plan(sit(made), replace(BOOK, holds=HoldAt()))
    assert plan.held is not None
    assert "loses connections (pia" in plan.held.because


def _block(made) -> None:
    decide(sit(made, user="pia"), "block", NEW, book=BOOK, reason="loses connections")


def test_another_release_that_is_blocked_or_left_is_no_reason() -> None:
    made = world(moved=False)
    decide(sit(made), "add", OLD, book=BOOK)
    decide(sit(made), "block", OLD, book=BOOK, reason="old")
    assert make_plan(sit(made), BOOK).held is None
    assert apply(sit(made), make_plan(sit(made), BOOK)).exit == 0


@pytest.mark.parametrize("users", [0, 1, 2])
def test_plan_and_apply_agree(users: int) -> None:
    for away in range(3):
        made = world(moved=False)
        went_back(made, *AWAY[:away])
        meant = replace(BOOK, holds=HoldAt(users=users))
        plan = make_plan(sit(made), meant)
        assert (plan.held is not None) == (away > users)
        assert apply(sit(made), plan).exit == (3 if away > users else 0)


def _critical(name: str, *, on: bool = True):
    """The runbook with one service marked critical, its numbers out of reach. on: one critical service holds alone."""
    marked = tuple(replace(each, critical=each.name == name) for each in BOOK.services)
    return replace(BOOK, services=marked, holds=HoldAt(users=9, percent=100.0, critical=on))


@pytest.mark.parametrize("state", ["", "add", "promote"])
@pytest.mark.parametrize("on", [True, False])
def test_plan_apply_releases_promotion_and_report_agree_on_one_critical_service_that_went_back(state, on) -> None:
    made = world(moved=False)
    meant = _critical("cart", on=on)
    for move in {"": (), "add": ("add",), "promote": ("add", "promote")}[state]:
        decide(sit(made, user="pia"), move, NEW, book=meant, reason="all is well")
    went_back(made, "cart")
    held = on and state != "promote"
    words = "critical service shop/cart went back: timeouts of cart (owner-cart)"
    plan = make_plan(sit(made), meant)
    assert (plan.held.because if plan.held is not None else "") == (words if held else "")
    (listed_row,) = [each for each in listed(sit(made), book=meant).releases if each.version == NEW]
    told = report([view(sit(made), book=meant)], now=made.clock.now(), at=meant.hold_at, version=NEW)
    verdicts = (listed_row.verdict, told.releases[0].verdict)
    assert [each.answer == "hold" for each in verdicts] == [held, held]
    assert [each.because == words for each in verdicts] == [held, held]
    if state == "add":
        if held:
            with pytest.raises(GateHeld, match="on hold") as refused:
                decide(sit(made), "promote", NEW, book=meant, reason="all is well")
            assert (refused.value.code, refused.value.why) == ("MU3503", words)
        else:
            assert decide(sit(made), "promote", NEW, book=meant, reason="all is well").wrote
    outcome = apply(sit(made), plan)
    assert (outcome.exit, outcome.code) == ((3, "MU3121") if held else (0, ""))
    if held:
        assert words in outcome.why
        assert outcome.details == ("owner-cart took shop/cart to 1.0 on " + outcome.details[0].split(" on ")[1],)


def test_a_run_that_a_critical_service_held_goes_on_once_its_pin_has_ended() -> None:
    made = world(moved=False)
    pins = []
    around = sit(made, watcher=Then("onboard/wave-2", lambda: pins.extend(went_back(made, "cart"))))
    outcome = apply(around, make_plan(around, _critical("cart")))
    assert (outcome.exit, outcome.code, outcome.stopped) == (3, "MU3121", "onboard/wave-3")
    advance(made.plain, pins[0], "Closed", by="owner-cart")
    assert resume(sit(made)).exit == 0
    assert revision(made, "pay") == "2-0"


def test_a_share_of_the_services_holds_too() -> None:
    made = world()
    went_back(made, "ads", "mail", user="one-owner")
    meant = replace(book({"wave-1": list(NAMES)}), holds=HoldAt(users=9, percent=30.0, least=3))
    reading = look(NotOnHold(), _eyes(made, meant), Terms())
    assert (reading.data["reached"], reading.data["services"]) == (5, [0, 2, 0, 0])
    assert ask(NotOnHold(), [reading], Terms()).answer.word == "fail"
    lenient = look(NotOnHold(), _eyes(made, replace(meant, holds=HoldAt(users=9, percent=40.0, least=3))), Terms())
    assert ask(NotOnHold(), [lenient], Terms()).answer.word == "pass"


def _eyes(made, meant):
    around = sit(made)
    return Eyes(
        cluster=made.plain,
        driver=around.drivers["toy"],
        clock=made.clock,
        book=meant,
        services=(),
        place="onboard/wave-1",
        revision="2-0",
    )


def test_who_may_not_read_the_record_goes_no_further() -> None:
    made = world(moved=False)

    class Closed:
        """A cluster whose pins may not be listed."""

        def __init__(self, inner):
            self._inner = inner

        def __getattr__(self, name):
            return getattr(self._inner, name)

        def list(self, api_version, kind, **more):
            if kind == "MeshPin":
                raise Forbidden("not permitted: list MeshPin", code="MU7101", fix="ask")
            return self._inner.list(api_version, kind, **more)

    with pytest.raises(Forbidden):
        look(NotOnHold(), replace(_eyes(made, BOOK), cluster=Closed(made.plain)), Terms())


def test_a_waiver_written_in_the_runbook_lets_a_wave_go_on() -> None:
    made = world(moved=False)
    went_back(made, "ads")
    until = made.clock.now() + timedelta(days=1)
    waiver = Waiver(gate=NotOnHold.kind, stage="onboard", owner="pia", reason="their old client", until=until)
    plan = make_plan(sit(made), replace(BOOK, waivers=(waiver,)))
    assert plan.held is None
    assert apply(sit(made), plan).exit == 0


def test_that_the_release_may_spread_makes_up_for_no_skipped_gate() -> None:
    made = world(moved=False)
    own = replace(BOOK.stages[-1], before=(gate("says"),))
    until = made.clock.now() + timedelta(days=1)
    waiver = Waiver(gate="says", stage="onboard", owner="pia", reason="broken", until=until)
    plan = make_plan(sit(made), replace(BOOK, stages=(*BOOK.stages[:-1], own), waivers=(waiver,)))
    outcome = apply(sit(made), plan)
    assert (outcome.exit, outcome.stopped) == (3, "onboard/wave-1")
    assert "skips alone" in outcome.why


def test_a_pinned_service_stays_where_its_owner_put_it_while_the_rest_moves_on() -> None:
    made = world(moved=False)
    (pin,) = went_back(made, "cart", lasts=timedelta(seconds=5))
    made.clock.advance(10.0)
    assert pin.until < made.clock.now(), "it is overdue"
    plan = make_plan(sit(made), replace(BOOK, holds=HoldAt(users=5)))
    assert apply(sit(made), plan).exit == 0
    assert [revision(made, name) for name in ("web", "cart", "pay")] == ["2-0", None, "2-0"]
