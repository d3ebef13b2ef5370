"""An upgrade under traffic whose process is killed twelve times comes to what one that nobody kills comes to."""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from conftest import Person
from installed import Installed
from owners import home_of
from runs import Event, Moments, Running
from same import snapshot, written_by_people
from small import written
from town import NEW, OLD, Town, kubectl, standing
from upgrading import (
    EVERYBODY,
    LEADS_OLD,
    Unmeshed,
    all_on,
    applied,
    compared_soon,
    images,
    leads,
    led,
    moved_on,
    onboarding,
)

from e2e import lab
from e2e.lab.kubectl import apply_gateway_api
from e2e.providers import Provider

pytestmark = [pytest.mark.e2e, pytest.mark.faults, pytest.mark.lab]
SEED = int(os.environ.get("MESHUP_E2E_SEED", "20261126"))
KILLS = {
    "control-plane": 3,
    "qualify/critical": 3,
    "gateway/100-percent": 1,
    "spread/small": 1,
    "spread/last": 1,
    "minimise": 2,
}
"""Place -> how often the process dies in it, each time at another moment that a seed chooses."""
COMPARED = "qualify/critical"
"""There it dies once more, while both revisions are compared."""


@pytest.fixture(scope="module")
def town(provider: Provider, evidence: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A real cluster with an application without a mesh, and callers that never stop."""
    if provider.name != "lab":
        pytest.skip("it is written for the images and addresses of the lab: PROVIDER=lab")
    folder = tmp_path_factory.mktemp("killed")
    with provider.cluster() as reached, evidence(reached, "upgrade-killed"):
        apply_gateway_api(reached.lab)
        with standing(Unmeshed(folder), "upgrade-killed") as made:
            yield made


@pytest.fixture
def platform(programs: Installed, town: Town) -> Iterator[Person]:
    """The platform engineer; no call of theirs outlives the test."""
    yield home_of(town, programs, "platform", lab.Home().kubeconfig)
    Running.end_all()


def workloads(state: Mapping[str, Any]) -> dict[str, Any]:
    """Give what people wrote of everybody's workloads, without the one label that an upgrade changes."""
    found = {}
    for name, each in state.items():
        kind, _, about = name.partition(" ")
        if kind in ("Deployment", "StatefulSet") and about in EVERYBODY:
            found[about] = written_by_people(each)
            # The pods of a namespace that leads by a tag have none.
            found[about]["spec"]["template"]["metadata"]["labels"].pop("istio.io/rev", None)
    return found


@dataclass(frozen=True, slots=True)
class Kill:
    """One moment at which the process dies. at: its number. waits: so many looks into the comparison instead, 0 = not."""

    place: str
    at: int
    waits: int = 0

    def reached(self, moments: Moments) -> Callable[[Event], bool]:
        """Tell the event at which it dies; one that is past its moment, as an earlier kill came late, will do."""
        wanted = moments.names[self.at]
        heard = 0

        def told(event: Event) -> bool:
            nonlocal heard
            number = moments.number(event)
            if self.waits:
                heard += event["event"] == "waits" and event["gate"].endswith("/canary")
                return heard >= self.waits or (event["event"] == "place-ended" and number >= self.at)
            if event["event"] == "gate-answered":
                return wanted == ("gate-answered", self.place) and number == self.at
            return number >= self.at

        return told


def chosen(moments: Moments, chance: random.Random, *, rest: Collection[str]) -> list[Kill]:
    """Give every kill, in order. rest: ids of the changes that let what was held go on.

    The last place is never left to its end, as nothing would be there to kill.
    """
    found = []
    for place, count in KILLS.items():
        within = list(moments.of_place(place))[:-1]
        if place == "minimise":
            within = within[: len(within) // 2]
        several = [Kill(place, each) for each in sorted(chance.sample(within, count))]
        if place == COMPARED:
            # What lets the rest move, and the gates that follow, come after the comparison.
            late = [
                each
                for each in several
                if moments.names[each.at][0] == "gate-answered" or moments.names[each.at][1] in rest
            ]
            early = [each for each in several if each not in late]
            several = [*early, Kill(place, within[-1], waits=chance.randint(1, 4)), *late]
        found += several
    return found


@pytest.mark.usefixtures("told")
def test_an_upgrade_that_is_killed_twelve_times_is_as_one_that_nobody_kills(town: Town, platform: Person) -> None:
    written(onboarding(judged=False), platform.home)
    platform.meshup("ledger", "install", "--yes")
    with town.stage("everybody comes to the older release"):
        applied(town, platform)
    assert images() == all_on(OLD.proxy_image)
    led(town)
    assert images() == all_on(OLD.proxy_image)
    assert leads() == LEADS_OLD
    town.ask_through("edge-istio", "istio-ingress")
    before = workloads(snapshot(kubectl))
    written(onboarding(judged=True), platform.home)
    new = ["--to", NEW.version, "--manifests", str(lab.istioctl(NEW)), "--soak", "3s", "--keep", "3s"]
    platform.meshup("upgrade", *new, "--into", "newer.yaml")
    compared_soon(platform.home / "newer.yaml")
    view = platform.meshup("plan", "-f", "newer.yaml", "--out", "all.plan.json", "-o", "json").document()
    moments, chance = Moments(view), random.Random(SEED)
    waves = [wave for each in view["stages"] for wave in each["waves"]]
    rest = {each["id"] for wave in waves for each in wave["changes"] if each["place"] == "rest"}
    kills = chosen(moments, chance, rest=rest)
    assert len(kills) == 12
    sys.stderr.write(f"\nMESHUP_E2E_SEED={SEED}\n")
    with town.stage("an upgrade that is killed twelve times"):
        for number, each in enumerate(kills):
            run = Running(platform, "apply", *(("--resume",) if number else ("all.plan.json",)))
            event = run.until(each.reached(moments))
            time.sleep(chance.uniform(0.0, 0.2))
            run.kill()
            about = event.get("change") or event.get("gate") or each.place
            sys.stderr.write(f"killed {number + 1} of {len(kills)}: {event['event']} {about}\n")
        last = Running(platform, "apply", "--resume").ended()
    assert last["stopped"] == ""
    moved_on()
    assert workloads(snapshot(kubectl)) == before, "nothing that held, marked or restarted anything is left"
    with town.stage("once more"):
        again = Running(platform, "apply", "--resume")
        assert again.ended()["changes"]["written"] == 0
        assert applied(town, platform, "-f", "newer.yaml")["changes"]["written"] == 0
    judged = json.loads(platform.meshup("replay", "-o", "json").out)
    assert judged["same"], "every verdict of the newest run is made again from what was kept"
    failed = {row["stage"]: row["why"] for row in town.report.rows if row["failed"]}
    assert failed == {}, town.report.tell()
