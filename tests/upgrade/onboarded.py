"""The shop in memory after its onboarding, and what an upgrade of it comes to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from killing import Killer

from meshup.cli.kinds import kinds
from meshup.cli.playing import proposed, session_of
from meshup.cli.simulating import programs
from meshup.cluster.connect import over
from meshup.engine.execute import apply
from meshup.engine.planning import plan_from, snapshot_for
from meshup.engine.releases import decide
from meshup.engine.rollback import service_plan
from meshup.engine.running import running
from meshup.engine.session import Session
from meshup.engine.upgrade import derive
from meshup.journal.definitions import definition
from meshup.model.events import Event, Outcome, PlaceEnded
from meshup.model.plan import Plan
from meshup.model.runbook import Runbook
from meshup.model.snapshot import Snapshot
from meshup.model.upgrade import Upgrade
from meshup.runbook import load, write_upgrade
from meshup.simulate.scenario import Simulation
from meshup.simulate.scenario import load as scene

OLD, NEW, OLDER = "1.30.3", "1.31.0", "1.29.4"


class Order:
    """Hears a run and keeps the places that ended, in order."""

    def __init__(self) -> None:
        self.places: list[tuple[str, str]] = []

    def tell(self, event: Event) -> None:
        if isinstance(event, PlaceEnded):
            self.places.append((event.reached.place, event.reached.how))


@dataclass(slots=True)
class Onboarded:
    """A cluster in which the mesh is at OLD. book: the runbook that brought it there."""

    simulation: Simulation
    session: Session
    order: Order
    book: Runbook

    @property
    def driver(self) -> Any:
        return self.session.drivers["istio"]

    def seen(self) -> Snapshot:
        return snapshot_for(self.session, self.driver)

    def derive(self, to: str = NEW, **more: Any) -> Upgrade:
        wanted = {"soak_s": 60.0, "keep_s": 120.0, **more}
        return derive(
            more.pop("book", self.book),
            self.seen(),
            self.driver,
            to=to,
            **{k: v for k, v in wanted.items() if k != "book"},
        )

    def written(self, to: str = NEW, **more: Any) -> Runbook:
        """The runbook as it is once it was written and read."""
        loaded = load.load(write_upgrade.text(self.derive(to, **more), kinds()).encode(), name="up.yaml", kinds=kinds())
        assert [each for each in loaded.problems if each.severity == "error"] == []
        assert loaded.runbook is not None
        return loaded.runbook

    def plan(self, book: Runbook) -> Plan:
        return plan_from(self.session, book, self.seen(), self.driver)

    def apply(self, book: Runbook, *, through: str = "") -> Outcome:
        return apply(self.session, self.plan(book), through=through)

    def runs(self) -> dict[str, tuple[str, ...]]:
        """Service in a wave -> the releases of its pods; "" = no proxy."""
        members = {name for wave in self.book.waves for name in wave.services}
        found = running((each for each in self.book.services if each.id in members), self.seen(), self.driver)
        return {f"{each.namespace}/{each.service}": tuple(name for name, _ in each.releases) for each in found}

    def pin(self, service: str, *, to: str = OLDER) -> None:
        """Let an owner take a service back to a release that the platform owner supports."""
        if decide(self.session, "add", to, book=self.book).release.state == "candidate":
            decide(self.session, "promote", to, book=self.book, reason="ran for a year")
        back = service_plan(
            self.session, service, to=to, reason="timeouts", until=timedelta(days=7), book=self.book, nonce=service
        )
        assert apply(self.session, back).exit == 0


def as_it_is(book: Runbook) -> Runbook:
    return book


def onboarded(
    scenario: str = "shop", *, ledger: bool = True, but: Callable[[Runbook], Runbook] = as_it_is
) -> Onboarded:
    """Build the cluster and bring it to OLD. ledger: the definitions of pins and releases are installed first.

    but: what the runbook has otherwise than the proposed one.
    """
    simulation = scene(scenario, programs=programs())
    order = Order()
    session = session_of(simulation, order)
    if ledger:
        for name in ("meshpins", "meshreleases", "optins"):
            session.cluster.apply(definition(name), manager="kubectl")
        simulation.clock.advance(5.0)
    book = but(proposed(session))
    assert book.mesh.release == OLD
    made = Onboarded(simulation, session, order, book)
    assert made.apply(book, through="onboard").exit == 0
    order.places.clear()
    return made


def door(made: Onboarded, *, at: int = 0, when: str = "before") -> tuple[Session, Killer]:
    """A process of its own that dies at a write."""
    killer = Killer(made.simulation.server, at=at, when=when)
    cluster = over(killer, made.simulation.clock, in_flight=1)
    holder = replace(made.session.holder, pid=made.session.holder.pid + 1, host="another")
    return replace(made.session, cluster=cluster, fenced=cluster.fenced, holder=holder), killer


def critical(book: Runbook) -> set[str]:
    return {each.id for each in book.services if each.critical and each.opt_in is not None}


def bare(book: Runbook) -> Runbook:
    """A runbook without the file it stands in."""

    def gates(several: Any) -> Any:
        return tuple(replace(each, at=None, params={**each.params}) for each in several)

    return replace(
        book,
        path="",
        digest="",
        services=tuple(replace(each, at=None) for each in book.services),
        waves=tuple(replace(each, at=None) for each in book.waves),
        waivers=tuple(replace(each, at=None) for each in book.waivers),
        stages=tuple(
            replace(each, at=None, steps=gates(each.steps), gates=gates(each.gates), before=gates(each.before))
            for each in book.stages
        ),
    )
