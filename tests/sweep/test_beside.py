"""An owner's rollback beside a real `meshup apply`, and two owners at once: processes, frozen where they meet."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from clusters import Cluster, Ran, Segment

pytestmark = [pytest.mark.sweep, pytest.mark.xdist_group("kills")]

ROOT = Path(__file__).resolve().parents[2]
RBAC = "rbac.authorization.k8s.io"
BOUND = {"meshup-owner": "shop", "meshup-records": "meshup-system", "meshup-control-planes": "istio-system"}
BACK = ("rollback", "shop/cart", "--to", "1.29.4", "--reason", "timeouts", "--until", "7d")
OUT = ("rollback", "shop/cart", "--to", "none", "--reason", "out", "--until", "7d")


def wave_of_cart(segments: list[Segment]) -> Segment:
    """Give the part of the run that moves cart to the new release."""
    return next(
        each
        for each in segments
        if any(write.endswith("/deployments/cart") for write in each.writes) and each.code == 0
    )


def revision(cluster: Cluster) -> str:
    """Give the revision that cart's pods run, all of them."""
    found = {
        each["metadata"]["labels"].get("istio.io/rev", "")
        for each in cluster.objects()
        if each.get("kind") == "Pod" and each["metadata"]["labels"].get("app") == "cart"
        if not each["metadata"].get("deletionTimestamp")
    }
    assert len(found) == 1, found
    return found.pop()


def pins(cluster: Cluster) -> list[tuple[str, str]]:
    """Give (release, phase) of every pin; their copies left out."""
    every = [each for each in cluster.objects() if each.get("kind") == "MeshPin" and "copyOf" not in each["spec"]]
    return sorted((each["spec"]["to"]["release"], each.get("status", {}).get("phase", "Requested")) for each in every)


def waited_for(cluster: Cluster, owner: subprocess.Popen[str]) -> Ran:
    """Wait for an owner who waits for a frozen run: nobody moves the time meanwhile."""
    while owner.poll() is None:
        cluster.advance(2.0)
        time.sleep(0.2)
    return Cluster.wait(owner, BACK)


@pytest.fixture
def forked(segments: list[Segment]):
    """Give forks of the cluster before cart's wave; each ends with the test."""
    made: list[Cluster] = []

    def fork(name: str) -> Cluster:
        made.append(wave_of_cart(segments).before.fork(name))
        return made[-1]

    yield fork
    for each in made:
        each.end()


def test_the_run_yields_and_the_owner_waits_for_it(segments: list[Segment], forked: Callable[[str], Cluster]) -> None:
    segment = wave_of_cart(segments)
    cluster = forked("beside-yield")
    intents = next(number for number, write in enumerate(segment.writes, 1) if write.endswith("/deployments/cart")) - 1
    while "/configmaps/run-" not in segment.writes[intents - 1]:
        intents -= 1
    run = cluster.frozen(intents, "after", *segment.arguments)
    # The definition of MeshPin, the pin: the owner has written its flag and reads the run's.
    owner = cluster.frozen(2, "after", *BACK)
    os.kill(run.pid, signal.SIGCONT)
    os.kill(owner.pid, signal.SIGCONT)
    back, done = Cluster.wait(owner, BACK), Cluster.wait(run, segment.arguments)
    assert (back.code, done.code) == (0, 0), f"{back}\n{done}"
    assert "shop/cart left alone" in done.said
    assert revision(cluster) == "1-29-4"
    assert pins(cluster) == [("1.29.4", "Active")]
    again = cluster.run(*segment.arguments)
    assert again.code == 0, str(again)
    assert revision(cluster) == "1-29-4"


def test_a_run_that_is_frozen_at_any_write_finds_the_service_taken(
    segments: list[Segment], forked: Callable[[str], Cluster], covered: Callable[[str], None]
) -> None:
    segment = wave_of_cart(segments)
    numbers = [number for number, write in enumerate(segment.writes, 1) if "/leases/" not in write]
    for number in numbers[:: max(1, len(numbers) // 6)]:
        cluster = forked(f"beside-{number}")
        run = cluster.frozen(number, "after", *segment.arguments)
        back = waited_for(cluster, cluster.begin(*BACK))
        os.kill(run.pid, signal.SIGCONT)
        done = Cluster.wait(run, segment.arguments)
        at = f"{number}: {segment.writes[number - 1]}"
        assert (back.code, done.code) == (0, 0), f"{at}\n{back}\n{done}"
        assert revision(cluster) == "1-29-4", at
        assert pins(cluster) == [("1.29.4", "Active")], at
    covered(f"rollback beside an apply: {len(numbers[:: max(1, len(numbers) // 6)])} of {len(numbers)} writes frozen")


def test_of_two_owners_at_once_one_wins(segments: list[Segment], covered: Callable[[str], None]) -> None:
    onboarded = [each for each in segments if each.through.startswith("onboard")][-1].after
    ends = []
    for number in (2, 4, 5, 6):
        cluster = onboarded.fork(f"owners-{number}")
        try:
            first = cluster.frozen(number, "after", *BACK)
            second = cluster.run(*OUT)
            os.kill(first.pid, signal.SIGCONT)
            one = Cluster.wait(first, BACK)
            assert sorted((one.code, second.code)) in ([0, 6], [0, 0]), f"{number}\n{one}\n{second}"
            (active,) = [release for release, phase in pins(cluster) if phase in ("Active", "Requested")]
            assert revision(cluster) == {"1.29.4": "1-29-4", "": ""}[active], str(number)
            ends.append((one.code, second.code))
        finally:
            cluster.end()
    assert (6, 0) in ends
    covered(f"two owners at once: {len(ends)} meetings, ends {ends}")


@pytest.mark.parametrize(
    "second", [("apply", "--yes"), ("apply", "p.plan.json", "--yes"), ("rollback", "--run", "newest", "--yes")]
)
def test_a_second_run_is_refused_and_names_who_holds_the_lock_and_since_when(
    second: tuple[str, ...], forked: Callable[[str], Cluster]
) -> None:
    cluster = forked("second")
    arguments = ("apply", "--resume", "--yes", "--through", "minimise")
    run = cluster.begin(*arguments)
    while not any("/leases/meshup" in write for write in cluster.writes()):
        time.sleep(0.05)
    refused = cluster.run(*second)
    assert refused.code == 6, str(refused)
    for word in ("MU2301", f"pid {run.pid}", "since 20", "meshup status --wait"):
        assert word in refused.said, str(refused)
    done = Cluster.wait(run, arguments)
    assert done.code == 0, str(done)


def test_a_run_that_died_on_this_host_is_taken_over_at_once(
    segments: list[Segment], forked: Callable[[str], Cluster]
) -> None:
    segment = wave_of_cart(segments)
    cluster = forked("died")
    cluster.killed(len(segment.writes) // 2, "after", *segment.arguments)
    done = cluster.run(*segment.arguments)
    assert done.code == 0, str(done)
    assert "taken over" in done.said
    assert "not renewed so far" not in done.said


def bind(cluster: Cluster, role: str, namespace: str) -> None:
    """Bind a cluster role to ana, in one namespace or ("") everywhere."""
    kind, inside = ("RoleBinding", f"namespaces/{namespace}/") if namespace else ("ClusterRoleBinding", "")
    body = {
        "apiVersion": f"{RBAC}/v1",
        "kind": kind,
        "metadata": {"name": f"ana-{role}", **({"namespace": namespace} if namespace else {})},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": "ana"}],
    }
    cluster.post(f"/apis/{RBAC}/v1/{inside}{kind.lower()}s", body)


def test_the_shipped_role_is_enough_for_an_owner_and_what_is_missing_is_said_before_anything_is_recorded(
    segments: list[Segment],
) -> None:
    cluster = [each for each in segments if each.through.startswith("onboard")][-1].after.fork("rights")
    try:
        # The roles themselves are in the shop as their files say (tests/simulator/test_people.py).
        crd = yaml.safe_load((ROOT / "templates/crds/meshpins.yaml").read_text("utf-8"))
        cluster.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)
        bind(cluster, "meshup-owner-reads", "")
        # First without the journal's role: an owner who can't see a run must not move anything.
        for role in ("meshup-owner", "meshup-control-planes"):
            bind(cluster, role, BOUND[role])
        refused = cluster.run(*BACK, "--as", "ana")
        assert refused.code == 7, str(refused)
        assert "list configmaps in meshup-system" in refused.said, str(refused)
        assert pins(cluster) == []
        bind(cluster, "meshup-records", BOUND["meshup-records"])
        done = cluster.run(*BACK, "--as", "ana")
        assert done.code == 0, str(done)
        assert (revision(cluster), pins(cluster)) == ("1-29-4", [("1.29.4", "Active")])
        other = cluster.run("rollback", "payments/ledger", *BACK[2:], "--as", "ana")
        assert other.code == 7, str(other)
    finally:
        cluster.end()
