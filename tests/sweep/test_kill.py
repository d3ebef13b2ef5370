"""A real `meshup apply` is killed at every write it makes; one resume converges, a second one writes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from clusters import EXCEPTIONS, Cluster, Ran, Segment, differences, taken_back, with_pins

pytestmark = [pytest.mark.sweep, pytest.mark.xdist_group("kills")]

SIDE_BY_SIDE = 2
EVERY = int(os.environ.get("MESHUP_SWEEP_EVERY", "1"))
"""Take every so many points; 1 = all. For a quick look while working, never for a verdict."""
NOT_BEGUN = ("MU2305", "nothing was written: run ")
"""What a resume says when the call was killed before anything of it was recorded; the newest run is then another."""
BOTH = ("before", "after")
ENDED = "ended before that write"
State: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Point:
    """One kill: at which write of which segment, and on which side of its effect."""

    segment: Segment
    number: int
    when: str

    def __str__(self) -> str:
        return f"{self.segment.through} {self.when} {self.number}: {self.segment.writes[self.number - 1]}"


def is_journal(write: str) -> bool:
    """Tell whether a write is one of the journal's own."""
    return "/namespaces/meshup-system/configmaps" in write


def is_beat(write: str) -> bool:
    """Tell whether a write renews a Lease, which a run does again and again while it waits."""
    return "/leases/meshup" in write and not write.startswith("DELETE")


def points_of(segment: Segment) -> list[Point]:
    """Give both sides of every write."""
    return [Point(segment, number, when) for number in range(1, len(segment.writes) + 1) for when in BOTH]


def killed_and_resumed(
    point: Point, resume: tuple[str, ...], wanted: State, *, shape: Callable[[State], State] = dict
) -> str:
    """Play one point; "" or ENDED when all is as it should be, else what is wrong. shape: of the states compared."""
    cluster = point.segment.before.fork(f"kill-{abs(hash(str(point)))}")
    try:
        dead = cluster.killed(point.number, point.when, *point.segment.arguments)
        if dead.code == point.segment.code and len(cluster.writes()) < point.number:
            # Beats of a Lease follow time: this run needed fewer of them, and ended by itself.
            return "\n".join(differences(shape(cluster.state()), wanted)) or ENDED
        if dead.code != -9:
            return f"{point}: it was not killed\n{dead}"
        done = cluster.run(*resume)
        begun = not any(each in done.said for each in NOT_BEGUN)
        if not begun and (done.code != point.segment.code or differences(shape(cluster.state()), wanted)):
            done = cluster.run(*point.segment.arguments)
        if done.code != point.segment.code:
            return f"{point}: the resume ended otherwise\n{done}"
        wrong = differences(shape(cluster.state()), wanted)
        if wrong:
            return f"{point}: another state\n" + "\n".join(wrong)
        return _writes_nothing(cluster, point, resume)
    finally:
        cluster.end()


def _writes_nothing(cluster: Cluster, point: Point, resume: tuple[str, ...]) -> str:
    cluster.forget_writes()
    again: Ran = cluster.run(*resume)
    if again.code != point.segment.code or cluster.writes():
        return f"{point}: a second resume wrote {cluster.writes()}\n{again}"
    return ""


def swept(points: list[Point], play: Callable[[Point], str]) -> list[str]:
    """Play points side by side; give what came of each."""
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        return list(pool.map(play, points[::EVERY]))


def told(what: str, points: list[Point], found: list[str]) -> str:
    """Say in one line how much was covered."""
    chosen = points[::EVERY]
    journal = sum(1 for each in chosen if is_journal(each.segment.writes[each.number - 1]))
    beats = sum(1 for each in chosen if is_beat(each.segment.writes[each.number - 1]))
    ended = sum(1 for each in found if each == ENDED)
    return (
        f"{what}: {len(chosen)} / {len(points)} kill points covered, {found.count('') + ended} as they should be; "
        f"{journal} at the journal's own writes, {beats} at beats of a Lease; {ended} runs needed fewer beats and ended before"
    )


@pytest.mark.parametrize("runbook", ["segments", "upgrading"])
def test_every_write_of_an_apply(runbook: str, request: pytest.FixtureRequest, covered: Callable[[str], None]) -> None:
    segments: list[Segment] = request.getfixturevalue(runbook)
    points = [point for segment in segments for point in points_of(segment)]
    assert points
    ends = {each.through: each.after.state() for each in segments}

    def play(point: Point) -> str:
        resume = ("apply", "--resume", "--yes", "--through", point.segment.through)
        return killed_and_resumed(point, resume, ends[point.segment.through])

    found = swept(points, play)
    covered(told("apply" if runbook == "segments" else "apply of an upgrade", points, found))
    wrong = [each for each in found if each not in ("", ENDED)]
    assert wrong == [], "\n\n".join(wrong[:5])


def test_every_write_of_a_rollback(first: Cluster, segments: list[Segment], covered: Callable[[str], None]) -> None:
    last = segments[-1].after
    after = last.fork("rolled-back")
    arguments = ("rollback", "--run", "newest", "--yes")
    done = after.run(*arguments)
    assert done.code == 0, str(done)
    segment = Segment("rollback", arguments, last, after, tuple(after.writes()), done.code)
    try:
        wanted = taken_back(first.state())
        assert differences(taken_back(after.state()), wanted) == []
        points = points_of(segment)
        resume = ("apply", "--resume", "--yes")
        found = swept(points, lambda point: killed_and_resumed(point, resume, wanted, shape=taken_back))
        covered(told("rollback --run", points, found))
        wrong = [each for each in found if each not in ("", ENDED)]
        for each in EXCEPTIONS:
            covered(f"  exception: {each}")
        assert wrong == [], "\n\n".join(wrong[:5])
    finally:
        after.end()


def without_summaries(state: State) -> State:
    """Leave out MeshRun: the run that brings the kind has a summary only when it was resumed."""
    return {name: each for name, each in state.items() if not name.startswith("MeshRun ")}


def test_every_write_of_a_run_that_installs_the_ledger(first: Cluster, covered: Callable[[str], None]) -> None:
    """Its kinds are served before they are used, its policies are proven, and a rollback from anywhere leaves all of it."""
    before = first.fork("ledger")
    done = before.run("init", "-f", "ledger.yaml", "--force")
    assert done.code == 0, str(done)
    book = before.work / "ledger.yaml"
    text = book.read_text("utf-8")
    start, offered, end = (
        text.index(each) for each in ("  - name: preflight", "  # - name: preflight", "\n\n  # The control")
    )
    book.write_text(text[:start] + text[offered:end].replace("  # ", "  ") + text[end:], "utf-8")
    before.forget_writes()
    after = before.fork("ledger-after")
    arguments = ("apply", "-f", "ledger.yaml", "--yes", "--through", "preflight")
    try:
        done = after.run(*arguments)
        assert done.code == 0, str(done)
        segment = Segment("preflight", arguments, before, after, tuple(after.writes()), done.code)
        wanted = without_summaries(after.state())
        ledger = {name for name in wanted if "meshup" in name and not name.startswith("Namespace")}
        assert len(ledger) > 20
        points = points_of(segment)
        resume = ("apply", "--resume", "--yes", "--through", "preflight")
        found = swept(points, lambda point: killed_and_resumed(point, resume, wanted, shape=without_summaries))
        covered(told("install-ledger", points, found))
        wrong = [each for each in found if each not in ("", ENDED)]
        assert wrong == [], "\n\n".join(wrong[:5])
        back = after.run("rollback", "--run", "newest", "--yes")
        assert back.code == 0, str(back)
        assert {name for name in after.state() if name in ledger} == ledger
    finally:
        after.end()
        before.end()


def test_every_write_of_an_owners_rollback(segments: list[Segment], covered: Callable[[str], None]) -> None:
    """The record and its copy are never lost or doubled, and its rollback goes on with the pin alone."""
    onboarded = [each for each in segments if each.through.startswith("onboard")][-1].after
    after = onboarded.fork("owner")
    arguments = ("rollback", "cart", "--to", "1.29.4", "--reason", "timeouts", "--until", "7d")
    done = after.run(*arguments)
    assert done.code == 0, str(done)
    segment = Segment("rollback cart", arguments, onboarded, after, tuple(after.writes()), done.code)
    try:
        wanted = with_pins(after.state())
        recorded = {each for each in wanted if each.startswith(("MeshPin ", "Copy "))}
        assert recorded == {"MeshPin cart 0", "Copy cart 0"}
        assert not [each for each in segment.writes if "/leases/" in each]
        points = points_of(segment)
        resume = ("rollback", "shop/cart", "--resume")
        found = swept(points, lambda point: killed_and_resumed(point, resume, wanted, shape=with_pins))
        covered(told("rollback SERVICE", points, found))
        wrong = [each for each in found if each not in ("", ENDED)]
        assert wrong == [], "\n\n".join(wrong[:5])
    finally:
        after.end()


WORDS = (
    ("opt-in", "cart", "-n", "shop", "--wave", "wave-2", "--reason", "ready"),
    ("opt-out", "shop/cart", "--reason", "not ready"),
    ("unpin", "shop/cart", "--reason", "mended"),
    ("rollback", "--from", "back.yaml"),
)


@pytest.mark.parametrize("arguments", WORDS, ids=lambda each: each[0])
def test_every_write_of_what_an_owner_says(
    arguments: tuple[str, ...], segments: list[Segment], covered: Callable[[str], None]
) -> None:
    """The same command again leaves one record, and a third time writes nothing."""
    before = [each for each in segments if each.through.startswith("onboard")][-1].after.fork(f"owner-{arguments[0]}")
    wish = ("rollback", "cart", "-n", "shop", "--to", "1.29.4", "--reason", "timeouts", "--until", "7d")
    if arguments[0] == "unpin":
        done = before.run(*wish)
        assert done.code == 0, str(done)
    if "--from" in arguments and not (before.work / "back.yaml").exists():
        done = before.run(*wish, "--write", "back.yaml")
        assert done.code == 0, str(done)
    before.forget_writes()
    after = before.fork(f"owner-{arguments[0]}-after")
    try:
        done = after.run(*arguments)
        assert done.code == 0, str(done)
        segment = Segment(" ".join(arguments[:2]), arguments, before, after, tuple(after.writes()), done.code)
        points = points_of(segment)
        assert points
        wanted = with_pins(after.state())
        found = swept(points, lambda point: killed_and_resumed(point, arguments, wanted, shape=with_pins))
        covered(told(segment.through, points, found))
        wrong = [each for each in found if each not in ("", ENDED)]
        assert wrong == [], "\n\n".join(wrong[:5])
    finally:
        after.end()
        before.end()


def test_the_folder_is_not_needed_to_resume(segments: list[Segment], tmp_path: Path) -> None:
    """A colleague has a kubeconfig and nothing else."""
    segment = max(segments, key=lambda each: len(each.writes))
    cluster = segment.before.fork("colleague")
    try:
        cluster.killed(len(segment.writes) // 2 or 1, "after", *segment.arguments)
        cluster.work = tmp_path
        done = cluster.run("apply", "--resume", "--yes", "--through", segment.through)
        assert done.code == segment.code, str(done)
        assert differences(cluster.state(), segment.after.state()) == []
    finally:
        cluster.end()
