"""A Prometheus in the shop's namespace, as scenarios of these tests have one."""

from __future__ import annotations

from typing import Any

TEMPLATE = {
    "metadata": {"labels": {"app": "prometheus"}},
    "spec": {"containers": [{"name": "prometheus", "image": "registry.example/prometheus:v3.8.0"}]},
}
PROMETHEUS: list[dict[str, Any]] = [
    {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "prometheus", "namespace": "shop"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "prometheus"}}, "template": TEMPLATE},
    },
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "prometheus", "namespace": "shop"},
        "spec": {"selector": {"app": "prometheus"}, "ports": [{"port": 9090, "targetPort": 9090}]},
    },
]
