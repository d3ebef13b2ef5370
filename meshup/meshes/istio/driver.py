"""The Istio sidecar driver: one object that answers what the rest of the program asks of a mesh."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from re import Pattern
from typing import ClassVar

from meshup.meshes.asks import Endpoint, Family, Whose
from meshup.meshes.driver import (
    ENDPOINT_COUNTS,
    Call,
    Enrolment,
    Policy,
    Proxy,
    ProxyCounters,
    Rendered,
    Source,
    Translated,
    Unused,
)
from meshup.meshes.istio import (
    accesslog,
    beside,
    comparing,
    counters,
    endpoints,
    enrol,
    gateway,
    gone,
    mtls,
    proxy,
    queries,
    render,
    sidecar,
    skew,
    translate,
    trust,
    unused,
)
from meshup.meshes.istio.words import ASSUMED_TCP, FACTS, GROUPS, INJECT, PROXY_UID, REV, STATS_PORT, TAKEN_PORTS, minor
from meshup.meshes.leading import Beside
from meshup.model.jump import Gone, Trust
from meshup.model.objects import Object, Ref, dig, labels
from meshup.model.runbook import Ingress, Manifests, Mesh, Service
from meshup.model.snapshot import Snapshot

OTHERS: Mapping[str, str] = {
    "linkerd.io": "Linkerd",
    "policy.linkerd.io": "Linkerd",
    "kuma.io": "Kuma",
    "consul.hashicorp.com": "Consul",
    "appmesh.k8s.aws": "App Mesh",
    "config.openservicemesh.io": "Open Service Mesh",
    "policy.openservicemesh.io": "Open Service Mesh",
    "networkservicemesh.io": "Network Service Mesh",
}
"""API groups of other meshes' definitions (MESHES sections 4 to 8)."""

HOOKS: Mapping[str, str] = {
    "linkerd-proxy-injector.linkerd.io": "Linkerd",
    "namespace-kuma-injector.kuma.io": "Kuma",
    "pods-kuma-injector.kuma.io": "Kuma",
    "consul.hashicorp.com": "Consul",
    "mpod.appmesh.k8s.aws": "App Mesh",
    "osm-inject.k8s.io": "Open Service Mesh",
}
"""Ends of the names of their injectors, which take pods even where the definitions are gone."""


class IstioSidecar:
    """Istio with sidecars, moved by revision: every workload by its own label, never by its namespace's."""

    name: ClassVar[str] = "istio"
    capabilities: ClassVar[frozenset[str]] = frozenset(
        {
            "revisions",
            "sidecars",
            "strict-per-workload",
            "access-log-names",
            "proxy-counters",
            "ingress-gateway",
            "standard-metrics",
            ENDPOINT_COUNTS,
        }
    )
    groups: ClassVar[tuple[str, ...]] = GROUPS
    proxy_uid: ClassVar[int] = PROXY_UID
    taken_ports: ClassVar[tuple[int, ...]] = TAKEN_PORTS
    assumed_tcp: ClassVar[frozenset[int]] = ASSUMED_TCP

    def render(self, mesh: Mesh) -> Rendered:
        """Give the control plane's objects for this release and revision."""
        return render.render(mesh)

    def at_hand(self) -> tuple[Manifests, str]:
        """Give istioctl, with the release of the one on PATH when there is one."""
        program = shutil.which("istioctl")
        return Manifests(source="istioctl"), render.version_of(program) if program else ""

    def supports(self, release: str, kubernetes: str) -> str | None:
        """Say why a server's version does not fit a release; None when nothing is known of one of them."""
        facts = FACTS.get(minor(release))
        parts = kubernetes.lstrip("v").split(".")
        if facts is None or len(parts) < 2 or not parts[1].isdigit():
            return None
        lowest, highest = facts.kubernetes
        if lowest <= int(parts[1]) <= highest:
            return ""
        return f"Istio {minor(release)} supports Kubernetes 1.{lowest} to 1.{highest}, the server is {kubernetes}"

    def conflicts(self, snapshot: Snapshot, mesh: Mesh) -> tuple[str, ...]:
        """Name other meshes that are installed."""
        found: dict[str, str] = {}
        for each in snapshot.of("CustomResourceDefinition"):
            other = OTHERS.get(str(dig(each, "spec", "group") or ""))
            if other is not None:
                found.setdefault(
                    other, f"{other} is installed: CustomResourceDefinition {dig(each, 'metadata', 'name')}"
                )
        for configuration in snapshot.of("MutatingWebhookConfiguration"):
            for hook in configuration.get("webhooks") or ():
                end = next((each for each in HOOKS if str(hook.get("name") or "").endswith(each)), "")
                if end:
                    what = f"MutatingWebhookConfiguration {dig(configuration, 'metadata', 'name')}"
                    found.setdefault(HOOKS[end], f"{HOOKS[end]} is installed: {what}")
        del mesh
        return tuple(found[name] for name in sorted(found))

    def installed(self, snapshot: Snapshot) -> Mapping[str, str]:
        """Give revision -> release of every control plane."""
        return unused.installed(snapshot)

    def gateway(self, ingress: Ingress, mesh: Mesh) -> tuple[Object, ...]:
        """Give the ingress gateway and its routes."""
        return gateway.objects(ingress, mesh)

    def gateway_service(self, ingress: Ingress) -> Ref:
        """Name the Service that the gateway answers at."""
        return gateway.service_of(ingress)

    def gateway_workload(self, ingress: Ingress) -> Ref:
        """Name the Deployment behind the gateway."""
        return gateway.workload_of(ingress)

    def gateway_beside(self, ingress: Ingress, mesh: Mesh, snapshot: Snapshot) -> Beside | None:
        """Say how a second Deployment takes a gateway's traffic."""
        return beside.of(ingress, mesh, snapshot)

    def translate(self, ingresses: Sequence[Object]) -> Translated:
        """Read Ingress objects as hosts and paths."""
        return translate.read(ingresses)

    def enrolment(self, workload: Object, snapshot: Snapshot, revision: str | None) -> Enrolment:
        """Say what puts this workload on a revision, or out of the mesh."""
        return enrol.enrolment(workload, snapshot, revision)

    def proxy(self, pod: Object) -> Proxy | None:
        """Find the proxy in a pod."""
        return proxy.find(pod)

    def asks(self, pod: Object) -> str:
        """Give the revision of a pod's own label."""
        return labels(pod).get(REV, "")

    def policies(
        self, services: Sequence[Service], snapshot: Snapshot, mesh: Mesh, *, level: str, mode: str
    ) -> tuple[Policy, ...]:
        """Give the policies of one level."""
        return mtls.policies(services, snapshot, mesh, level=level, mode=mode)

    def policy_conflicts(self, services: Sequence[Service], snapshot: Snapshot, *, level: str) -> tuple[str, ...]:
        """Name policies and rules of others that stand in the way."""
        return mtls.conflicts(services, snapshot, level=level)

    def is_strict(self, service: Service, snapshot: Snapshot) -> bool:
        """Tell whether policies in force refuse plaintext to this service."""
        return mtls.is_strict(service, snapshot)

    def outside(self) -> Mapping[str, str]:
        """Give the pod label that every injector leaves alone."""
        return {INJECT: "false"}

    def counters(self) -> Source:
        """Say where a pod's proxy counters are."""
        return Source(port=STATS_PORT, path="/stats/prometheus")

    def read_counters(self, text: str) -> ProxyCounters:
        """Parse a page of counters."""
        return counters.read(text)

    def read_samples(
        self, text: str, lines: Mapping[str, Pattern[str]]
    ) -> Iterator[tuple[str, Mapping[str, str], float]]:
        """Parse a page for some metrics."""
        return counters.chosen(text, lines)

    def read_calls(self, log: str) -> tuple[Call, ...]:
        """Parse a proxy's access log."""
        return accesslog.read(log)

    def queries(self) -> Mapping[str, str]:
        """Give PromQL templates by meaning."""
        return queries.QUERIES

    def comparison(self) -> tuple[Family, ...]:
        """Give what a Prometheus can tell of two revisions of a service."""
        return comparing.FAMILIES

    def whose(self, labels: Mapping[str, str]) -> Whose:
        """Say who a row of a comparison is about."""
        return comparing.whose(labels)

    def split_word(self, pod: Object) -> str:
        """Give the canonical revision of a pod."""
        return comparing.split_word(pod)

    def scraping(self) -> Mapping[str, str]:
        """Give the queries about scraping itself."""
        return comparing.SCRAPING

    def read_endpoints(self, text: str) -> tuple[Endpoint, ...]:
        """Parse a page for counts by endpoint."""
        return endpoints.read(text)

    def endpoint_counts(self, mesh: Mesh, namespaces: Sequence[str]) -> tuple[Object, ...]:
        """Give the EnvoyFilters that let callers count by endpoint."""
        return endpoints.objects(mesh, namespaces)

    def unused(self, snapshot: Snapshot, mesh: Mesh, *, keep: Sequence[str]) -> tuple[Unused, ...]:
        """Name components and revisions that nothing uses."""
        return unused.find(snapshot, mesh, keep=keep)

    def sidecar_requests(self, snapshot: Snapshot, mesh: Mesh) -> tuple[int, int]:
        """Give what one sidecar asks for: the chart's defaults unless mesh.values say otherwise."""
        asked = dig(dict(mesh.values), "global", "proxy", "resources", "requests") or {}
        del snapshot
        return unused.millicores(str(asked.get("cpu", "100m"))), unused.mebibytes(str(asked.get("memory", "128Mi")))

    def lines(self) -> tuple[str, ...]:
        """Name the minor releases that anything is known of."""
        return tuple(FACTS)

    def skew(self, plane: str, proxy: str) -> str | None:
        """Say why proxies of one release may not be served by a control plane of another."""
        return skew.between(plane, proxy)

    def kinds_ignored(self, snapshot: Snapshot, release: str) -> Mapping[Ref, str]:
        """Name Gateway API definitions that a release ignores."""
        return skew.ignored(snapshot, release)

    def gone(self, snapshot: Snapshot, mesh: Mesh) -> tuple[Gone, ...]:
        """Name removed flags and filters for proxies of other releases."""
        return gone.find(snapshot, mesh)

    def trust(self, mesh: Mesh) -> Trust:
        """Name istiod's bundle, and the Secrets it signs by."""
        return trust.of(mesh)

    def sidecar_resources(self, workload: Object, mesh: Mesh) -> Mapping[str, Decimal]:
        """Give what the proxy of a workload's pods states."""
        return sidecar.resources(workload, mesh)

    def declares(self, port: Object) -> bool:
        """Tell whether a port of a Service says its protocol."""
        return sidecar.declares(port)

    def refused_by_level(self, workload: Object, mesh: Mesh, *, level: str) -> str:
        """Say what of the sidecar a Pod Security level refuses."""
        return sidecar.refused_by_level(workload, mesh, level=level)

    def keeps_jobs(self, workload: Object, snapshot: Snapshot, mesh: Mesh) -> str | None:
        """Say why a Job would never end beside the sidecar."""
        return sidecar.keeps_jobs(workload, snapshot, mesh)
