"""P9: from a rollout that is ready to the next change, both stamped at the server, against a poller of 2 s."""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from figure import Figure, Settings
from plan_size import asked
from window import plan

from meshup.cluster.access import Access, Credential
from meshup.cluster.clock import RealClock
from meshup.cluster.connect import over
from meshup.cluster.credentials import Fixed
from meshup.cluster.https import HttpsTransport
from meshup.engine.hearing import Hearing
from meshup.engine.log import RunLog
from meshup.engine.session import Session
from meshup.engine.wait import Pause
from meshup.engine.writing import Writing
from meshup.journal.holder import Holder
from meshup.journal.in_cluster import ClusterStore
from meshup.model.journal import Started
from meshup.model.plan import Plan
from meshup.model.snapshot import Identity
from meshup.model.verdict import Patience

HERE = Path(__file__).resolve().parent
SERVICES, IN_FLIGHT, POLL_S, ROUNDS = 200, 20, 2.0, 2
SLACK_S = 0.05
"""What the goal allows above one round trip."""


@contextlib.contextmanager
def cluster(latency_ms: float) -> Iterator[tuple[str, list[str]]]:
    """Serve the Deployments from a process of their own; give its URL and their names."""
    command = [sys.executable, str(HERE / "rollouts.py"), str(SERVICES), str(latency_ms)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        told = json.loads(server.stdout.readline())
        yield told["url"], told["names"]
    finally:
        server.kill()
        server.wait()


def moved(url: str, names: Sequence[str], *, revision: str, hears: bool) -> list[float]:
    """Move all of them with the engine's window, journal in the cluster; give the seconds from each ready to its next change."""
    door = over(HttpsTransport(Access(server=url, login=Fixed(Credential()))), RealClock())
    made = _plan(names, revision)
    ears = Hearing(door.once()) if hears else None
    session = Session(
        cluster=door,
        clock=door.clock,
        drivers={},
        steps={},
        gates={},
        identity=Identity(user="bench"),
        holder=Holder(user="bench", host="here", pid=1),
        fenced=lambda _: door,
        hearing=ears,
    )
    wave = made.stages[0].waves[0]
    if not hears:
        wave = replace(wave, settle=Patience(limit_s=300.0, every_s=POLL_S, in_a_row=1))
    began = Started(
        at="2026-11-02T09:00:00Z", run=revision, plan="", plan_kind="apply", user="bench", epoch=1, cluster_uid=""
    )
    log = RunLog(session, ClusterStore(door, revision, epoch=1), (), epoch=1)
    log.append(began)
    pause = Pause(session, beat=lambda: None, next_command="")
    writing = Writing(session, made, wave=wave, place="onboard/all", log=log, cluster=door, pause=pause)
    writing.in_window(wave.changes)
    if ears is not None:
        ears.close()
    told = asked(url, "/simulator/faults", body=b"{}", method="POST")
    # The window is full until the last have begun: each one that is ready makes room for exactly one more.
    return [change - ready for ready, change in zip(told["ready"], told["changed"][IN_FLIGHT:], strict=False)]


def _plan(names: Sequence[str], revision: str) -> Plan:
    """Give the window benchmark's plan of these services, for another revision each time."""
    made = plan(names)
    wave = made.stages[0].waves[0]
    changes = tuple(
        replace(each, change=replace(each.change, uid="", set={"rev": revision}))  # type: ignore[call-arg]
        for each in wave.changes
    )
    stage = replace(made.stages[0], waves=(replace(wave, changes=changes),))
    return replace(
        made, stages=(stage,), book=replace(made.book, pacing=replace(made.book.pacing, in_flight=IN_FLIGHT))
    )


def last(delays: Sequence[float]) -> float:
    """Give the 99th percentile."""
    return statistics.quantiles(delays, n=100, method="inclusive")[98]


def run(settings: Settings, _: Any) -> list[Figure]:
    """Move all services by hearing and by polling, in turn."""
    allowed = settings.latency_ms / 1000 + SLACK_S
    ours: list[float] = []
    polled: list[float] = []
    middle: list[float] = []
    with cluster(settings.latency_ms) as (url, names):
        for number in range(min(ROUNDS, settings.rounds)):
            heard = moved(url, names, revision=f"heard-{number}", hears=True)
            ours.append(last(heard))
            middle.append(statistics.median(heard))
            polled.append(last(moved(url, names, revision=f"polled-{number}", hears=False)))
    work = f"ready to next change, p99 of {SERVICES} rollouts, {IN_FLIGHT} in flight, {settings.latency_ms:g} ms"
    counters = {
        "p99_ms": [round(1000 * each) for each in ours],
        "median_ms": [round(1000 * each) for each in middle],
        "polled_p99_ms": [round(1000 * each) for each in polled],
    }
    return [
        Figure(
            goal="P9",
            work=work,
            a="meshup's window",
            b="1 round trip + 50 ms",
            ratios=tuple(each / allowed for each in ours),
            wanted="<= 1",
            counters=counters,
        ),
        Figure(
            goal="P9",
            work=work,
            a=f"a poller of {POLL_S:g} s",
            b="meshup's window",
            ratios=tuple(slow / quick for slow, quick in zip(polled, ours, strict=True)),
            wanted=">= 20",
        ),
    ]
