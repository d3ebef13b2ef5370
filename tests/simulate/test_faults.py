"""Every fault does what its line says, is refused on what is not there, and ends when it is mended."""

from __future__ import annotations

import pytest

from meshup.model.transport import Request, TransportFailure
from meshup.simulate.api.problems import Refusal
from meshup.simulate.scenario import load
from meshup.simulate.world.edges import Seen
from meshup.simulate.world.faults import FAULTS, ON_SERVICE, ON_WORKLOAD


@pytest.fixture(scope="module")
def shop():
    return load("shop")


def restarted(shop, name="catalog", namespace="shop"):
    """Roll a Deployment and give its newest pods' container states after a while."""
    notes = {"spec": {"template": {"metadata": {"annotations": {"again": str(shop.clock.elapsed())}}}}}
    shop.server.objects.patch("deployments.apps", namespace, name, notes)
    shop.clock.advance(20)
    pods = [each for each in shop.server.objects.list("pods", namespace, {"app": name})]
    return max(pods, key=lambda each: each["metadata"]["creationTimestamp"])


def ready(pod):
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", ()))


def waiting(pod):
    found = [each["state"].get("waiting", {}).get("reason") for each in pod["status"].get("containerStatuses", ())]
    return next((each for each in found if each), "")


@pytest.mark.parametrize(
    ("kind", "reason"), [("image", "ImagePullBackOff"), ("crash", "CrashLoopBackOff"), ("slow-pods", None)]
)
def test_pods_of_a_workload_suffer_until_it_is_mended(shop, kind, reason):
    name = shop.world.inject({"fault": kind, "on": "shop/catalog"})
    pod = restarted(shop)
    assert not ready(pod)
    assert reason is None or waiting(pod) == reason
    assert shop.world.mend(name)
    shop.clock.advance(90)
    assert ready(restarted(shop))


def outcome(shop, count=60):
    """Ask the API server a harmless thing again and again; give what came of it."""
    found = []
    for _ in range(count):
        try:
            found.append(shop.server.send(Request(method="GET", path="/api/v1/namespaces/shop")).status)
        except TransportFailure:
            found.append(0)
    return set(found)


@pytest.mark.parametrize(("kind", "seen"), [("api-errors", 503), ("api-throttled", 429), ("api-resets", 0)])
def test_the_api_server_suffers_until_it_is_mended(shop, kind, seen):
    name = shop.world.inject({"fault": kind, "share": 0.3})
    assert outcome(shop) == {200, seen}
    shop.world.mend(name)
    assert outcome(shop) == {200}


def failed(shop, callee):
    """Give (errors, latency) of requests to a service, by whether its pods have a proxy and refuse plaintext."""
    edge = next(each for each in shop.world.traffic.edges if each.callee == callee)
    found = {}
    for proxy in (False, True):
        for strict in (False, True):
            seen = Seen(proxy=proxy, release="1.30.3")
            found[proxy, strict] = shop.world.traffic._harm(edge, seen, strict=strict)
    return found


@pytest.mark.parametrize(
    ("kind", "hit"),
    [
        ("server-first", {(True, False), (True, True)}),
        ("slow-when-meshed", {(True, False), (True, True)}),
        ("fails-when-strict", {(True, True), (False, True)}),
        ("broken", {(True, False), (True, True), (False, False), (False, True)}),
    ],
)
def test_requests_to_a_service_suffer_when_its_line_says_so(shop, kind, hit):
    before = failed(shop, "shop/catalog")
    name = shop.world.inject({"fault": kind, "on": "shop/catalog"})
    after = failed(shop, "shop/catalog")
    assert {each for each in after if after[each] != before[each]} == hit
    shop.world.mend(name)
    assert failed(shop, "shop/catalog") == before


def test_a_forgotten_client_calls_in_plaintext_and_goes_when_it_is_mended(shop):
    name = shop.world.inject({"fault": "plaintext-client", "on": "shop/catalog"})
    shop.clock.advance(120)
    pods = list(shop.server.objects.list("pods", "shop", {"app": "forgotten-catalog"}))
    assert pods
    assert all(each["name"] != "istio-proxy" for pod in pods for each in pod["spec"]["containers"])
    shop.world.mend(name)
    shop.clock.advance(120)
    assert not list(shop.server.objects.list("pods", "shop", {"app": "forgotten-catalog"}))


def test_a_client_that_comes_and_goes_while_nobody_reads_is_counted():
    """Nothing is asked while the CronJob's pods live; what they called in plaintext is there when somebody does."""
    shop = load("shop", programs={})
    shop.world.inject({"fault": "plaintext-client", "on": "shop/cart"})
    shop.clock.advance(30)
    shop.world.traffic.count_all()
    shop.clock.advance(600)
    shop.world.traffic.count_all()
    mine = shop.server.objects.list("pods", "shop", {"app": "forgotten-cart"})
    addresses = {pod["status"]["podIP"] for pod in mine if pod["status"].get("podIP")}
    carts = list(shop.server.objects.list("pods", "shop", {"app": "cart"}))
    heard = {address for pod in carts for _, address, mutual, *_ in shop.world.traffic.state(pod).calls if not mutual}
    assert len(addresses & heard) >= 3


def test_the_clock_jumps_and_the_lock_is_stolen(shop):
    before = shop.clock.now()
    shop.world.inject({"fault": "clock-jump", "by": 1800})
    assert (shop.clock.now() - before).total_seconds() >= 1800
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "meshup", "namespace": "meshup-system"},
        "spec": {"holderIdentity": "me"},
    }
    shop.server.objects.create("leases.coordination.k8s.io", lease)
    shop.world.inject({"fault": "lease-stolen"})
    found = shop.server.objects.get("leases.coordination.k8s.io", "meshup-system", "meshup")
    assert found["spec"]["holderIdentity"].startswith("thief")


def test_an_injector_is_down_and_a_proxy_rejects_its_configuration(shop):
    shop.world.inject({"fault": "injector-down", "on": "istiod-1-29"})
    assert "istiod-1-29" in shop.world.injectors.down
    shop.world.mend("injector-down:istiod-1-29")
    assert "istiod-1-29" not in shop.world.injectors.down
    pods = shop.world.traffic.pods("shop/cart")
    before = [len(shop.world.traffic.state(pod).rejected) for pod in pods]
    shop.world.inject({"fault": "rejected-config", "on": "shop/cart"})
    assert [len(shop.world.traffic.state(pod).rejected) for pod in pods] == [each + 1 for each in before]


@pytest.mark.parametrize("kind", sorted(ON_SERVICE | ON_WORKLOAD))
def test_a_fault_on_nothing_is_refused_with_what_is_near(shop, kind):
    with pytest.raises(Refusal) as refused:
        shop.world.inject({"fault": kind, "on": "shop/catalogue"})
    assert "shop/catalog" in refused.value.message
    with pytest.raises(Refusal):
        shop.world.inject({"fault": kind})


@pytest.mark.parametrize("kind", ["bad-release", "injector-down", "kill", ""])
def test_a_fault_that_says_too_little_or_is_unknown_is_refused(shop, kind):
    with pytest.raises(Refusal):
        shop.world.inject({"fault": kind})


def test_each_fault_is_tried_here():
    tried = ON_SERVICE | ON_WORKLOAD | {"bad-release", "injector-down", "lease-stolen", "clock-jump"}
    assert set(FAULTS) == tried | {"api-errors", "api-throttled", "api-resets"}
