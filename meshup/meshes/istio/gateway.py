"""The ingress gateway and its routes: Gateway API first, Istio's own API too."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import Any

from meshup.meshes.istio.words import GATEWAY_API, NETWORKING, REV, STATS, STATS_WANTED
from meshup.model.objects import Object, Ref
from meshup.model.runbook import Host, Ingress, Mesh, Path

CLASS = "istio"
COUNTED = {STATS: ",".join(STATS_WANTED)}
"""On the gateway's pods, so that a lost control plane or a rejected route shows there too."""

MOST_OF_A_NAME = 36


def objects(ingress: Ingress, mesh: Mesh) -> tuple[Object, ...]:
    """Give the gateway and its routes in the order they must be applied."""
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": ingress.namespace},
    }
    rest = _gateway_api(ingress, mesh) if ingress.api == "gateway" else _own(ingress, mesh)
    return (namespace, *rest)


def service_of(ingress: Ingress) -> Ref:
    """Name the Service that the gateway answers at."""
    name = f"{ingress.name}-{CLASS}" if ingress.api == "gateway" else ingress.name
    return Ref(api_version="v1", kind="Service", namespace=ingress.namespace, name=name)


def workload_of(ingress: Ingress) -> Ref:
    """Name the Deployment behind the gateway."""
    name = f"{ingress.name}-{CLASS}" if ingress.api == "gateway" else ingress.name
    return Ref(api_version="apps/v1", kind="Deployment", namespace=ingress.namespace, name=name)


def _short(host: str) -> str:
    """Give a host as part of a name; what would not be told apart by it gets a few digits of its hash."""
    short = host.replace("*", "any").replace(".", "-")
    plain = short.replace("-", ".") == host and len(short) < MOST_OF_A_NAME
    return short if plain else f"{short[:MOST_OF_A_NAME]}-{hashlib.sha256(host.encode()).hexdigest()[:6]}"


def _gateway_api(ingress: Ingress, mesh: Mesh) -> list[Object]:
    listeners: list[dict[str, Any]] = [
        {
            "name": "http",
            "port": 80,
            "protocol": "HTTP",
            "allowedRoutes": {"namespaces": {"from": "All"}},
        }
    ]
    for host in ingress.hosts:
        if host.tls_secret:
            listeners.append(
                {
                    "name": f"https-{_short(host.host)}"[:63],
                    "port": 443,
                    "protocol": "HTTPS",
                    **({"hostname": host.host} if host.host != "*" else {}),
                    "tls": {
                        "mode": "Terminate",
                        "certificateRefs": [{"kind": "Secret", "group": "", "name": host.tls_secret}],
                    },
                    "allowedRoutes": {"namespaces": {"from": "All"}},
                }
            )
    gateway = {
        "apiVersion": f"{GATEWAY_API}/v1",
        "kind": "Gateway",
        "metadata": {
            "name": ingress.name,
            "namespace": ingress.namespace,
            "labels": {REV: mesh.revision},
            "annotations": {"networking.istio.io/service-type": "ClusterIP"},
        },
        "spec": {"gatewayClassName": CLASS, "infrastructure": {"annotations": COUNTED}, "listeners": listeners},
    }
    return [gateway, *(route for host in ingress.hosts for route in _routes(ingress, host))]


def _routes(ingress: Ingress, host: Host) -> list[Object]:
    """Give one HTTPRoute per namespace of a host's services, so that no ReferenceGrant is needed."""
    by_namespace: dict[str, list[Path]] = defaultdict(list)
    for path in host.paths:
        by_namespace[path.namespace].append(path)
    found: list[Object] = []
    for namespace, paths in sorted(by_namespace.items()):
        rules = [
            {
                "matches": [{"path": {"type": "Exact" if path.kind == "Exact" else "PathPrefix", "value": path.path}}],
                "backendRefs": [{"group": "", "kind": "Service", "name": path.service, "port": path.port, "weight": 1}],
            }
            for path in paths
        ]
        found.append(
            {
                "apiVersion": f"{GATEWAY_API}/v1",
                "kind": "HTTPRoute",
                "metadata": {"name": f"{ingress.name}-{_short(host.host)}"[:63], "namespace": namespace},
                "spec": {
                    "parentRefs": [
                        {"group": GATEWAY_API, "kind": "Gateway", "name": ingress.name, "namespace": ingress.namespace}
                    ],
                    **({"hostnames": [host.host]} if host.host != "*" else {}),
                    "rules": rules,
                },
            }
        )
    return found


def _own(ingress: Ingress, mesh: Mesh) -> list[Object]:
    selector = {"istio": ingress.name}
    pod_labels = {**selector, "app": ingress.name, REV: mesh.revision, "sidecar.istio.io/inject": "true"}
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": ingress.name, "namespace": ingress.namespace},
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": ingress.name, "namespace": ingress.namespace, "labels": {"app": ingress.name}},
        "spec": {
            "selector": {"matchLabels": selector},
            "template": {
                "metadata": {"labels": pod_labels, "annotations": {"inject.istio.io/templates": "gateway", **COUNTED}},
                "spec": {
                    "serviceAccountName": ingress.name,
                    "containers": [{"name": "istio-proxy", "image": "auto"}],
                },
            },
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": ingress.name, "namespace": ingress.namespace},
        "spec": {
            "selector": selector,
            "ports": [
                {"name": "http2", "port": 80, "targetPort": 8080, "protocol": "TCP"},
                {"name": "https", "port": 443, "targetPort": 8443, "protocol": "TCP"},
            ],
        },
    }
    servers: list[dict[str, Any]] = [
        {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": [host.host for host in ingress.hosts]}
    ]
    servers += [
        {
            "port": {"number": 443, "name": f"https-{_short(host.host)}", "protocol": "HTTPS"},
            "hosts": [host.host],
            "tls": {"mode": "SIMPLE", "credentialName": host.tls_secret},
        }
        for host in ingress.hosts
        if host.tls_secret
    ]
    gateway = {
        "apiVersion": f"{NETWORKING}/v1",
        "kind": "Gateway",
        "metadata": {"name": ingress.name, "namespace": ingress.namespace},
        "spec": {"selector": selector, "servers": servers},
    }
    virtual = [
        {
            "apiVersion": f"{NETWORKING}/v1",
            "kind": "VirtualService",
            "metadata": {"name": f"{ingress.name}-{_short(host.host)}"[:63], "namespace": ingress.namespace},
            "spec": {
                "hosts": [host.host],
                "gateways": [ingress.name],
                "http": [
                    {
                        "match": [{"uri": each} for each in _uris(path)],
                        "route": [
                            {
                                "destination": {
                                    "host": f"{path.service}.{path.namespace}.svc.cluster.local",
                                    "port": {"number": path.port},
                                }
                            }
                        ],
                    }
                    for path in sorted(host.paths, key=lambda each: (-len(each.path), each.kind, each.path))
                ],
            },
        }
        for host in ingress.hosts
    ]
    return [account, deployment, service, gateway, *virtual]


def _uris(path: Path) -> list[dict[str, str]]:
    """Match whole path elements, as Ingress and Gateway API do: /pay and /pay/x, but not /payments."""
    if path.kind == "Exact":
        return [{"exact": path.path}]
    bare = path.path.rstrip("/")
    return [{"exact": bare}, {"prefix": f"{bare}/"}] if bare else [{"prefix": "/"}]
