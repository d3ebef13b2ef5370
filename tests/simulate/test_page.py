"""The pages of simulated proxies are worded as those that were recorded from real ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from meshup.meshes.istio.counters import LABEL, LINE
from meshup.model.transport import Request
from meshup.simulate.scenario import load

RECORDED = Path(__file__).parents[1] / "cases" / "recorded"
BY_ENDPOINT = {
    f"envoy_cluster_endpoint_{word}"
    for word in ("rq_total", "rq_success", "rq_error", "rq_timeout", "cx_total", "cx_connect_fail")
}
NOT_RECORDED = (
    BY_ENDPOINT
    | {"envoy_server_memory_allocated", "envoy_cluster_upstream_rq_active", "envoy_control_plane_connected_state"}
    | {f"envoy_http_downstream_rq_time_{word}" for word in ("bucket", "sum", "count")}
)
"""Worded as MESHES.md section 0 and Envoy's own list of statistics have them."""


def families(text: str) -> tuple[dict[str, set[tuple[str, ...]]], dict[str, str]]:
    """Give metric -> the sets of names of its labels, in order, and metric -> its type."""
    labels: dict[str, set[tuple[str, ...]]] = {}
    types: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            types[name] = kind
        elif line and not line.startswith("#"):
            found = LINE.match(line)
            assert found is not None, line
            labels.setdefault(found[1], set()).add(tuple(name for name, _ in LABEL.findall(found[2] or "")))
    return labels, types


@pytest.fixture(scope="module")
def real():
    labels: dict[str, set[tuple[str, ...]]] = {}
    types: dict[str, str] = {}
    for path in sorted(RECORDED.glob("envoy-*.txt")):
        found = families(path.read_text(encoding="utf-8"))
        for name, several in found[0].items():
            labels.setdefault(name, set()).update(several)
        types.update(found[1])
    return labels, types


@pytest.fixture(scope="module")
def pages():
    shop = load("shop")
    shop.world.inject({"fault": "bad-release", "on": "1.29.4", "bad": "connect"})
    shop.clock.advance(300)
    found = []
    for pod in shop.server.objects.list("pods", "shop", {"app": "cart"}):
        path = f"/api/v1/namespaces/shop/pods/{pod['metadata']['name']}:15090/proxy/stats/prometheus"
        found.append(shop.server.send(Request(method="GET", path=path)).body.decode())
    return found


def test_every_metric_that_was_recorded_has_the_same_labels_and_type(real, pages):
    compared = set()
    for page in pages:
        labels, types = families(page)
        for name in labels.keys() - NOT_RECORDED:
            assert labels[name] <= real[0].get(name, set()), name
            compared.add(name)
        for name in types.keys() & real[1].keys():
            assert types[name] == real[1][name], name
    assert len(compared) >= 15
    assert {
        "envoy_http_downstream_rq",
        "envoy_listener_ssl_connection_error",
        "envoy_cluster_ssl_handshake",
    } <= compared


def test_a_histogram_has_one_type_and_bounds_of_a_real_one(real, pages):
    def bounds(text: str) -> set[str]:
        return set(re.findall(r'envoy_cluster_upstream_rq_time_bucket\{[^}]*le="([^"]+)"', text))

    recorded = bounds((RECORDED / "envoy-mtls-client.txt").read_text(encoding="utf-8"))
    for page in pages:
        assert bounds(page) == recorded
        lines = [line for line in page.splitlines() if line.startswith("# TYPE") and "_time" in line]
        assert all(line.endswith(" histogram") for line in lines)
