"""The story of a corner shop, played once on virtual time: each chapter is a value that a screen is made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from meshup.cli.kinds import kinds
from meshup.cli.playing import session_of
from meshup.cli.simulating import programs
from meshup.cli.trying import against
from meshup.engine.approving import approve
from meshup.engine.execute import apply, resume
from meshup.engine.joining import say
from meshup.engine.planfile import sealed
from meshup.engine.planning import plan_from, snapshot_for
from meshup.engine.propose import propose
from meshup.engine.rehearse import rehearse
from meshup.engine.releases import decide, listed
from meshup.engine.reporting import view
from meshup.engine.rollback import service_plan
from meshup.engine.session import Session
from meshup.engine.standing import status
from meshup.engine.taking_back import run_plan, stage_plan
from meshup.engine.unpinning import unpin
from meshup.engine.upgrade import derive
from meshup.journal.enforcement import trusted
from meshup.journal.ledger import pins
from meshup.model.events import Event, Outcome, PlaceEnded
from meshup.model.plan import Plan
from meshup.model.problem import MeshupError
from meshup.model.proposal import Proposal
from meshup.model.release import Move, Moved
from meshup.model.report import View
from meshup.model.reporting import report
from meshup.model.runbook import Runbook
from meshup.runbook import load, write, write_upgrade
from meshup.simulate.scenario import Simulation
from meshup.simulate.scenario import load as scene

CORNER = Path(__file__).with_name("corner.yaml")
FAULT = {"fault": "server-first", "on": "shop/cart"}
APPROVED = "  - name: strict\n    before:\n"
OPTED_IN = 'workload: "CronJob/reports", owner: "", optIn: {by: "dan", at: "2026-11-02T09:00:00Z"}'


@dataclass(slots=True)
class Ear:
    """Hears a run and keeps what it hears. react: called with each event first."""

    events: list[Event] = field(default_factory=list)
    react: Callable[[Event], None] = lambda _: None

    def tell(self, event: Event) -> None:
        self.react(event)
        self.events.append(event)


@dataclass(slots=True)
class Corner:
    """One cluster with its session."""

    simulation: Simulation
    ear: Ear
    session: Session

    def propose(self) -> Proposal:
        return propose(snapshot_for(self.session, self.driver, context="corner"), self.driver)

    @property
    def driver(self) -> Any:
        return self.session.drivers["istio"]

    def book(self, *changes: tuple[str, str]) -> Runbook:
        """The runbook that init writes, edited as a person would."""
        text = write.text(self.propose())
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        loaded = load.load(text.encode(), name="meshup.yaml", kinds=kinds())
        assert loaded.runbook is not None, loaded.problems
        return loaded.runbook

    def plan(self, book: Runbook) -> Plan:
        return plan_from(self.session, book, snapshot_for(self.session, self.driver, context="corner"), self.driver)

    def ran(self, perform: Callable[[], Outcome]) -> tuple[Outcome, list[Event]]:
        """Perform and give the outcome with what was heard of it."""
        self.ear.events.clear()
        outcome = perform()
        return outcome, list(self.ear.events)


def corner(*faults: dict[str, Any]) -> Corner:
    """A fresh cluster. The context's name is the scenario's."""
    simulation = scene(str(CORNER), programs=programs())
    for each in faults:
        simulation.world.inject(each)
    ear = Ear()
    return Corner(simulation, ear, session_of(simulation, ear))


def stopped(action: Callable[[], object]) -> MeshupError:
    """Give the error that an action ends with."""
    try:
        action()
    except MeshupError as error:
        return error
    raise AssertionError("nothing was refused")


def scene_of() -> Simulation:
    """The same cluster with nothing wrong in it."""
    return corner().simulation


@cache
def chapters() -> dict[str, Any]:
    """Play the whole story once."""
    told: dict[str, Any] = {}
    shop = corner(FAULT)
    told["init"] = shop.propose()
    book = shop.book()
    plan = told["plan"] = shop.plan(book)
    told["exit-4"], told["events-4"] = shop.ran(lambda: apply(shop.session, plan, through="onboard"))
    told["status-4"] = status(shop.session, book=book, context="corner")
    told["stage-back"] = stage_plan(shop.session, "onboard", context="corner")
    shop.simulation.world.mend("server-first:shop/cart")
    told["through"], told["events-through"] = shop.ran(lambda: resume(shop.session))
    told["status-through"] = status(shop.session, book=book, context="corner")
    told["again"], _ = shop.ran(lambda: resume(shop.session))
    told["exit-3"], told["events-3"] = shop.ran(lambda: apply(shop.session, plan))
    told["status-3"] = status(shop.session, book=book, context="corner")

    until = timedelta(days=7)
    back = told["rollback-plan"] = service_plan(
        shop.session,
        "cart",
        to="1.29.4",
        reason="timeouts to ledger",
        until=until,
        book=book,
        context="corner",
        nonce="story",
    )
    told["rollback"], told["events-rollback"] = shop.ran(lambda: apply(shop.session, back))
    # The same changes reviewed as another plan: what the first one made moved since that was taken.
    reviewed = sealed(replace(plan, notes=("reviewed before the run", *plan.notes)))
    told["exit-6"] = stopped(lambda: apply(shop.session, reviewed))
    now = shop.session.clock.now()
    every = trusted(shop.session.cluster, pins(shop.session.cluster))
    told["pins"] = every, now
    told["pins-late"] = every, now + timedelta(days=8)
    seen = view(shop.session, book=book, context="corner")
    later, gone = now + timedelta(days=8), View(names=frozenset({"prod-us"}), cluster="", why="no answer in 5 s")
    told["report"] = report([seen], now=now, at=book.holds)
    told["report-of-one"] = report([seen], now=now, at=replace(book.holds, users=0), version="1.30.3")
    told["report-of-several"] = report([seen, gone], now=later, at=replace(book.holds, users=0))
    told["run-back"] = run_plan(shop.session, context="corner")
    told["ran-back"], _ = shop.ran(lambda: apply(shop.session, told["run-back"]))
    told["status-back"] = status(shop.session, book=book, context="corner")
    told["after-rollback"], _ = shop.ran(lambda: resume(shop.session))
    told |= _decisions(shop, book)

    told["unpin"] = unpin(shop.session, "shop/cart", reason="mended", book=book)
    told["unpin-again"] = unpin(shop.session, "shop/cart", reason="mended", book=book)

    told |= _approval() | _endings() | _owners() | _upgrade()
    played = corner(FAULT)
    told["rehearsal"] = rehearse(played.session, book, requests=lambda: 1234)
    caught, missed = corner(), corner()
    bad = {"fault": "bad-release", "on": "1.30.3", "bad": "slow", "name": "bad"}
    caught.simulation.world.inject(bad)
    told["rehearsal-caught"] = rehearse(
        caught.session, book, requests=lambda: 1234, against=against(caught.simulation, book, scene_of, through="")
    )
    missed.simulation.world.inject({**bad, "bad": "late", "after": 1800})
    told["rehearsal-missed"] = rehearse(
        missed.session, book, requests=lambda: 1234, against=against(missed.simulation, book, scene_of, through="")
    )
    told["plan-ledger"] = _of_the_first(corner())
    return told | _critical()


def _decisions(shop: Corner, book: Runbook) -> dict[str, Any]:
    """What the platform owner decides of releases, and sees of them."""
    told: dict[str, Any] = {}
    owner = replace(shop.session, identity=replace(shop.session.identity, user="pia@shop.example"))
    ends = datetime(2027, 4, 30, 23, 59, 59, tzinfo=UTC)

    def decided(move: Move, version: str, reason: str = "", **more: Any) -> Moved:
        return decide(owner, move, version, reason=reason, book=book, **more)

    told["release-added"] = decided("add", "1.29.4")
    told["release-promoted"] = decided("promote", "1.29.4", "ran for a year", ends=ends)
    told["release-again"] = decided("promote", "1.29.4", "ran for a year", ends=ends)
    decided("add", "1.30.3", issues=("drops idle connections of HTTP/1.0 clients after a reload of its configuration",))
    told["release-blocked"] = decided("block", "1.30.3", "too many went back")
    told["release-refused"] = stopped(lambda: decided("promote", "1.30.3", "all is well"))
    told["releases"] = listed(owner, book=book, context="corner")
    told["plan-held"] = shop.plan(book)
    told["exit-held"], _ = shop.ran(lambda: apply(shop.session, told["plan-held"]))
    return told


def _critical() -> dict[str, Any]:
    """One critical service is back from a release that nobody supports yet, and another one would move."""
    shop = corner()
    book = shop.book()
    marked = tuple(replace(each, critical=each.critical or each.id == "shop/cart") for each in book.services)
    shop.ran(lambda: apply(shop.session, shop.plan(book), through="onboard"))
    wish = {"to": "1.29.4", "reason": "timeouts to ledger", "until": timedelta(days=7), "nonce": "story"}
    back = service_plan(shop.session, "cart", **wish, book=book, context="corner")
    shop.ran(lambda: apply(shop.session, back))
    shop.ran(lambda: apply(shop.session, run_plan(shop.session, context="corner")))
    meant = replace(book, services=marked)
    return {
        "plan-held-critical": shop.plan(meant),
        "releases-critical": listed(shop.session, book=meant, context="corner"),
    }


def _approval() -> dict[str, Any]:
    """A stage that waits for a second person, a client that joins, and a runbook that is done."""
    told: dict[str, Any] = {}
    shop = corner()
    opted = ('workload: "CronJob/reports", owner: ""', OPTED_IN)
    wave = ("      - shop/cart\n", "      - shop/cart\n      - data/reports\n")
    asked = (APPROVED, APPROVED + "      - {approval: {}}\n")
    book = shop.book(opted, wave, asked)
    plan = shop.plan(book)
    told["exit-5"], _ = shop.ran(lambda: apply(shop.session, plan))
    told["armed-5"] = list(shop.simulation.server.objects.list("jobs.batch", "meshup-system"))
    told["status-5"] = status(shop.session, book=book, context="corner")
    told["self-approval"] = stopped(lambda: approve(shop.session, "strict", plan=plan, lasts=timedelta(hours=24)))
    second = replace(shop.session, identity=replace(shop.session.identity, user="ben"))
    told["approved"] = approve(second, "strict", plan=plan, lasts=timedelta(hours=24))
    told["done"], told["events-done"] = shop.ran(lambda: resume(shop.session))
    told["status-done"] = status(shop.session, book=book, context="corner")
    told["plan-done"] = shop.plan(book)
    told["nothing"], _ = shop.ran(lambda: apply(shop.session, told["plan-done"]))
    return told


def _upgrade() -> dict[str, Any]:
    """The mesh moves to another release: the critical service first, and one that a pin holds not at all."""
    told: dict[str, Any] = {}
    shop = corner()
    book = shop.book()
    shop.ran(lambda: apply(shop.session, shop.plan(book), through="onboard"))
    wish = {"to": "1.29.4", "reason": "timeouts to ledger", "until": timedelta(days=7), "nonce": "story"}
    held = service_plan(shop.session, "cart", **wish, book=book, context="corner")
    shop.ran(lambda: apply(shop.session, held))
    seen = snapshot_for(shop.session, shop.driver, context="corner")
    found = told["upgrade"] = derive(book, seen, shop.driver, to="1.31.0", soak_s=3600.0, keep_s=86400.0)
    told["upgrade-text"] = write_upgrade.text(found, kinds())
    loaded = load.load(told["upgrade-text"].encode(), name="meshup-1.31.0.yaml", kinds=kinds())
    assert loaded.runbook is not None, loaded.problems
    told["upgrade-plan"] = shop.plan(loaded.runbook)
    told["upgrade-too-far"] = stopped(
        lambda: derive(
            replace(book, mesh=replace(book.mesh, release="1.29.4", revision="1-29-4")),
            seen,
            shop.driver,
            to="1.31.0",
            soak_s=0.0,
            keep_s=0.0,
        )
    )
    return told


def _owners() -> dict[str, Any]:
    """What owners say about joining, and what a plan and status make of it."""
    told: dict[str, Any] = {}
    shop = corner()
    book = shop.book()
    day = datetime(2026, 12, 1, 9, tzinfo=UTC)
    told["opt-in"] = say(
        shop.session, "cart", joins=True, wave="wave-2", not_before=day, reason="after the sale", book=book
    )
    told["opt-in-again"] = say(shop.session, "cart", joins=True, wave="wave-2", not_before=day, book=book)
    told["opt-out"] = say(shop.session, "web", joins=False, reason="black friday", book=book)
    told["plan-opted"] = shop.plan(book)
    told["status-opted"] = status(shop.session, book=book, context="corner")
    return told


def _of_the_first(shop: Corner) -> Plan:
    """Plan the first stage of a runbook that installs the ledger in it."""
    asked = "    gates:\n      - {preflight: {}}\n"
    step = "    steps:\n      - install-ledger: {}\n    gates:\n      - {ledger-enforced: {}}\n"
    book = shop.book(
        (f"  - name: preflight\n{asked}", f"  - name: preflight\n{asked.replace('gates', 'before')}{step}")
    )
    return shop.plan(replace(book, stages=book.stages[:1]))


def _endings() -> dict[str, Any]:
    """The stops that need a cluster of their own."""
    told: dict[str, Any] = {}
    slow = corner({"fault": "slow-pods", "on": "shop/cart"})
    plan = slow.plan(slow.book())
    told["exit-8"], _ = slow.ran(lambda: apply(replace(slow.session, wait_s=20.0), plan))

    wrong = corner(FAULT)

    def lose_the_image(event: Event) -> None:
        if isinstance(event, PlaceEnded) and event.reached.how == "undoing":
            wrong.simulation.world.inject({"fault": "image", "on": "shop/cart"})

    wrong.ear.react = lose_the_image
    plan = wrong.plan(wrong.book())
    told["exit-9"], _ = wrong.ran(lambda: apply(wrong.session, plan))

    cut = corner()
    plan = cut.plan(cut.book())
    told["exit-130"], _ = cut.ran(lambda: apply(replace(cut.session, interrupted=lambda: _has_begun(cut.ear)), plan))
    return told


def _has_begun(ear: Ear) -> bool:
    return any(getattr(each, "place", "") == "onboard/wave-1" for each in ear.events)
