"""P8: the makespan of a wave of services, by the engine's own window on virtual time, against what no order can beat."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from figure import Figure, Settings

from meshup.engine.log import RunLog
from meshup.engine.session import Session
from meshup.engine.wait import Pause
from meshup.engine.writing import Writing
from meshup.journal.holder import Holder
from meshup.model.change import Label
from meshup.model.journal import Started
from meshup.model.objects import Ref
from meshup.model.plan import Plan, PlannedChange, PlannedStage, PlannedWave
from meshup.model.runbook import Budgets, Manifests, Mesh, Metrics, Pacing, Runbook, Service, Wave
from meshup.model.snapshot import Identity

IN_FLIGHT = 50
SEEDS = 20
AT = ("spec", "template", "metadata", "labels")


class Time:
    """Virtual time that only sleeping moves."""

    def __init__(self) -> None:
        self._elapsed = 0.0

    def now(self) -> datetime:
        return datetime(2026, 11, 2, 9, tzinfo=UTC) + timedelta(seconds=self._elapsed)

    def elapsed(self) -> float:
        return self._elapsed

    def sleep(self, seconds: float) -> None:
        self._elapsed += seconds


class Rollouts:
    """A cluster of Deployments, each of which takes its own time to roll out. Only what a window asks for."""

    def __init__(self, clock: Time, lasting: Mapping[str, float]) -> None:
        self.clock, self._lasting = clock, lasting
        self._ready: dict[str, float] = {}
        self.most = 0

    def _object(self, name: str) -> dict[str, Any]:
        begun = name in self._ready
        done = not begun or self._ready[name] <= self.clock.elapsed()
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": "shop", "uid": name, "generation": 1 + begun},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": {"app": name}},
                "template": {"metadata": {"labels": {"app": name, **({"rev": "new"} if begun else {})}}},
            },
            "status": {
                "observedGeneration": 1 + begun,
                "replicas": 1,
                "readyReplicas": 1,
                "updatedReplicas": int(done),
                "availableReplicas": 1,
            },
        }

    def find(self, ref: Ref) -> dict[str, Any] | None:
        return self._object(ref.name)

    def list(self, api_version: str, kind: str, **_: object) -> Iterator[dict[str, Any]]:
        return (self._object(name) for name in (self._lasting if kind == "Deployment" else ()))

    def gather(self, calls: Iterable[Callable[[], Any]]) -> list[Any]:
        return [call() for call in calls]

    def apply(self, body: Mapping[str, Any], **_: object) -> dict[str, Any]:
        name = body["metadata"]["name"]
        self._ready[name] = self.clock.elapsed() + self._lasting[name]
        moving = sum(1 for each in self._ready.values() if each > self.clock.elapsed())
        self.most = max(self.most, moving)
        return self._object(name)


class Kept:
    """A journal in memory."""

    run = "bench"

    def __init__(self) -> None:
        self.appends = 0

    def append(self, entries: object) -> None:
        self.appends += 1


def lasting(seed: int, size: int) -> dict[str, float]:
    """Give rollouts of 8 s to a few minutes, most about half a minute, some with a slow image."""
    chance = random.Random(seed)
    return {
        f"s{number:04d}": min(240.0, 8.0 + chance.lognormvariate(3.2, 0.5) + (60.0 if chance.random() < 0.03 else 0.0))
        for number in range(size)
    }


def plan(names: Iterable[str]) -> Plan:
    """Make a plan of one wave over all services."""
    services, changes = [], []
    for number, name in enumerate(names):
        on = Ref(api_version="apps/v1", kind="Deployment", namespace="shop", name=name)
        services.append(Service(name=name, namespace="shop", workload=on, owner="team"))
        change = Label(on=on, at=AT, set={"rev": "new"}, before={"rev": None}, uid=name)
        back = Label(on=on, at=AT, set={"rev": None}, before={"rev": "new"}, uid=name)
        changes.append(
            PlannedChange(
                id=f"onboard/all/{number}",
                step="enrol",
                change=change,
                inverse=back,
                known="server",
                summary=f"enrol shop/{name}",
                service=f"shop/{name}",
            )
        )
    ids = tuple(each.id for each in services)
    book = Runbook(
        name="bench",
        path="meshup.yaml",
        digest="",
        cluster_uid="",
        mesh=Mesh(driver="istio", release="1", revision="1", namespace="mesh", manifests=Manifests(source="directory")),
        ingress=None,
        services=tuple(services),
        waves=(Wave(name="all", services=ids),),
        stages=(),
        pacing=Pacing(in_flight=IN_FLIGHT),
        budgets=Budgets(),
        metrics=Metrics(),
    )
    wave = PlannedWave(name="all", changes=tuple(changes), gates=(), services=ids)
    return Plan(
        id="bench",
        kind="apply",
        runbook="bench",
        runbook_digest="",
        lock_digest="",
        cluster_uid="",
        context="",
        user="bench",
        driver="istio",
        release="1",
        revision="1",
        taken_at="",
        stages=(PlannedStage(name="onboard", waves=(wave,)),),
        basis=(),
        book=book,
    )


def makespan(times: Mapping[str, float]) -> tuple[float, int]:
    """Give the virtual seconds the engine's window takes, and the most rollouts it had moving at once."""
    clock = Time()
    cluster: Any = Rollouts(clock, times)
    made = plan(times)
    wave = made.stages[0].waves[0]
    session = Session(
        cluster=cluster,
        clock=clock,
        drivers={},
        steps={},
        gates={},
        identity=Identity(user="bench"),
        holder=Holder(user="bench", host="here", pid=1),
        fenced=lambda _: cluster,
    )
    store: Any = Kept()
    began = Started(
        at="2026-11-02T09:00:00Z", run="bench", plan="", plan_kind="apply", user="bench", epoch=1, cluster_uid=""
    )
    log = RunLog(session, store, [began], epoch=1)
    pause = Pause(session, beat=lambda: None, next_command="")
    writing = Writing(session, made, wave=wave, place="onboard/all", log=log, cluster=cluster, pause=pause)
    writing.in_window(wave.changes)
    return clock.elapsed(), cluster.most


def barriers(times: Mapping[str, float]) -> float:
    """Give the seconds when each batch of IN_FLIGHT waits for its slowest."""
    each = list(times.values())
    return sum(max(each[at : at + IN_FLIGHT]) for at in range(0, len(each), IN_FLIGHT))


def run(settings: Settings, _: object) -> list[Figure]:
    """Measure SEEDS waves. One round = one seed, as virtual time has no noise."""
    bound, better, alone, most = [], [], [], 0
    for seed in range(SEEDS):
        times = lasting(seed, settings.size)
        took, moving = makespan(times)
        most = max(most, moving)
        bound.append(took / max(*times.values(), sum(times.values()) / IN_FLIGHT))
        better.append(barriers(times) / took)
        alone.append(sum(times.values()) / took)
    work = f"wave of {settings.size} services, {IN_FLIGHT} in flight, virtual time"
    return [
        Figure(
            goal="P8",
            work=work,
            a="meshup's window",
            b="max(critical path, sum / in flight)",
            ratios=tuple(bound),
            wanted="<= 1.10",
            answers="equal" if most <= IN_FLIGHT else "MORE IN FLIGHT THAN ALLOWED",
            counters={"most in flight": most, "seeds": SEEDS},
        ),
        Figure(
            goal="P8", work=work, a="batches with a barrier", b="meshup's window", ratios=tuple(better), wanted=">= 2"
        ),
        Figure(goal="P8", work=work, a="one by one", b="meshup's window", ratios=tuple(alone), wanted=">= 40"),
    ]
