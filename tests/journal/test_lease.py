"""Two runs never interleave: schedules of holders, lost answers, kills, thefts and clocks that stand still."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import Clock, Killed, Server, door

from meshup.cluster.clock import RealClock
from meshup.cluster.errors import ApiError
from meshup.journal.holder import Holder, is_dead, read_holder, this_process
from meshup.journal.lease import Lock, Terms
from meshup.model.problem import MeshupError, Refused

LEASE = "/apis/coordination.k8s.io/v1/namespaces/meshup-system/leases/meshup"


def somebody(name="ana", pid=1):
    return Holder(user=name, host="elsewhere", pid=pid, start=1, boot="b")


def locked(server, name="ana", clock=None, **terms):
    clock = clock or Clock()
    return Lock(door(server, clock), clock, somebody(name), terms=Terms(**terms)), clock


def taken(lock, clock, newest=0):
    return lock.acquire(newest_epoch=lambda: newest, pause=lambda why, waited, limit: clock.sleep(5))


def test_a_free_lock_is_taken_and_given_back_and_the_epoch_only_rises():
    server = Server()
    for expected in (1, 2, 3):
        lock, clock = locked(server)
        assert taken(lock, clock) == expected
        assert lock.took_over is False
        lock.release()
    assert server.objects[LEASE]["spec"]["holderIdentity"] == ""
    del server.objects[LEASE]
    lock, clock = locked(server)
    assert taken(lock, clock, newest=7) == 8


def test_a_living_holder_is_not_disturbed():
    server = Server()
    first, clock = locked(server)
    taken(first, clock)
    second, other = locked(server, "eve")

    def pause(why, waited, limit):
        other.sleep(5)
        clock.sleep(11)
        first.beat()
        assert "ana@elsewhere" in why

    with pytest.raises(Refused) as failed:
        second.acquire(newest_epoch=lambda: 0, pause=pause)
    assert failed.value.code == "MU2301"
    first.fence()


def test_a_silent_holder_is_taken_over_after_60_s_of_our_own_clock_and_then_stops():
    server = Server()
    first, clock = locked(server)
    taken(first, clock)
    second, other = locked(server, "eve", Clock(at=9.0))
    began = other.at
    assert taken(second, other) == 2
    assert second.took_over
    assert 60 <= other.at - began < 70
    clock.sleep(31)
    with pytest.raises(Refused) as failed:
        first.fence()
    assert failed.value.code == "MU2302"
    assert "eve" in failed.value.what
    with pytest.raises(Refused):
        first.beat()
    first.release()
    assert server.objects[LEASE]["spec"]["holderIdentity"].startswith("eve")


@pytest.mark.parametrize("harm", ["deleted", "edited"])
def test_a_lease_that_was_deleted_or_given_away_stops_the_run(harm):
    server = Server()
    lock, clock = locked(server)
    taken(lock, clock)
    if harm == "deleted":
        del server.objects[LEASE]
    else:
        spec = server.objects[LEASE]["spec"]
        server.objects[LEASE] = {**server.objects[LEASE], "spec": {**spec, "holderIdentity": "x"}}
        server.objects[LEASE]["metadata"]["resourceVersion"] = "999"
    clock.sleep(12)
    with pytest.raises(Refused) as failed:
        lock.fence()
    assert failed.value.code == "MU2302"


def test_a_touch_by_somebody_else_that_keeps_holder_and_epoch_is_survived():
    server = Server()
    lock, clock = locked(server)
    taken(lock, clock)
    server.objects[LEASE]["metadata"]["resourceVersion"] = "999"
    clock.sleep(12)
    lock.fence()
    clock.sleep(12)
    lock.fence()
    assert lock.epoch == 1


@given(
    faults=st.dictionaries(st.integers(1, 30), st.sampled_from(["lost-before", "lost-after"]), max_size=15),
    steps=st.lists(st.integers(0, 29), min_size=1, max_size=20),
)
@settings(max_examples=100, deadline=None)
def test_only_a_renewal_that_is_stored_counts(faults, steps):
    """Whenever the fence lets a write through, the lease that is stored was written at most 30 s ago."""
    server = Server()
    lock, clock = locked(server)
    taken(lock, clock)
    server.faults = {server.mutations + at: how for at, how in faults.items()}
    stored_at = [clock.at]
    seen = [server.objects[LEASE]["spec"]["renewTime"]]
    for each in steps:
        clock.sleep(each)
        try:
            lock.fence()
        except ApiError:
            continue
        now = server.objects[LEASE]["spec"]["renewTime"]
        if now != seen[-1]:
            seen.append(now)
            stored_at.append(clock.at)
        assert clock.at - stored_at[-1] <= 30


actions = st.lists(
    st.tuples(
        st.sampled_from(["write", "sleep", "freeze", "kill", "beat", "lost-before", "lost-after", "delete"]),
        st.integers(0, 1),
        st.integers(1, 90),
    ),
    min_size=5,
    max_size=60,
)


@given(actions=actions)
@settings(max_examples=150, deadline=None)
def test_the_epoch_of_writes_never_falls(actions):
    """Two processes in any order: frozen, killed, answers lost, the lease deleted. One time for both, as on one earth."""
    server, clock = Server(), Clock()
    history, epochs = [], [0]
    locks = [None, None]

    def acquire(who):
        lock = Lock(door(server, clock), clock, somebody("ab"[who], pid=len(history) + clock.at), terms=Terms())

        def pause(why, waited, limit):
            clock.sleep(5)

        try:
            lock.acquire(newest_epoch=lambda: max(epochs), pause=pause)
        except MeshupError:
            return None
        epochs.append(lock.epoch)
        return lock

    for what, who, length in actions:
        if what == "sleep":
            clock.sleep(length)
        elif what == "freeze":
            clock.sleep(length * 2)
        elif what == "kill":
            locks[who] = None
        elif what == "delete":
            server.objects.pop(LEASE, None)
        elif what.startswith("lost"):
            server.faults[server.mutations] = what
        else:
            if locks[who] is None:
                locks[who] = acquire(who)
            if locks[who] is None:
                continue
            try:
                locks[who].beat() if what == "beat" else locks[who].fence()
            except MeshupError:
                locks[who] = None
                continue
            if what == "write":
                history.append((clock.at, locks[who].epoch))
    assert len(set(epochs)) == len(epochs)
    deleted = any(each[0] == "delete" for each in actions)
    falls = [(a, b) for a, b in pairwise(history) if b[1] < a[1]]
    # A lease that is deleted is noticed at the next renewal, 10 s later; the epoch on the objects fences until then.
    assert not falls or deleted


@pytest.mark.parametrize("how", ["killed-before", "killed-after"])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_kill_while_taking_renewing_or_giving_back_needs_no_manual_unlock(how, at):
    server = Server()
    server.faults = {at: how}
    lock, clock = locked(server)
    try:
        taken(lock, clock)
        clock.sleep(11)
        lock.beat()
        lock.release()
    except Killed:
        pass
    server.faults = {}
    second, other = locked(server, "eve")
    assert taken(second, other) >= 1
    second.fence()


def test_a_dead_process_of_this_host_is_taken_over_at_once():
    server = Server()
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    from meshup.journal import holder

    dead = Holder(
        user="ana", host=this_process("x").host, pid=child.pid, start=holder._start(child.pid), boot=holder._boot()
    )
    clock = Clock()
    first = Lock(door(server, clock), clock, dead)
    taken(first, clock)
    assert not is_dead(dead)
    second = Lock(door(server, Clock()), Clock(), this_process("ana"))
    with pytest.raises(Exception, match="waited"):
        second.acquire(newest_epoch=lambda: 0, pause=lambda *_: (_ for _ in ()).throw(Exception("waited")))
    child.kill()
    child.communicate()
    assert is_dead(dead)
    assert second.acquire(newest_epoch=lambda: 0, pause=lambda *_: (_ for _ in ()).throw(Exception("waited"))) == 2
    assert second.took_over


def test_another_boot_or_host_or_a_reused_pid_is_never_called_dead_wrongly():
    me = this_process("ana")
    assert not is_dead(me)
    assert not is_dead(Holder(user="a", host=me.host, pid=me.pid, start=me.start, boot="another"))
    assert not is_dead(Holder(user="a", host="another", pid=1, start=1, boot=me.boot))
    assert is_dead(Holder(user="a", host=me.host, pid=me.pid, start=me.start + 1, boot=me.boot))
    assert read_holder(me.to_json()) == me
    for junk in (
        "",
        "[]",
        "{}",
        "null",
        json.dumps({"user": 1}),
        '{"user":"a","host":"b","pid":"x","start":1,"boot":""}',
    ):
        assert read_holder(junk) is None


def test_on_the_real_clock_a_thread_renews_it():
    server = Server()
    lock = Lock(door(server, RealClock()), RealClock(), this_process("ana"), terms=Terms(renew_s=0.05))
    lock.acquire(newest_epoch=lambda: 0, pause=lambda *_: None)
    import time

    before = server.objects[LEASE]["spec"]["renewTime"]
    deadline = time.monotonic() + 5
    while server.objects[LEASE]["spec"]["renewTime"] == before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert server.objects[LEASE]["spec"]["renewTime"] != before
    lock.release()
    assert server.objects[LEASE]["spec"]["holderIdentity"] == ""
    assert os.getpid() == this_process("x").pid
