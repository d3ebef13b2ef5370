"""Several processes against one server, any order of their requests, time passing anywhere: epochs of writes never fall."""

from __future__ import annotations

import random
import threading
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny import Killed, Server

from meshup.cluster.connect import over
from meshup.cluster.errors import MaybeDone
from meshup.cluster.retry import Rules
from meshup.journal.holder import Holder
from meshup.journal.lease import LEASE, Lock
from meshup.model.problem import MeshupError
from meshup.model.transport import Request, TransportFailure

REQUEST_S = 15.0
MOST_STEPS = 400


class World:
    """Lets exactly one thread go on at a time; which one, and when time passes, the schedule says."""

    def __init__(self, schedule):
        self.now = 1000.0
        self.server = Server()
        self._schedule = list(reversed(schedule))
        self._turn = threading.Condition()
        self._waiting: dict[str, tuple[str, float]] = {}
        self._granted: str | None = None
        self._alive = 0
        self._over = False

    def wait(self, who, what, at):
        """Register and block until granted. what: send (since), sleep (until)."""
        with self._turn:
            self._waiting[who] = (what, at)
            self._turn.notify_all()
            self._turn.wait_for(lambda: self._granted == who or self._over)
            if self._over:
                raise Killed
            self._granted = None
            del self._waiting[who]

    def run(self, processes):
        threads = [threading.Thread(target=self._live, args=(each,)) for each in processes]
        self._alive = len(threads)
        for each in threads:
            each.start()
        for _ in range(MOST_STEPS):
            if not self._step():
                break
        with self._turn:
            self._over = True
            self._turn.notify_all()
        for each in threads:
            each.join(10)
            assert not each.is_alive()

    def _live(self, process):
        try:
            process()
        except Killed:
            pass
        finally:
            with self._turn:
                self._alive -= 1
                self._turn.notify_all()

    def _step(self):
        with self._turn:
            assert self._turn.wait_for(lambda: self._granted is None and len(self._waiting) == self._alive, timeout=10)
            if not self._alive:
                return False
            drawn = self._schedule.pop() if self._schedule else 0
            ready = sorted(who for who, (what, at) in self._waiting.items() if what == "send" or at <= self.now)
            if not ready:
                self.now = min(at for what, at in self._waiting.values() if what == "sleep")
            elif drawn % 3 == 2:
                self.now += drawn % 41
            else:
                self._granted = ready[drawn // 3 % len(ready)]
                self._turn.notify_all()
            return True


class Clock:
    def __init__(self, world, who):
        self._world, self._who = world, who

    def now(self):
        return datetime.fromtimestamp(1_800_000_000 + self._world.now, UTC)

    def elapsed(self):
        return self._world.now

    def sleep(self, seconds):
        self._world.wait(self._who, "sleep", self._world.now + seconds)


class Wire:
    """A request that waits longer than it may is given up by the client, and its answer by the server."""

    def __init__(self, world, who):
        self._world, self._who = world, who

    def send(self, request: Request):
        since = self._world.now
        self._world.wait(self._who, "send", since)
        if self._world.now - since > REQUEST_S:
            raise TransportFailure("timeout", "no answer", maybe_done=True)
        answer = self._world.server.send(request)
        return answer


def process(world, who, written, rounds, *, crash_after):
    """A run: take the lock, write some objects through the fence, give the lock back or die."""

    def body():
        clock = Clock(world, who)
        cluster = over(Wire(world, who), clock, rules=Rules(tries=3, away_s=120), in_flight=1)
        cluster._sender._chance = random.Random(who)
        for round_ in range(rounds):
            lock = Lock(cluster, clock, Holder(user=who, host="elsewhere", pid=round_ + 1, start=1, boot="b"))
            fenced = cluster.fenced(lock.fence)
            try:
                lock.acquire(newest_epoch=lambda: 0, pause=lambda *_: clock.sleep(5))
                for number in range(3):
                    if crash_after == round_ * 3 + number:
                        return
                    name = f"{who}-{round_}-{number}"
                    meta = {
                        "name": name,
                        "namespace": "meshup-system",
                        "annotations": {"meshup.dev/epoch": str(lock.epoch)},
                    }
                    try:
                        fenced.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})
                    except MaybeDone:
                        continue
                    clock.sleep(7)
            except MeshupError:
                continue
            finally:
                lock.release()

    return body


def epochs_of(world):
    lease = f"/apis/{LEASE.api_version}/namespaces/{LEASE.namespace}/leases/{LEASE.name}"
    written = [body for path, body in world.server.log if "/configmaps/" in path]
    taken = [body for path, body in world.server.log if path == lease and body["spec"]["holderIdentity"]]
    return written, taken


def holds(schedule, crashes):
    world = World(schedule)
    world.run([process(world, who, [], 2, crash_after=crash) for who, crash in zip("abc", crashes, strict=False)])
    written, taken = epochs_of(world)
    epochs = [int(each["metadata"]["annotations"]["meshup.dev/epoch"]) for each in written]
    assert epochs == sorted(epochs)
    holders = {}
    for each in taken:
        epoch = each["metadata"]["annotations"]["meshup.dev/epoch"]
        assert holders.setdefault(epoch, each["spec"]["holderIdentity"]) == each["spec"]["holderIdentity"]
    for each in written:
        name, epoch = each["metadata"]["name"], each["metadata"]["annotations"]["meshup.dev/epoch"]
        assert holders[epoch].startswith(name[0] + "@")
    return len(written)


schedules = st.lists(st.integers(0, 10_000), max_size=150)
crashes = st.lists(st.integers(-1, 5), min_size=3, max_size=3)


@given(schedule=schedules, crashes=crashes)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_epochs_of_writes_never_fall(schedule, crashes):
    holds(schedule, crashes)


def test_in_the_plain_order_everybody_gets_their_turn():
    assert holds([], [-1, -1, -1]) >= 6


@pytest.mark.sweep
@given(schedule=schedules, crashes=crashes)
@settings(max_examples=10_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_epochs_of_writes_never_fall_in_ten_thousand_schedules(schedule, crashes):
    holds(schedule, crashes)
