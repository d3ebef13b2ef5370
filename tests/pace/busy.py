"""The shop with many new connections, onboarded, and an upgrade of it to a release at which connecting fails."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import yaml

from meshup.cli.kinds import kinds
from meshup.cli.playing import proposed, session_of
from meshup.cli.simulating import programs
from meshup.cluster.connect import over
from meshup.engine.execute import apply
from meshup.engine.planning import plan_from, snapshot_for
from meshup.engine.session import Session
from meshup.engine.upgrade import derive
from meshup.model.events import Outcome
from meshup.model.plan import Plan
from meshup.model.runbook import Pacing, Runbook
from meshup.model.transport import Response
from meshup.runbook import load, write_upgrade
from meshup.simulate.scenario import Simulation, read
from meshup.simulate.scenario import load as scene

NEW = "1.31.0"
AT_CONNECT = {"fault": "bad-release", "on": NEW, "bad": "connect", "share": 0.9}
PAGE = "/proxy/stats/prometheus"


class Ears:
    """A watcher that keeps every event."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def tell(self, event: Any) -> None:
        self.events.append(event)

    def notes(self, word: str) -> list[str]:
        return [each.text for each in self.events if getattr(each, "word", "") == word]


class Doors:
    """A transport that counts reads of proxies' pages; shut: they answer 503 from now on."""

    def __init__(self, inner: Any) -> None:
        self._inner, self.shut, self.forbidden, self.pages = inner, False, False, 0

    def send(self, request: Any) -> Any:
        if request.path.endswith(PAGE):
            self.pages += 1
            if self.forbidden:
                body = b'{"kind":"Status","status":"Failure","code":403,"reason":"Forbidden","message":"pods/proxy is forbidden"}'
                return Response(status=403, headers={"content-type": "application/json"}, body=body)
            if self.shut:
                return replace(self._inner.send(request), status=503, body=b"upstream connect error")
        return self._inner.send(request)


class Busy:
    """One cluster, its session and its doors."""

    def __init__(self, tmp_path: Any, *, prometheus: bool = False) -> None:
        scenario = dict(read("shop"))
        scenario["edges"] = [{**each, "connections": 4.0} for each in scenario["edges"]]
        if prometheus:
            big = read("big")
            scenario["namespaces"] = [*scenario["namespaces"], {"name": "monitoring"}]
            scenario["objects"] = [*scenario["objects"], *big["objects"]]
            # Nobody calls it, so that a Prometheus has no new connection of it, and its wave would not end.
            scenario["services"] = [each for each in scenario["services"] if each["name"] != "nginx"]
            scenario["edges"] = [each for each in scenario["edges"] if "edge/nginx" not in each.values()]
        path = tmp_path / "busy.yaml"
        path.write_text(yaml.safe_dump(scenario))
        self.simulation: Simulation = scene(str(path), programs=programs())
        self.ears = Ears()
        around = session_of(self.simulation, self.ears)
        self.doors = Doors(self.simulation.server)
        cluster = over(self.doors, self.simulation.clock, in_flight=1, context="busy")
        self.session: Session = replace(around, cluster=cluster, fenced=cluster.fenced, identity=cluster.whoami())
        self.driver: Any = self.session.drivers["istio"]

    def onboard(self, **pacing: Any) -> Runbook:
        """Bring everybody in; give the runbook of the upgrade with this pacing."""
        book = proposed(self.session)
        assert apply(self.session, self.plan(book), through="onboard").exit == 0
        seen = snapshot_for(self.session, self.driver)
        wanted = derive(book, seen, self.driver, to=NEW, soak_s=60.0, keep_s=120.0, compare="never")
        loaded = load.load(write_upgrade.text(wanted, kinds()).encode(), name="up.yaml", kinds=kinds())
        assert loaded.runbook is not None
        return replace(loaded.runbook, pacing=Pacing(**{"in_flight": 1, **pacing}))

    def plan(self, book: Runbook) -> Plan:
        return plan_from(self.session, book, snapshot_for(self.session, self.driver), self.driver)

    def upgrade(self, book: Runbook) -> Outcome:
        """Perform the upgrade to a release that is bad; only what happens from now on is heard."""
        plan = self.plan(book)
        self.simulation.world.inject(AT_CONNECT)
        self.ears.events.clear()
        return apply(self.session, plan)

    def close(self, door: str) -> None:
        """Close a door ("shut" or "forbidden") while services of qualify/critical restart, until a gate is asked."""

        def react(event: object) -> None:
            if getattr(event, "summary", "") and getattr(event, "place", "") == "qualify/critical":
                setattr(self.doors, door, True)
            elif getattr(event, "gate", ""):
                setattr(self.doors, door, False)
            self.ears.events.append(event)

        self.ears.tell = react  # type: ignore[method-assign]

    @property
    def lost(self) -> float:
        """User requests that failed because the release is bad."""
        return self.simulation.world.traffic.releases.suffered[NEW].failed
