"""A killed `meshup apply` never leaves strict mode on: the guard in the cluster puts permissive back within its time."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from clusters import OWN, Cluster, Segment, differences

pytestmark = [pytest.mark.sweep, pytest.mark.xdist_group("kills")]

EVERY = int(os.environ.get("MESHUP_SWEEP_EVERY", "1"))
SLACK_S = 15.0
"""Beyond its silence: the guard looks every 5 s, and each of its requests may take as long."""


def armed(segment: Segment) -> range:
    """Give the numbers of the writes from the one that makes the guard's Job to the one that disarms it."""
    jobs = [
        at for at, each in enumerate(segment.writes, 1) if each.startswith("POST") and each.endswith(f"/{OWN}/jobs")
    ]
    ends = [
        at for at, each in enumerate(segment.writes, 1) if each.startswith("DELETE") and "/jobs/meshup-guard" in each
    ]
    marks = [at for at in range(jobs[0], ends[0]) if "/leases/meshup-guard" in segment.writes[at - 1]]
    return range(jobs[0], marks[-1] + 1)


def argument(job: Mapping[str, Any], flag: str) -> list[str]:
    """Give every value of a flag in the guard's command."""
    words = [*job["spec"]["template"]["spec"]["containers"][0]["command"]]
    words += job["spec"]["template"]["spec"]["containers"][0].get("args") or []
    return [words[at + 1] for at, each in enumerate(words) if each == flag]


def strict(cluster: Cluster, policies: list[str]) -> list[str]:
    """Name the policies, by their API paths, that refuse plaintext."""
    found = []
    for each in cluster.objects():
        if each["kind"] != "PeerAuthentication" or each["spec"].get("mtls", {}).get("mode") != "STRICT":
            continue
        meta = each["metadata"]
        ours = f"/namespaces/{meta['namespace']}/peerauthentications/{meta['name']}"
        found += [path for path in policies if path.endswith(ours)]
    return found


def notes_on_lease(cluster: Cluster) -> Mapping[str, str]:
    """Give the annotations of the guard's Lease."""
    for each in cluster.objects():
        if each["kind"] == "Lease" and each["metadata"]["name"].startswith("meshup-guard"):
            return each["metadata"].get("annotations") or {}
    return {}


def is_over(cluster: Cluster, when: str) -> bool:
    """Tell whether the killed call had disarmed the guard: its gates had passed, and strict mode is meant to stay.

    A call that beat its Leases fewer times than the first run comes further with as many writes, to where the guard's
    objects are taken away; the disarming is the first of that.
    """
    sent = cluster.writes()
    took_effect = sent if when == "after" else sent[:-1]
    taken_away = any(each.startswith("DELETE") and "/jobs/meshup-guard" in each for each in took_effect)
    return taken_away or bool(notes_on_lease(cluster).get("meshup.dev/disarmed"))


def reverted(cluster: Cluster) -> tuple[str, bool]:
    """Let the guard's time pass; what is wrong then, "" = nothing, and whether strict was on before."""
    jobs = [each for each in cluster.objects() if each["kind"] == "Job" and each["metadata"]["namespace"] == OWN]
    guards = [each for each in jobs if each["metadata"]["name"].startswith("meshup-guard")]
    if not guards:
        return "no guard is there", False
    policies = argument(guards[0], "--policy")
    was_on = bool(strict(cluster, policies))
    cluster.advance(float(argument(guards[0], "--after")[0]) + SLACK_S)
    left = strict(cluster, policies)
    if left:
        return f"still strict: {left}", was_on
    if was_on and not notes_on_lease(cluster).get("meshup.dev/reverted"):
        return "the guard's Lease does not say that it acted", True
    return "", was_on


def played(segment: Segment, number: int, when: str) -> tuple[str, bool]:
    """Kill at one write and wait for the guard; what is wrong, "" = nothing, and whether strict was on by then."""
    point = f"{segment.through} {when} {number}: {segment.writes[number - 1]}"
    cluster = segment.before.fork(f"guard-{abs(hash(point))}")
    try:
        dead = cluster.killed(number, when, *segment.arguments)
        if dead.code != -9:
            return ("" if dead.code == segment.code else f"{point}: it was not killed\n{dead}"), False
        was_on = False
        if not is_over(cluster, when):
            wrong, was_on = reverted(cluster)
            if wrong:
                return f"{point}: {wrong}", was_on
        done = cluster.run("apply", "--resume", "--yes", "--through", segment.through)
        if done.code != segment.code:
            return f"{point}: the resume ended otherwise\n{done}", was_on
        return "\n".join(differences(cluster.state(), segment.after.state())), was_on
    finally:
        cluster.end()


def test_a_kill_while_the_guard_is_armed_is_reverted_within_its_time(
    segments: list[Segment], covered: Callable[[str], None]
) -> None:
    guarded = [each for each in segments if any("/jobs/meshup-guard" in write for write in each.writes)]
    assert len(guarded) >= 3, [each.through for each in segments]
    points = []
    for segment in guarded:
        numbers = armed(segment)
        of_one = [(segment, number, when) for number in numbers for when in ("before", "after")][1:]
        # Whatever share is taken, the last moments are in it: strict is on for everything there.
        points += [*of_one[:-6:EVERY], *of_one[-6:]]
    with ThreadPoolExecutor(2) as pool:
        told = list(pool.map(lambda point: played(*point), points))
    wrong = [text for text, _ in told if text]
    on = sum(1 for _, was_on in told if was_on)
    covered(
        f"guard: {len(points)} kills while it was armed, {on} with strict mode on; {len(points) - len(wrong)} permissive within its time, then resumed"
    )
    assert wrong == [], "\n\n".join(wrong[:5])
    assert on >= len(guarded)
