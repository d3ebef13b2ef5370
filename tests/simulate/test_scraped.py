"""What the embedded Prometheus has scraped is what proxies say of themselves, and it is gone when they are."""

from __future__ import annotations

import json

import pytest

from meshup.meshes.istio.driver import IstioSidecar
from meshup.model.transport import Request
from meshup.simulate.scenario import load

OWN = "istio_requests_total{reporter='destination',destination_workload='cart'}"


def deployment():
    template = {
        "metadata": {"labels": {"app": "prometheus"}},
        "spec": {"containers": [{"name": "prometheus", "image": "registry.example/prometheus:v3.8.0"}]},
    }
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "prometheus"}}, "template": template}
    return {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "metadata": {"name": "prometheus", "namespace": "data"},
        "spec": spec,
    }


@pytest.fixture
def shop():
    found = load("shop")
    service = {"selector": {"app": "prometheus"}, "ports": [{"port": 9090, "targetPort": 9090}]}
    found.server.objects.create("deployments.apps", deployment())
    meta = {"name": "prometheus", "namespace": "data"}
    found.server.objects.create("services", {"kind": "Service", "apiVersion": "v1", "metadata": meta, "spec": service})
    found.clock.advance(150)
    return found


def sent(shop, path, **query):
    return shop.server.send(Request(method="GET", path=path, query=tuple(query.items())))


def asked(shop, query):
    """Give pod -> value of an instant query."""
    answer = sent(shop, "/api/v1/namespaces/data/services/prometheus:9090/proxy/api/v1/query", query=query)
    assert answer.status == 200, answer.body
    return {row["metric"].get("pod"): float(row["value"][1]) for row in json.loads(answer.body)["data"]["result"]}


def pods(shop):
    return sorted(each["metadata"]["name"] for each in shop.server.objects.list("pods", "shop", {"app": "cart"}))


def page(shop, pod):
    answer = sent(shop, f"/api/v1/namespaces/shop/pods/{pod}:15020/proxy/stats/prometheus")
    counters = IstioSidecar().read_counters(answer.body.decode())
    return sum(each.requests for each in counters.edges if each.direction == "inbound"), counters


def test_requests_of_a_minute_are_those_that_the_proxies_counted(shop):
    before = {pod: page(shop, pod)[0] for pod in pods(shop)}
    shop.clock.advance(60)
    told = asked(shop, f"sum by (pod) (increase({OWN}[60s]))")
    for pod in pods(shop):
        # a window of 15 s scrapes ends up to 15 s before the page was read
        assert told[pod] == pytest.approx(page(shop, pod)[0] - before[pod], rel=0.1)


def test_samples_are_fresh_and_grow_as_the_page_does(shop):
    def seen():
        return {pod: asked(shop, f"sum by (pod) ({OWN})")[pod] - page(shop, pod)[0] for pod in pods(shop)}

    taken = asked(shop, "timestamp(envoy_control_plane_connected_state)")
    now = shop.clock.now().timestamp()
    assert all(0 <= now - taken[pod] <= 15 for pod in pods(shop))
    before = seen()
    shop.clock.advance(150)
    # ten scrapes later each is as far behind its page as it was, whose counts began with the proxy
    assert seen() == pytest.approx(before, abs=3)


def test_counters_of_the_listener_agree_with_the_page(shop):
    shop.world.inject({"fault": "rejected-config", "on": "shop/cart"})
    shop.clock.advance(20)
    rejected = asked(shop, 'sum by (pod) ({__name__=~"envoy_.+_update_rejected"})')
    for pod in pods(shop):
        assert rejected[pod] == page(shop, pod)[1].rejected == 1


def test_a_pod_that_is_gone_has_a_past_and_no_newest_sample(shop):
    gone, stays = pods(shop)
    shop.server.objects.delete("pods", "shop", gone, options={"gracePeriodSeconds": 0})
    shop.clock.advance(20)
    newest = asked(shop, "envoy_control_plane_connected_state")
    assert stays in newest
    assert gone not in newest
    assert asked(shop, "sum by (pod) (count_over_time(envoy_control_plane_connected_state[2m]))")[gone] >= 5


def test_a_prometheus_that_starts_again_remembers_nothing(shop):
    (pod,) = [each["metadata"]["name"] for each in shop.server.objects.list("pods", "data", {"app": "prometheus"})]
    shop.server.objects.delete("pods", "data", pod, options={"gracePeriodSeconds": 0})
    assert sent(shop, "/api/v1/namespaces/data/services/prometheus:9090/proxy/-/ready").status == 503
    shop.clock.advance(40)
    assert sent(shop, "/api/v1/namespaces/data/services/prometheus:9090/proxy/-/ready").status == 200
    counted = asked(shop, "sum by (pod) (count_over_time(envoy_control_plane_connected_state[5m]))")
    assert set(pods(shop)) <= set(counted)
    assert all(count <= 3 for count in counted.values())


def test_nobody_scrapes_where_no_prometheus_runs():
    found = load("shop")
    assert not found.world.traffic.scraping.on
    assert not found.world.traffic.scraping.targets
    assert sent(found, "/api/v1/namespaces/shop/services/cart:9090/proxy/api/v1/query", query="up").body == b"ok\n"
