"""One whole run of the shop, performed once for every sweep: its parts, and the clusters between them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from clusters import Cluster, Segment, serve


def places(plan: dict) -> list[str]:
    """Give every place a run may stop at, in order."""
    found = []
    for stage in plan["stages"]:
        names = [wave["name"] for wave in stage["waves"] if wave["name"]]
        found += [f"{stage['name']}/{name}" for name in names] or [stage["name"]]
    return found


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The shop with a runbook and a plan, nothing applied."""
    cluster = serve(tmp_path_factory.mktemp("sweep"), "shop")
    try:
        prepare(cluster)
        yield cluster
    finally:
        cluster.end()


def prepare(cluster: Cluster) -> None:
    """Write runbook and plan. Evidence windows are short: nobody is plaintext here, and each point waits for them."""
    done = cluster.run("init")
    assert done.code == 0, str(done)
    runbook = cluster.work / "meshup.yaml"
    text = runbook.read_text("utf-8")
    assert 'window: "10m"' in text
    runbook.write_text(text.replace('window: "10m"', 'window: "1m"'), "utf-8")
    done = cluster.run("plan", "--out", "p.plan.json")
    assert done.code == 0, str(done)


def performed(first: Cluster, plan: str) -> Iterator[list[Segment]]:
    """Perform a saved plan in parts, once without a kill; the clusters between them stay."""
    found: list[Segment] = []
    before = first
    shown = first.run("show", plan, "-o", "json")
    for number, through in enumerate(places(json.loads(shown.said))):
        after = before.fork(f"{plan}-{number}")
        how = (plan,) if number == 0 else ("--resume",)
        arguments = ("apply", *how, "--yes", "--through", through)
        done = after.run(*arguments)
        assert done.code in (0, 3), str(done)
        found.append(Segment(through, arguments, before, after, tuple(after.writes()), done.code))
        before = after
        if done.code:
            break
    assert found
    yield found
    for each in found:
        each.after.end()


@pytest.fixture(scope="session")
def segments(first: Cluster) -> Iterator[list[Segment]]:
    """The whole onboarding in parts."""
    yield from performed(first, "p.plan.json")


@pytest.fixture(scope="session")
def upgrading(segments: list[Segment]) -> Iterator[list[Segment]]:
    """The upgrade of what was onboarded, strict mode and all, in parts. Soak and keep-time are short."""
    before = segments[-1].after.fork("upgrade")
    try:
        before.forget_writes()
        done = before.run(
            "upgrade", "--to", "1.31.0", "--soak", "30s", "--keep", "30s", "--out", "up.plan.json", "--force"
        )
        assert done.code == 0, str(done)
        assert before.writes() == []
        yield from performed(before, "up.plan.json")
    finally:
        before.end()
