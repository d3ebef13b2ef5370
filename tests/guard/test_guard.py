"""The guard puts permissive back when nobody beats, and never otherwise."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from pods import ARGUMENTS, LEASE, POLICY, ToyPod, Wire, beat, cluster, lease, mode, policy, put, read, run

from meshup.engine.guard import guard


def armed(**more):
    server, clock = cluster()
    put(server, POLICY, policy())
    return server, clock, ToyPod(transport=Wire(server, **more), clock=clock)


def beats(server, clock, *, until_s):
    def again():
        if clock.elapsed() <= until_s:
            beat(server, clock)
            clock.call_later(10, again)

    again()


def test_silence_puts_permissive_back_within_its_time():
    server, clock, pod = armed()
    beats(server, clock, until_s=clock.elapsed() + 300)
    began = clock.elapsed()
    took = run(guard(pod, ARGUMENTS), clock, most_s=1000)
    last_beat = 300
    assert took is not None
    assert last_beat + 110 <= took <= last_beat + 130
    assert mode(server) == "PERMISSIVE"
    assert read(server, POLICY)["spec"]["selector"] == {"matchLabels": {"app": "web"}}
    assert began + took == clock.elapsed()


def test_nothing_happens_while_somebody_beats():
    server, clock, pod = armed()
    beats(server, clock, until_s=10**6)
    assert run(guard(pod, ARGUMENTS), clock, most_s=3600) is None
    assert mode(server) == "STRICT"
    assert all(each.method == "GET" for each in pod.transport.sent)


def test_a_pod_that_starts_again_waits_only_20_s_for_a_beat():
    server, clock, pod = armed()
    beat(server, clock)
    clock.advance(60)
    took = run(guard(pod, ARGUMENTS), clock, most_s=1000)
    assert took is not None
    assert took <= 31
    assert mode(server) == "PERMISSIVE"


def test_a_disarmed_lease_ends_it_and_leaves_strict_mode_on():
    server, clock, pod = armed()
    beats(server, clock, until_s=clock.elapsed() + 40)
    clock.call_later(50, lambda: put(server, LEASE, lease(disarmed=True)))
    took = run(guard(pod, ARGUMENTS), clock, most_s=1000)
    assert took is not None
    assert took <= 56
    assert mode(server) == "STRICT"


def test_only_the_one_field_is_taken():
    server, clock, pod = armed()
    run(guard(pod, ARGUMENTS), clock, most_s=1000)
    fields = {each["manager"]: each["fieldsV1"] for each in read(server, POLICY)["metadata"]["managedFields"]}
    assert fields["meshup-guard"] == {"f:spec": {"f:mtls": {"f:mode": {}}}}
    assert "f:selector" in fields["meshup"]["f:spec"]


def test_it_says_on_the_lease_that_it_acted_before_it_acts():
    server, clock, pod = armed()
    run(guard(pod, ARGUMENTS), clock, most_s=1000)
    assert read(server, LEASE)["metadata"]["annotations"]["meshup.dev/reverted"]
    patched = [each.path for each in pod.transport.sent if each.method == "PATCH"]
    assert patched == [LEASE, POLICY]


@pytest.mark.parametrize("meanwhile", ["beaten", "disarmed"])
def test_a_lease_that_moved_since_it_was_read_stops_the_guard(meanwhile):
    server, clock, pod = armed()
    began = clock.elapsed()

    def late(request):
        if request.method == "PATCH" and "leases" in request.path and clock.elapsed() < began + 125:
            # The very moment between the guard's look at the Lease and its mark.
            put(server, LEASE, lease(clock.now().isoformat(timespec="microseconds"), disarmed=meanwhile == "disarmed"))
        return False

    beat(server, clock)
    pod.transport.failing = late
    took = run(guard(pod, ARGUMENTS), clock, most_s=60)
    assert (took is None) is (meanwhile == "beaten")
    assert mode(server) == "STRICT"
    assert "meshup.dev/reverted" not in (read(server, LEASE)["metadata"].get("annotations") or {})


def test_it_does_not_end_before_the_lease_says_so():
    server, clock, pod = armed()
    until = clock.elapsed() + 200
    pod.transport.failing = lambda request: (
        request.method == "PATCH" and "leases" in request.path and clock.elapsed() < until
    )
    took = run(guard(pod, ARGUMENTS), clock, most_s=1000)
    assert took is not None
    assert took >= 195
    assert mode(server) == "PERMISSIVE"
    assert read(server, LEASE)["metadata"]["annotations"]["meshup.dev/reverted"]


def test_an_api_server_that_is_away_is_not_taken_for_a_revert():
    server, clock, pod = armed()
    away = clock.elapsed() + 600
    pod.transport.failing = lambda request: clock.elapsed() < away
    took = run(guard(pod, ARGUMENTS), clock, most_s=3000)
    assert took is not None
    assert took >= 600
    assert mode(server) == "PERMISSIVE"


def test_it_tries_again_until_it_reads_that_it_is_so():
    server, clock, pod = armed()
    tries = []

    def failing(request):
        if request.method == "PATCH":
            tries.append(request)
            return len(tries) < 5
        # What was written can't be read back for a while either.
        return 0 < len(tries) < 5 and len(pod.transport.sent) % 2 == 0

    pod.transport.failing = failing
    assert run(guard(pod, ARGUMENTS), clock, most_s=1000) is not None
    assert mode(server) == "PERMISSIVE"


def test_a_policy_that_is_not_there_yet_is_guarded_all_the_same():
    server, clock = cluster()
    pod = ToyPod(transport=Wire(server), clock=clock)
    clock.call_later(100, lambda: put(server, POLICY, policy()))
    took = run(guard(pod, ARGUMENTS), clock, most_s=1000)
    assert took is not None
    assert 95 <= took <= 110
    assert mode(server) == "PERMISSIVE"


def test_a_policy_that_is_not_there_is_never_made():
    server, clock = cluster()
    pod = ToyPod(transport=Wire(server), clock=clock)
    assert run(guard(pod, ARGUMENTS), clock, most_s=500) is None
    assert read(server, POLICY) is None


def test_a_lease_that_is_gone_is_silence():
    server, clock, pod = armed()
    beats(server, clock, until_s=clock.elapsed() + 40)

    def remove():
        from meshup.model.transport import Request

        server.send(Request(method="DELETE", path=LEASE))

    clock.call_later(45, remove)
    took = run(guard(pod, ARGUMENTS), clock, most_s=1000)
    assert took is not None
    assert took <= 40 + 130
    assert mode(server) == "PERMISSIVE"


def test_a_clock_that_jumps_is_no_silence():
    server, clock, pod = armed()
    beats(server, clock, until_s=10**6)
    clock.call_later(30, lambda: clock.jump(-7200))
    clock.call_later(60, lambda: clock.jump(+14400))
    assert run(guard(pod, ARGUMENTS), clock, most_s=600) is None
    assert mode(server) == "STRICT"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--lease", "a/b"),
        (*ARGUMENTS, "--more", "x"),
        (*ARGUMENTS, "--policy"),
        (*ARGUMENTS, "--after", "0"),
        (*ARGUMENTS, "--after", "nan"),
        (*ARGUMENTS, "--policy", "shop/web"),
        (*ARGUMENTS, "--back", "spec.mtls.mode"),
    ],
)
def test_orders_that_are_not_whole_are_refused(arguments):
    _, clock, pod = armed()
    with pytest.raises(ValueError, match=r"need|unknown|could not"):
        run(guard(pod, arguments), clock, most_s=10)
