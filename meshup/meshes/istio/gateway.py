"""The ingress gateway and its routes: Gateway API first, Istio's own API too."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from meshup.meshes.istio.words import GATEWAY_API, NETWORKING, REV
from meshup.model.objects import Object, Ref
from meshup.model.runbook import Host, Ingress, Mesh, Path

CLASS = "istio"


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
    return host.replace("*", "any").replace(".", "-")


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
                    "hostname": host.host,
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
        "spec": {"gatewayClassName": CLASS, "listeners": listeners},
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
                    "hostnames": [host.host],
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
                "metadata": {"labels": pod_labels, "annotations": {"inject.istio.io/templates": "gateway"}},
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
                        "match": [{"uri": {"exact" if path.kind == "Exact" else "prefix": path.path}}],
                        "route": [
                            {
                                "destination": {
                                    "host": f"{path.service}.{path.namespace}.svc.cluster.local",
                                    "port": {"number": path.port},
                                }
                            }
                        ],
                    }
                    for path in host.paths
                ],
            },
        }
        for host in ingress.hosts
    ]
    return [account, deployment, service, gateway, *virtual]
