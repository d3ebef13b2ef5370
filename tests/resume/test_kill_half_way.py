"""Killed at any write of a wave that is held half-way, one resume moves it whole or the way back leads to the first state."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import pytest
import yaml
from halfway import SCENARIO, book
from killing import Killed, Killer

from meshup.cli.kinds import kinds
from meshup.cli.playing import session_of
from meshup.cluster.connect import over
from meshup.engine.execute import apply, resume
from meshup.engine.planning import driver_of, plan_from, snapshot_for
from meshup.engine.rehearse import differences
from meshup.engine.session import Silence
from meshup.engine.taking_back import run_plan
from meshup.model.problem import Refused
from meshup.runbook.load import load
from meshup.simulate.scenario import load as scene

QUICK = {"metrics": ["errors"], "smallest-rise": 0.05, "watch": "30s", "patience": {"limit": "10m", "every": "20s"}}


class World:
    """A cluster of two releases, and the plan that moves cart and store, both held half-way."""

    def __init__(self, folder):
        path = folder / "world.yaml"
        path.write_text(yaml.safe_dump({**SCENARIO, "settle": 300}))
        self.simulation = scene(str(path))
        self.session = session_of(self.simulation, Silence())
        loaded = load(
            json.dumps(book("cart", "store", enrol={"hold": True}, **QUICK), indent=1).encode(),
            name="book",
            kinds=kinds(),
        )
        assert loaded.runbook is not None, loaded.problems
        driver = driver_of(self.session, loaded.runbook)
        self.first = snapshot_for(self.session, driver)
        self.plan = plan_from(
            self.session, replace(loaded.runbook, cluster_uid=self.first.cluster_uid), self.first, driver
        )
        self.driver = driver

    def through(self, at, when):
        """A session whose process dies at a write."""
        killer = Killer(self.simulation.server, at=at, when=when)
        cluster = over(killer, self.simulation.clock, in_flight=1)
        identity = cluster.whoami()
        return replace(self.session, cluster=cluster, identity=identity, fenced=cluster.fenced), killer

    def specs(self):
        """The workloads as they are."""
        objects = self.simulation.server.objects
        found = (objects.get("deployments.apps", "shop", "cart"), objects.get("statefulsets.apps", "shop", "store"))
        return [each["spec"] for each in found]

    def left(self):
        """What differs from the first state."""
        return differences(self.first, snapshot_for(self.session, self.driver))


@cache
def undisturbed(folder):
    world = World(folder)
    session, killer = world.through(0, "before")
    outcome = apply(session, world.plan)
    assert outcome.exit == 0, outcome.why
    renewals = [number for number, each in enumerate(killer.writes, 1) if "/leases/" in each.path]
    points = [number for number in range(1, len(killer.writes) + 1) if number not in renewals]
    return tuple(points), world.specs()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return undisturbed(tmp_path_factory.mktemp("whole"))


def killed(folder, at, when):
    world = World(folder)
    session, _ = world.through(at, when)
    with pytest.raises(Killed):
        apply(session, world.plan)
    return world


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("part", range(4))
def test_one_resume_moves_it_whole_and_a_second_writes_nothing(tmp_path, whole, part, when):
    points, final = whole
    assert len(points) >= 8
    for at in points[part::4]:
        world = killed(tmp_path, at, when)
        try:
            outcome = resume(world.session)
        except Refused as none:
            assert none.code == "MU2305"
            outcome = apply(world.session, world.plan)
        assert outcome.exit == 0, (at, outcome.why)
        assert world.specs() == final, at
        session, killer = world.through(0, "before")
        assert resume(session).exit == 0
        assert killer.writes == [], at


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("part", range(4))
def test_from_every_point_the_way_back_leads_to_the_first_state(tmp_path, whole, part, when):
    points, _ = whole
    for at in points[part::4]:
        world = killed(tmp_path, at, when)
        try:
            back = run_plan(world.session)
        except Refused as none:
            assert none.code == "MU2305"
            assert world.left() == ()
            continue
        assert back.blocked == ()
        outcome = apply(world.session, back)
        assert outcome.exit == 0, (at, outcome.why)
        assert world.left() == (), at
