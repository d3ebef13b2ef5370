"""The whole main job on a real cluster, by the installed command, while callers inside and outside never stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from conftest import Person
from installed import Installed
from load import wait_until
from same import differences, snapshot, written_by_people
from town import NEW, OLD, Town, get, kubectl, proxies, standing, strict_policies

from e2e import lab
from e2e.lab.kubectl import apply_gateway_api
from e2e.providers import Provider

pytestmark = [pytest.mark.e2e, pytest.mark.rollout, pytest.mark.lab]
HERE = Path(__file__).resolve().parent
GUARD_S = 30
PINNED = "Deployment shop/cart"
"""Its owner took it back: a run that is taken back later leaves it where its owner put it, marks and annotations included."""


@pytest.fixture(scope="module")
def town(provider: Provider, evidence: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A real cluster with an application; its logs are kept when a test fails, and the report in any case."""
    if provider.name != "lab":
        pytest.skip("the rollout is written for the images and addresses of the lab: PROVIDER=lab")
    folder = tmp_path_factory.mktemp("rollout")
    with provider.cluster() as reached, evidence(reached, "rollout"):
        apply_gateway_api(reached.lab)
        with standing(Town(folder), "rollout") as made:
            yield made


@pytest.fixture(scope="module")
def platform(programs: Installed, town: Town) -> Person:
    """The platform engineer, with the mesh's own program on PATH."""
    home = town.folder / "platform"
    home.mkdir()
    path = f"{lab.istioctl(NEW).parent}{os.pathsep}{programs.bin}{os.pathsep}{os.environ['PATH']}"
    return Person(programs=programs, home=home, kubeconfig=lab.Home().kubeconfig, more={"PATH": path})


def tuned(person: Person, *, watched: str = "65s") -> None:
    """Shorten what a day of a real rollout would take, as an editor would.

    watched: how long nobody may call in plaintext; a CronJob that runs each minute is seen within 65 s.
    """
    path = person.home / "meshup.yaml"
    text = path.read_text("utf-8")
    for old, new in (
        ('window: "2m"', 'window: "45s"'),
        ('every: "15s"', 'every: "2s"'),
        (
            '{plaintext-callers: {window: "10m"}, patience: {limit: "30m", every: "60s"',
            f'{{plaintext-callers: {{window: "{watched}"}}, patience: {{limit: "4m", every: "5s"',
        ),
        ("prometheus:9090}", "prometheus:9090, ingestDelay: 4s}"),
        ("levels: [workload, namespace, mesh]", f"levels: [workload, namespace, mesh], guard-after: {GUARD_S}s"),
    ):
        assert old in text, f"{old} is not in\n{text}"
        text = text.replace(old, new)
    path.write_text(text.replace('every: "5s"', 'every: "2s"'), "utf-8")


def applied(town: Town, person: Person, *arguments: str, command: str = "apply", code: int = 0) -> dict[str, Any]:
    """Apply and give the last document; every event is kept beside the report."""
    said = person.meshup(command, *arguments, "--yes", "-o", "events", code=None, timeout=1500)
    town.keep(said)
    assert said.code == code, f"{said}"
    return json.loads(said.out.splitlines()[-1])


def writes(since: float) -> list[str]:
    """Give the mutating requests of the platform engineer since a moment, from the API server's audit log."""
    found = []
    for line in lab.Home().audit_log.read_text("utf-8").splitlines():
        row = json.loads(line)
        if (
            row["user"]["username"] != "admin"
            or "dryRun" in row["requestURI"]
            or not row.get("userAgent", "").startswith("meshup")
        ):
            continue
        at = time.mktime(time.strptime(row["stageTimestamp"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
        if at >= since and row["verb"] in ("create", "update", "patch", "delete", "deletecollection"):
            if "reviews" not in row["requestURI"]:
                found.append(f"{row['verb']} {row['requestURI']}")
    return found


@pytest.mark.usefixtures("told")
def test_the_whole_rollout(town: Town, platform: Person) -> None:
    before = snapshot(kubectl)

    with town.stage("as it was"):
        time.sleep(5)
    values = HERE / "values.yaml"
    platform.meshup("init", "--values", str(values))
    tuned(platform)
    platform.meshup("lint")
    with town.stage("plan"):
        platform.meshup("plan", "--out", "first.plan.json", timeout=120)
    assert differences(before, snapshot(kubectl)) == {}, "looking writes nothing"

    with town.stage("ingress"):
        ended = applied(town, platform, "first.plan.json", "--through", "ingress")
    assert ended["places"][-1]["place"] == "ingress"
    with town.stage("traffic moves to the new gateway"):
        town.ask_through("edge-istio", "istio-ingress")
        time.sleep(5)
    for wave in ("wave-1", "wave-2", "wave-3"):
        with town.stage(f"onboard/{wave}"):
            applied(town, platform, "first.plan.json", "--through", f"onboard/{wave}")
    for namespace, app in (
        ("front", "web"),
        ("shop", "catalog"),
        ("shop", "reviews"),
        ("shop", "cart"),
        ("data", "ledger"),
        ("data", "orders-db"),
    ):
        assert proxies(namespace, app) == {NEW.proxy_image}, (namespace, app)
    assert proxies("shop", "search") == set(), "who did not opt in is left alone"

    with town.stage("strict is held by the plaintext client"):
        held = applied(town, platform, "first.plan.json", code=3)
    assert held["stopped"] == "strict/workload"
    assert "plaintext-callers" in held["why"]
    assert any("CronJob data/reports (owner team-data)" in line for line in held["details"]), held["details"]

    kubectl("annotate", "cronjob", "reports", "--namespace=data", "meshup.dev/opt-in=dan 2026-11-20T09:00:00Z")
    platform.meshup("init", "--values", str(values), "--force")
    tuned(platform, watched="25s")
    platform.meshup("plan", "--out", "second.plan.json", timeout=120)
    with town.stage("the client is enrolled"):
        applied(town, platform, "second.plan.json", "--through", "mtls")

    with town.stage("strict, killed, and taken back by the guard"):
        killed_while_strict(town, platform, "second.plan.json")
    with town.stage("strict"):
        applied(town, platform, "--resume")
    with town.stage("strict holds"):
        refused = town.plaintext_answer("http://cart.shop/debug")
        assert refused == "refused", refused
        time.sleep(10)
    with town.stage("a second apply"):
        began = time.time()
        again = applied(town, platform, "second.plan.json")
        assert again["changes"]["written"] == 0
        assert writes(began) == []

    with town.stage("cart goes back to the older release"):
        applied(
            town,
            platform,
            "cart",
            "--to",
            OLD.version,
            "--reason",
            "timeouts to ledger",
            "--until",
            "7d",
            command="rollback",
        )
    assert proxies("shop", "cart") == {OLD.proxy_image}
    (pin,) = get("meshpins.meshup.dev", namespace="shop")
    assert (pin["spec"]["from"]["release"], pin["spec"]["to"]["release"]) == (NEW.version, OLD.version)
    assert pin["spec"]["requestedBy"]["username"] == "admin", "as the server authenticated"
    told = platform.meshup("report", "-o", "json").document()
    assert [each["service"] for each in told["rollbacks"]] == ["shop/cart"]

    with town.stage("strict is taken back"):
        applied(town, platform, "--stage", "strict", command="rollback")
    assert strict_policies() == []
    assert town.plaintext_answer("http://catalog.shop/debug") == "200"
    with town.stage("traffic moves back to the old ingress"):
        town.ask_through("nginx-ingress", "edge")
        time.sleep(5)
    for run in (again["run"], ended["run"]):
        with town.stage(f"run {run} is taken back"):
            applied(town, platform, "--run", run, command="rollback")
    kubectl("annotate", "cronjob", "reports", "--namespace=data", "meshup.dev/opt-in-")
    with town.stage("as it was again"):
        time.sleep(5)
    after = snapshot(kubectl)
    assert set(differences(before, after)) == {PINNED}
    assert written_by_people(after[PINNED]) == written_by_people(before[PINNED])
    failed = {row["stage"]: row["why"] for row in town.report.rows if row["failed"]}
    assert failed == {}, town.report.tell()


def killed_while_strict(town: Town, person: Person, plan: str) -> None:
    """Kill apply once a policy is strict; the guard must take it back within its time."""
    command = [str(person.programs.meshup), "apply", plan, "--yes", "-o", "events"]
    process = subprocess.Popen(
        command, cwd=person.home, env=person.env, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL
    )
    assert process.stdout is not None
    with process.stdout as events:
        last = ""
        assert any(strict_policies() for last in events), f"it ended before strict was on: {last}"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert strict_policies(), "it was killed while strict was on"
    began = time.monotonic()
    wait_until("the guard put permissive back", lambda: not strict_policies(), limit_s=GUARD_S + 30)
    sys.stderr.write(
        f"guard: permissive again {time.monotonic() - began:.1f} s after the kill, at most {GUARD_S} + 10\n"
    )
