"""What goes wrong on a real cluster, and how the installed command ends then: by its exit codes and its JSON.

The mesh comes from a rollout that is killed twelve times; every other fault has services of its own.
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from conftest import Person
from installed import Installed
from load import wait_until
from runs import Event, Moments, Running, answered, change_of, stopped_by
from small import (
    ASKS_IT,
    CALLS,
    QUICK,
    REVISION,
    SPEAKS_FIRST,
    apply,
    fortio,
    patience,
    plain,
    python,
    releases,
    runbook,
    served,
    settled,
    stage,
    workload,
    written,
)
from town import NEW, get, kubectl, pods, strict_policies

from e2e import lab
from e2e.lab import audit
from e2e.providers import Provider

pytestmark = [pytest.mark.e2e, pytest.mark.faults, pytest.mark.lab]
SEED = int(os.environ.get("MESHUP_E2E_SEED", "20261125"))
KILLS_INSTALLING, KILLS_AFTER = 4, 8
FIRST, SECOND = ("shop/echo", "front/web"), ("shop/cart", "front/reviews")
PLANE = f"istiod-{REVISION}"
INJECTOR = f"istio-sidecar-injector-{REVISION}"
MESHED, BARE = frozenset({NEW.proxy_image}), frozenset({""})


@pytest.fixture(scope="module")
def cluster(provider: Provider, evidence: Any) -> Iterator[None]:
    """A real cluster with two namespaces."""
    if provider.name != "lab":
        pytest.skip("faults are made in the lab's own processes and images: PROVIDER=lab")
    with provider.cluster() as reached, evidence(reached, "faults"):
        apply(*({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in ("front", "shop")))
        yield


@pytest.fixture(scope="module")
def hire(programs: Installed, cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Person]:
    """Give platform engineers, each with a home of their own and the mesh's own program on PATH."""
    path = f"{lab.istioctl(NEW).parent}{os.pathsep}{programs.bin}{os.pathsep}{os.environ['PATH']}"

    def hired() -> Person:
        home = tmp_path_factory.mktemp("person")
        return Person(programs=programs, home=home, kubeconfig=lab.Home().kubeconfig, more={"PATH": path})

    return hired


@dataclass(frozen=True, slots=True)
class Killed:
    """A rollout that was killed again and again.

    at: the moments. last: how the call that was let through ended. again: how one more ended, and asked: what the audit
    log holds of it.
    """

    at: tuple[tuple[str, str], ...]
    last: Event
    again: Event
    asked: tuple[Event, ...]


@pytest.fixture(scope="module")
def killed(hire: Callable[[], Person]) -> Killed:
    """The mesh and four services on it, by one run whose process was killed twelve times at seeded moments."""
    apply(*plain(*FIRST, *SECOND))
    person = hire()
    waves = {"wave-1": FIRST, "wave-2": SECOND}
    in_sync = patience("proxies-in-sync", limit="60s")
    written(
        runbook(
            "killed",
            waves,
            stages=[
                stage("mesh", "install-control-plane", gates=QUICK[:1]),
                stage("onboard", "enrol", waves=list(waves), gates=[*QUICK, in_sync]),
                stage("mtls", "permissive", gates=[in_sync]),
            ],
        ),
        person.home,
    )
    moments = Moments(person.meshup("plan", "--out", "all.plan.json", "-o", "json").document())
    chance = random.Random(SEED)
    installing = moments.of_place("mesh")
    after = range(installing.stop, len(moments.names) - 1)
    chosen = sorted([*chance.sample(installing, KILLS_INSTALLING), *chance.sample(after, KILLS_AFTER)])
    sys.stderr.write(f"\nMESHUP_E2E_SEED={SEED}: killed at {[moments.names[each] for each in chosen]}\n")
    for number, at in enumerate(chosen):
        run = Running(person, "apply", *(("--resume",) if number else ("all.plan.json",)))
        run.until(lambda event, at=at: moments.number(event) >= at)
        run.kill()
    last = Running(person, "apply", "--resume").ended()
    mark = audit.mark()
    # At once: the newest run is what is resumed, and other tests make runs of their own.
    again = Running(person, "apply", "--resume").ended()
    asked = tuple(audit.requests(since=mark, user="admin"))
    return Killed(tuple(moments.names[each] for each in chosen), last, again, asked)


@pytest.fixture
def platform(killed: Killed, hire: Callable[[], Person]) -> Person:
    """A platform engineer, where the mesh is installed."""
    return hire()


@pytest.fixture(autouse=True)
def nothing_goes_on() -> Iterator[None]:
    """End what a test that failed left running, so that the next one has the cluster for itself."""
    yield
    Running.end_all()


def scaled(namespace: str, deployment: str, replicas: int) -> None:
    """Scale, and wait until nobody or somebody answers behind it."""
    kubectl("scale", f"deployment/{deployment}", f"--namespace={namespace}", f"--replicas={replicas}")
    if replicas:
        settled(f"{namespace}/{deployment}")


def injector_gone() -> None:
    """Take the control plane away, and wait until its webhook has nobody to call.

    A pod that is on its way out still answers an API server that kept its connection.
    """
    scaled("istio-system", PLANE, 0)

    def nobody() -> bool:
        slices = json.loads(
            kubectl(
                "get",
                "endpointslices",
                "--namespace=istio-system",
                f"--selector=kubernetes.io/service-name={PLANE}",
                "--output=json",
            )
        )["items"]
        ready = [each for one in slices for each in one["endpoints"] or () if each["conditions"].get("ready")]
        return not ready and not pods("istio-system", "istiod")

    wait_until("nobody answers for the injector", nobody, limit_s=60)


def failure_policy(policy: str) -> None:
    """Set what becomes of a pod when the injector does not answer."""
    hooks = get("mutatingwebhookconfiguration", INJECTOR)["webhooks"]
    patch = [{"op": "replace", "path": f"/webhooks/{at}/failurePolicy", "value": policy} for at in range(len(hooks))]
    kubectl("patch", "mutatingwebhookconfiguration", INJECTOR, "--type=json", f"--patch={json.dumps(patch)}")


def lets_pods_in(namespace: str) -> None:
    """Wait until a pod that wants a proxy is admitted: the API server learns of a changed webhook by watching it."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "asks", "namespace": namespace, "labels": {"istio.io/rev": REVISION}},
        "spec": {"containers": [{"name": "asks", "image": "asks"}]},
    }

    def admitted() -> bool:
        try:
            kubectl("create", "--dry-run=server", "--filename=-", stdin=json.dumps(pod))
        except lab.LabError:
            return False
        return True

    wait_until("the injector's absence is ignored", admitted, limit_s=60)


def exchange_metadata(value: str) -> None:
    """Switch on or off what stock Envoy rejects, on the control plane."""
    setting = f"PILOT_ENABLE_METADATA_EXCHANGE={value}"
    kubectl("set", "env", f"deployment/{PLANE}", "--namespace=istio-system", setting)
    settled(f"istio-system/{PLANE}")


def how(ended: Event) -> dict[str, str]:
    """Give place -> how it ended."""
    return {each["place"]: each["how"] for each in ended["places"]}


def goes_on(person: Person) -> Event:
    """Resume once, to the end."""
    return Running(person, "apply", "--resume").ended()


def test_one_run_that_is_killed_twelve_times_reaches_the_declared_state(killed: Killed) -> None:
    assert len(killed.at) == KILLS_INSTALLING + KILLS_AFTER
    assert set(how(killed.last)) == {"mesh", "onboard/wave-1", "onboard/wave-2", "mtls"}
    assert set(how(killed.last).values()) == {"done"}
    services = (*FIRST, *SECOND)
    assert releases(*services) == dict.fromkeys(services, MESHED)
    for each in services:
        namespace, _, name = each.partition("/")
        notes = get("deployment", name, namespace)["metadata"]["annotations"]
        assert notes["deployment.kubernetes.io/revision"] == "2", f"{each} was restarted once, whatever was killed"
    (policy,) = get("peerauthentications.security.istio.io")
    assert policy["spec"]["mtls"]["mode"] == "PERMISSIVE"


def test_a_second_resume_writes_nothing(killed: Killed) -> None:
    ours = [each for each in killed.asked if each.get("userAgent", "").startswith("meshup")]
    assert ours, "the audit log was on"
    assert [f"{each['verb']} {each['requestURI']}" for each in ours if audit.is_write(each)] == []
    assert killed.again["changes"]["written"] == 0


def test_a_second_apply_is_refused_and_names_the_holder(platform: Person, hire: Callable[[], Person]) -> None:
    apply(*plain("shop/orders", "shop/returns"))
    waits = stage("onboard", "enrol", waves=["all"], gates=[*QUICK, {"soak": {"for": "14s"}}])
    written(runbook("first", {"all": ["shop/orders"]}, stages=[waits]), platform.home)
    other = hire()
    written(runbook("second", {"all": ["shop/returns"]}), other.home)
    run = Running(platform, "apply")
    run.until(change_of("shop/orders", "change-started"))
    refused = other.meshup("apply", "--yes", "-o", "json", code=6).document()
    assert (refused["exit"], refused["code"]) == (6, "MU2301")
    assert f" pid {run.process.pid}." in refused["what"], refused
    assert how(run.ended()) == {"onboard/all": "done"}
    assert releases("shop/orders", "shop/returns") == {"shop/orders": MESHED, "shop/returns": BARE}


def test_an_api_server_that_restarts_in_a_wave_costs_at_most_one_resume(platform: Person) -> None:
    apply(*plain("shop/stock"))
    written(runbook("restarted", {"all": ["shop/stock"]}), platform.home)
    run = Running(platform, "apply")
    run.until(change_of("shop/stock", "change-started"))
    lab.restart("kube-apiserver")
    ended = run.ended(0, 8)
    if ended["exit"] == 8:
        assert "resume" in ended["next"], ended
        ended = goes_on(platform)
    assert how(ended) == {"onboard/all": "done"}
    assert releases("shop/stock") == {"shop/stock": MESHED}


def test_a_quota_that_is_used_up_in_a_wave_is_named_and_the_wave_taken_back(platform: Person) -> None:
    services = ("front/basket", "shop/prices")
    apply(*plain(*services))
    written(runbook("quota", {"all": services}, one_by_one=True), platform.home)
    run = Running(platform, "apply")
    run.until(change_of("front/basket"))
    with run.still():
        quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "team", "namespace": "shop"}}
        apply({**quota, "spec": {"hard": {"pods": "1"}}})
        wait_until("the quota is counted", lambda: "used" in get("resourcequota", "team", "shop").get("status", {}))
    try:
        ended = run.ended(4)
    finally:
        kubectl("delete", "resourcequota", "team", "--namespace=shop")
    assert "exceeded quota: team" in ended["why"], ended
    assert (ended["code"], how(ended)) == ("MU3112", {"onboard/all": "undone"})
    assert stopped_by(ended)["object"] == "Deployment shop/prices"
    assert stopped_by(ended)["names"] == ["shop/prices"]
    assert releases(*services) == dict.fromkeys(services, BARE)
    assert how(goes_on(platform)) == {"onboard/all": "done"}
    assert releases(*services) == dict.fromkeys(services, MESHED)


def test_an_injector_that_is_gone_and_fails_closed_stops_the_wave_which_is_taken_back(platform: Person) -> None:
    services = ("front/mail", "shop/search")
    apply(*plain(*services))
    written(runbook("closed", {"all": services}, one_by_one=True), platform.home)
    run = Running(platform, "apply")
    run.until(change_of("front/mail"))
    with run.still():
        settled("front/mail")
        injector_gone()
    try:
        ended = run.ended(4)
        assert releases(*services) == dict.fromkeys(services, BARE), "back, while the injector is still away"
    finally:
        scaled("istio-system", PLANE, 1)
    assert "failed calling webhook" in ended["why"], ended
    assert (ended["code"], how(ended)) == ("MU3112", {"onboard/all": "undone"})
    assert stopped_by(ended)["names"] == ["shop/search"]
    assert how(goes_on(platform)) == {"onboard/all": "done"}
    assert releases(*services) == dict.fromkeys(services, MESHED)


def test_an_injector_that_is_gone_and_fails_open_is_seen_by_the_bare_pod_and_the_wave_taken_back(
    platform: Person,
) -> None:
    services = ("front/tips", "shop/offers")
    apply(*plain(*services))
    written(runbook("open", {"all": services}, one_by_one=True), platform.home)
    run = Running(platform, "apply")
    run.until(change_of("front/tips"))
    with run.still():
        settled("front/tips")
        failure_policy("Ignore")
        injector_gone()
        lets_pods_in("shop")
    try:
        ended = run.ended(4)
        assert releases(*services) == dict.fromkeys(services, BARE)
    finally:
        scaled("istio-system", PLANE, 1)
        failure_policy("Fail")
    verdict = stopped_by(ended)
    assert (verdict["kind"], verdict["answer"], verdict["names"]) == ("proxies-right", "fail", ["shop/offers"])
    assert "has no proxy" in verdict["because"], verdict
    assert verdict["because"] in ended["why"]
    assert (ended["code"], how(ended)) == ("MU3112", {"onboard/all": "undone"})
    assert how(goes_on(platform)) == {"onboard/all": "done"}
    assert releases(*services) == dict.fromkeys(services, MESHED)


def test_a_server_that_speaks_first_behind_a_port_called_http_is_named_and_taken_back(platform: Person) -> None:
    asks = {
        "readinessProbe": {"exec": {"command": ["python3", "-c", ASKS_IT]}, "periodSeconds": 2, "timeoutSeconds": 3}
    }
    port = served("front/greeter", port=4000, target=4000, publishNotReadyAddresses=True)
    apply(port, workload("front/greeter", python(SPEAKS_FIRST, **asks), deadline_s=20))
    written(runbook("speaks-first", {"all": ["front/greeter"]}), platform.home)
    ended = Running(platform, "apply").ended(4)
    assert (ended["code"], how(ended)) == ("MU3112", {"onboard/all": "undone"})
    assert stopped_by(ended)["names"] == ["front/greeter"]
    assert "Deployment front/greeter" in ended["why"], ended
    assert releases("front/greeter") == {"front/greeter": BARE}
    port["spec"]["ports"][0]["appProtocol"] = "tcp"
    apply(port)
    assert how(goes_on(platform)) == {"onboard/all": "done"}
    assert releases("front/greeter") == {"front/greeter": MESHED}


def test_a_workload_that_states_the_proxys_user_is_named_before_anything_is_written(platform: Person) -> None:
    apply(workload("shop/legacy", {**fortio(), "securityContext": {"runAsUser": 1337}}))
    first = {"name": "preflight", "gates": [{"preflight": {}}]}
    stages = [first, stage("onboard", "enrol", waves=["all"])]
    written(runbook("states-user", {"all": ["shop/legacy"]}, stages=stages), platform.home)
    ended = Running(platform, "apply").ended(3)
    assert ended["stopped"] == "preflight"
    verdict = stopped_by(ended)
    assert (verdict["kind"], verdict["answer"]) == ("preflight", "fail")
    (found,) = verdict["names"]
    assert found.startswith("reserved-user-and-ports: Deployment shop/legacy: it runs as user 1337"), found
    assert ended["changes"]["written"] == 0
    assert releases("shop/legacy") == {"shop/legacy": BARE}


def test_a_client_that_bypasses_its_proxy_keeps_strict_off_and_takes_it_back_when_it_comes_late(
    platform: Person,
) -> None:
    """It becomes the proxy's user at its start, which no manifest states."""
    clients = ("shop/caller", "front/agent")
    apply(workload(clients[0], python(CALLS.format(user=0))))
    apply(workload(clients[1], python(CALLS.format(user=1337), securityContext={"runAsUser": 0})))
    # Each request on a connection of its own, or a client that goes on makes none that could be counted.
    rule = {"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule"}
    fresh = {"connectionPool": {"http": {"maxRequestsPerConnection": 1}}}
    spec = {"host": "echo.shop.svc.cluster.local", "trafficPolicy": fresh}
    apply({**rule, "metadata": {"name": "echo", "namespace": "shop"}, "spec": spec})
    evidence = patience("plaintext-callers", limit="60s", every="3s", least=1, params={"window": "10s"})
    strict = {
        "name": "strict",
        "before": [patience("guard-armed", limit="60s"), evidence],
        "steps": [{"strict": {"levels": ["workload"], "guard-after": "30s"}}],
        "gates": [patience("strict-holds", limit="60s", every="2s", in_a_row=20, least=1, window="60s")],
    }
    waves = {"all": ["shop/echo", *clients]}
    stages = [stage("onboard", "enrol", waves=["all"]), strict]
    written(runbook("bypassed", waves, stages=stages, clients=clients), platform.home)

    held = Running(platform, "apply").ended(3)
    assert (held["stopped"], how(held)["strict/workload"]) == ("strict/workload", "held")
    verdict = stopped_by(held)
    assert (verdict["kind"], verdict["answer"]) == ("plaintext-callers", "fail")
    assert verdict["object"].startswith("Deployment front/agent"), verdict
    assert "Deployment front/agent (owner team-agent)" in held["why"], held
    assert strict_policies() == []

    scaled("front", "agent", 0)
    # A pod that is on its way out calls to its last moment.
    wait_until("its last pod is gone", lambda: not pods("front", "agent"))
    late = Running(platform, "apply", "--resume")
    late.until(answered("plaintext-callers"))
    wait_until("strict is on", lambda: strict_policies() == ["shop/meshup-echo"])
    scaled("front", "agent", 1)
    ended = late.ended(4)
    verdict = stopped_by(ended)
    assert (verdict["kind"], verdict["answer"]) == ("strict-holds", "fail")
    assert verdict["object"].startswith("Pod shop/echo-"), verdict
    assert "plaintext connections since strict mode" in ended["why"]
    assert (ended["code"], how(ended)["strict/workload"]) == ("MU3112", "undone")
    assert strict_policies() == []
    scaled("front", "agent", 0)


def test_a_configuration_that_proxies_reject_is_seen_and_the_wave_taken_back(platform: Person) -> None:
    apply(*plain("shop/ledger"))
    in_sync = patience("proxies-in-sync", limit="150s", every="2s", in_a_row=60)
    waits = stage("onboard", "enrol", waves=["all"], gates=[*QUICK, in_sync])
    written(runbook("rejected", {"all": ["shop/ledger"]}, stages=[waits]), platform.home)
    run = Running(platform, "apply")
    run.until(answered("proxies-right"))
    exchange_metadata("true")
    try:
        ended = run.ended(4)
    finally:
        exchange_metadata("false")
    verdict = stopped_by(ended)
    assert (verdict["kind"], verdict["answer"]) == ("proxies-in-sync", "fail")
    assert verdict["object"].startswith("Pod shop/ledger-"), verdict
    assert "rejected" in verdict["because"]
    assert (ended["code"], how(ended)) == ("MU3112", {"onboard/all": "undone"})
    assert releases("shop/ledger") == {"shop/ledger": BARE}
