"""Ingress objects as hosts, and hosts as a gateway with its routes."""

from __future__ import annotations

import re

import pytest

from meshup.meshes.istio.driver import IstioSidecar
from meshup.model.objects import dig, ref_of
from meshup.model.runbook import Host, Ingress, Manifests, Mesh, Path

DRIVER = IstioSidecar()
MESH = Mesh(
    driver="istio",
    release="1.30.3",
    revision="1-30-3",
    namespace="istio-system",
    manifests=Manifests(source="stand-in"),
)
NAME = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")


def ingress(*, rules=(), notes=None, tls=(), **spec):
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"namespace": "edge", "name": "shop", "annotations": notes or {}},
        "spec": {"rules": list(rules), "tls": list(tls), **spec},
    }


def rule(host, *paths):
    return {
        **({"host": host} if host else {}),
        "http": {
            "paths": [
                {"path": path, "pathType": kind, "backend": {"service": {"name": "web", "port": port}}}
                for path, kind, port in paths
            ]
        },
    }


def test_hosts_paths_and_ports_are_read_longest_first():
    found = DRIVER.translate(
        [ingress(rules=[rule("shop.example", ("/", "Prefix", {"number": 80}), ("/pay", "Exact", {"number": 81}))])]
    )
    (host,) = found.hosts
    assert host.host == "shop.example"
    assert [(each.path, each.kind, each.port, each.namespace) for each in host.paths] == [
        ("/pay", "Exact", 81, "edge"),
        ("/", "Prefix", 80, "edge"),
    ]
    assert found.dropped == ()


def test_what_has_no_equivalent_is_listed_and_never_guessed():
    found = DRIVER.translate(
        [
            ingress(
                notes={
                    "nginx.ingress.kubernetes.io/rewrite-target": "/$1",
                    "kubernetes.io/ingress.class": "nginx",
                    "meshup.dev/owner": "team-edge",
                },
                tls=[{"hosts": ["shop.example"], "secretName": "shop-tls"}],
                rules=[
                    rule(
                        "shop.example",
                        ("/a", "ImplementationSpecific", {"number": 80}),
                        ("/b", "Prefix", {"name": "http"}),
                    )
                ],
                defaultBackend={"service": {"name": "other", "port": {"number": 80}}},
            )
        ]
    )
    assert found.hosts[0].tls_secret == "shop-tls"
    assert [each.path for each in found.hosts[0].paths] == ["/a"]
    assert list(found.dropped) == [
        "Ingress edge/shop: annotation nginx.ingress.kubernetes.io/rewrite-target=/$1 has no faithful equivalent",
        "Ingress edge/shop: TLS Secret edge/shop-tls must be copied to the gateway's namespace",
        "Ingress edge/shop: spec.defaultBackend answers hosts that are not listed; write a host for it",
        "Ingress edge/shop: path /a of shop.example is ImplementationSpecific; taken as a prefix",
        "Ingress edge/shop: path /b of shop.example has a backend that is no Service port number",
    ]


@pytest.mark.parametrize("odd", [{}, {"spec": None}, {"spec": {"rules": [{}]}}, {"spec": {"rules": [{"http": None}]}}])
def test_odd_ingresses_give_no_host_and_no_crash(odd):
    assert DRIVER.translate([{**ingress(), **odd}]).hosts == ()


def of(api, *hosts):
    return DRIVER.gateway(Ingress(api=api, name="edge", namespace="istio-ingress", hosts=hosts), MESH)


def host(name, *paths, tls=""):
    return Host(host=name, paths=paths or (path("/"),), tls_secret=tls)


def path(text, *, kind="Prefix", namespace="shop"):
    return Path(path=text, service="web", namespace=namespace, port=80, kind=kind)


HOSTS = (
    host("shop.example", path("/"), path("/pay", namespace="pay"), tls="shop-tls"),
    host("a-b.example"),
    host("a.b.example"),
    host("*.example"),
    host("*"),
    host("x" * 60 + ".example"),
    host("x" * 60 + ".example.org"),
)


@pytest.mark.parametrize("api", ["gateway", "istio"])
def test_every_object_has_a_name_of_its_own_that_a_server_takes(api):
    made = of(api, *HOSTS)
    refs = [ref_of(each) for each in made]
    assert len(set(refs)) == len(refs)
    assert [each.name for each in refs if not NAME.match(each.name) or len(each.name) > 63] == []
    assert made[0]["kind"] == "Namespace"
    assert (
        DRIVER.gateway_service(Ingress(api=api, name="edge", namespace="istio-ingress", hosts=HOSTS)).kind == "Service"
    )


def test_a_route_is_in_its_services_own_namespace_so_that_no_grant_is_needed():
    made = of("gateway", HOSTS[0])
    routes = [each for each in made if each["kind"] == "HTTPRoute"]
    assert [each["metadata"]["namespace"] for each in routes] == ["pay", "shop"]
    for each in routes:
        assert dig(each, "spec", "parentRefs", 0, "namespace") == "istio-ingress"
        assert all("namespace" not in backend for rule in each["spec"]["rules"] for backend in rule["backendRefs"])
    (gateway,) = [each for each in made if each["kind"] == "Gateway"]
    assert [each["name"] for each in gateway["spec"]["listeners"]] == ["http", "https-shop-example"]


def test_a_host_for_everybody_is_said_by_saying_none():
    (route,) = [each for each in of("gateway", host("*")) if each["kind"] == "HTTPRoute"]
    assert "hostnames" not in route["spec"]


def test_a_prefix_matches_whole_elements_and_the_longest_first():
    (virtual,) = [
        each
        for each in of("istio", host("shop.example", path("/"), path("/pay"), path("/pay", kind="Exact")))
        if each["kind"] == "VirtualService"
    ]
    assert [[match["uri"] for match in each["match"]] for each in virtual["spec"]["http"]] == [
        [{"exact": "/pay"}],
        [{"exact": "/pay"}, {"prefix": "/pay/"}],
        [{"prefix": "/"}],
    ]
