"""What a caller's proxy counted by endpoint of the services that it calls, and the filter that lets it count."""

from __future__ import annotations

import pytest

from meshup.meshes.asks import Endpoint
from meshup.meshes.istio import endpoints

CART = 'envoy_cluster_name="outbound|80||cart.shop.svc.cluster.local"'
PAGE = f"""\
# TYPE envoy_cluster_endpoint_rq_total counter
envoy_cluster_endpoint_rq_total{{{CART},envoy_endpoint_address="10.0.0.2:8080"}} 7
envoy_cluster_endpoint_rq_total{{{CART},envoy_endpoint_address="10.0.0.1:8080"}} 40
envoy_cluster_endpoint_rq_error{{{CART},envoy_endpoint_address="10.0.0.2:8080"}} 3
envoy_cluster_endpoint_cx_total{{{CART},envoy_endpoint_address="10.0.0.2:8080"}} 2
envoy_cluster_endpoint_cx_connect_fail{{{CART},envoy_endpoint_address="10.0.0.2:8080"}} 1
envoy_cluster_endpoint_rq_timeout{{{CART},envoy_endpoint_address="10.0.0.2:8080"}} 9
envoy_cluster_endpoint_rq_total{{envoy_cluster_name="xds-grpc",envoy_endpoint_address="10.0.0.9:15012"}} 5
envoy_cluster_upstream_rq_total{{{CART}}} 47
"""


def test_each_endpoint_of_a_service_has_its_own_counts_and_clusters_of_no_service_none():
    assert endpoints.read(PAGE) == (
        Endpoint(peer="shop/cart", address="10.0.0.1", requests=40),
        Endpoint(peer="shop/cart", address="10.0.0.2", requests=7, failed=3, connections=2, connect_failures=1),
    )


def test_a_proxy_that_keeps_no_such_counts_gives_none():
    assert endpoints.read(f"envoy_cluster_upstream_rq_total{{{CART}}} 47\n") == ()


def test_what_is_no_page_of_counters_is_refused():
    with pytest.raises(ValueError, match="no healthy upstream"):
        endpoints.read("<html>no healthy upstream</html>")


def test_there_is_one_filter_for_each_namespace_of_callers_and_it_names_what_proxies_merge():
    shop, web = endpoints.objects(None, ["web", "shop", "web"])  # type: ignore[arg-type]
    assert [each["metadata"]["namespace"] for each in (shop, web)] == ["shop", "web"]
    patches = shop["spec"]["configPatches"]
    assert [each["match"]["context"] for each in patches] == ["SIDECAR_OUTBOUND", "GATEWAY"]
    assert all(each["patch"]["value"] == {"track_cluster_stats": {"per_endpoint_stats": True}} for each in patches)
    assert endpoints.objects(None, []) == ()  # type: ignore[arg-type]
