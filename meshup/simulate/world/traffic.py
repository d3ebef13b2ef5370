"""Traffic between services, counted and not simulated request by request: rates times the time since last counted."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from meshup.model.objects import dig
from meshup.simulate.api.server import ApiServer
from meshup.simulate.api.store import Change, Obj
from meshup.simulate.world.bits import is_ready
from meshup.simulate.world.mesh import has_proxy, is_strict

BOUNDS = (0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 600000, 1800000, 3600000)
"""Upper bounds in ms of Envoy's default histogram, as its Prometheus page prints them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Who calls whom. caller, callee: "namespace/name" of services; caller "ingress" = through gateways.

    rps: requests a second in all. connections: new connections a second. latency_ms: typical. errors: share that fails.
    """

    caller: str
    callee: str
    port: int
    rps: float
    connections: float = 0.2
    latency_ms: float = 20.0
    errors: float = 0.0005


@dataclass(slots=True)
class Count:
    """What one proxy counted on one cluster of endpoints. Fractions are kept; pages show whole numbers."""

    requests: float = 0.0
    failed: float = 0.0
    connections: float = 0.0
    connect_failed: float = 0.0
    buckets: list[float] = field(default_factory=lambda: [0.0] * (len(BOUNDS) + 1))
    sum_ms: float = 0.0


@dataclass(slots=True)
class ProxyState:
    """One proxy: its counts by cluster name and the inbound listener's own. inbound: port -> [plaintext, TLS]."""

    clusters: dict[str, Count] = field(default_factory=lambda: defaultdict(Count))
    inbound: dict[int, list[float]] = field(default_factory=dict)
    refused: float = 0.0
    handshakes: float = 0.0
    rejected: int = 0
    calls: deque[tuple[float, str, bool, int, str]] = field(default_factory=lambda: deque(maxlen=600))


@dataclass(frozen=True, slots=True, kw_only=True)
class Harm:
    """What a fault does to requests to a service. when: always, meshed, strict, or release:VERSION."""

    service: str
    when: str
    errors: float = 0.0
    latency_factor: float = 1.0


class Traffic:
    """Counts lazily: an edge is brought up to date before anything about it changes, and when somebody reads."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self.edges: list[Edge] = []
        self.workloads: dict[str, tuple[str, dict[str, str]]] = {}
        self.proxies: dict[str, ProxyState] = {}
        self.harms: dict[str, Harm] = {}
        self._last: dict[int, float] = {}
        self._by_service: dict[str, list[int]] = defaultdict(list)
        self._pods: dict[str, list[Obj]] | None = None
        self.gateway_pods: Callable[[], list[Obj]] = list

    def add(self, edge: Edge) -> None:
        """Let a caller begin to call."""
        index = len(self.edges)
        self.edges.append(edge)
        self._last[index] = self._server.clock.elapsed()
        self._by_service[edge.caller].append(index)
        self._by_service[edge.callee].append(index)

    def see(self, change: Change) -> None:
        """Bring edges up to date before a pod or policy changes what they mean."""
        if change.key == ("", "pods"):
            if (
                change.kind == "MODIFIED"
                and change.old is not None
                and change.new is not None
                and _same(change.old, change.new)
            ):
                return
            self.count_all()
            self._pods = None
            uid = str(((change.old or change.new) or {}).get("metadata", {}).get("uid"))
            if change.kind == "DELETED":
                self.proxies.pop(uid, None)
        elif change.key[0] == "security.istio.io":
            self.count_all()

    def pods(self, service: str) -> list[Obj]:
        """Give the ready pods of a service."""
        if self._pods is None:
            self._pods = {}
        if service not in self._pods:
            self._pods[service] = self._find(service)
        return self._pods[service]

    def _find(self, service: str) -> list[Obj]:
        if service == "ingress":
            return [each for each in self.gateway_pods() if is_ready(each)]
        namespace, selector = self.workloads.get(service, ("", {}))
        if not selector:
            return []
        return [each for each in self._server.objects.list("pods", namespace, selector) if is_ready(each)]

    def count_all(self) -> None:
        """Bring every edge up to date."""
        now = self._server.clock.elapsed()
        for index, edge in enumerate(self.edges):
            seconds = now - self._last[index]
            if seconds > 0:
                self._last[index] = now
                self._count(edge, seconds)

    def _count(self, edge: Edge, seconds: float) -> None:
        callers, callees = self.pods(edge.caller), self.pods(edge.callee)
        if not callers:
            return
        share = 1.0 / len(callers)
        for caller in callers:
            if not callees:
                self._nobody(edge, caller, seconds * share)
                continue
            for callee in callees:
                self._pair(edge, caller, callee, seconds * share / len(callees))

    def state(self, pod: Obj) -> ProxyState:
        """Give the proxy of a pod."""
        return self.proxies.setdefault(pod["metadata"]["uid"], ProxyState())

    def _nobody(self, edge: Edge, caller: Obj, amount: float) -> None:
        if has_proxy(caller):
            count = self.state(caller).clusters[outbound(edge)]
            count.requests += edge.rps * amount
            count.failed += edge.rps * amount

    def _pair(self, edge: Edge, caller: Obj, callee: Obj, amount: float) -> None:
        requests, opened = edge.rps * amount, edge.connections * amount
        out, into = has_proxy(caller), has_proxy(callee)
        mutual = out and into
        strict = into and is_strict(self._server, callee)
        errors, latency = self._harm(edge, callee, meshed=into, strict=strict)
        if strict and not mutual:
            state = self.state(callee)
            state.refused += opened or requests
            if out:
                count = self.state(caller).clusters[outbound(edge)]
                count.connections += opened
                count.connect_failed += opened
                count.requests += requests
                count.failed += requests
            return
        failed = requests * errors
        if out:
            self._add(
                self.state(caller).clusters[outbound(edge)], requests, failed, opened, latency + (1.0 if into else 0.0)
            )
        if into:
            state = self.state(callee)
            self._add(state.clusters[f"inbound|{edge.port}||"], requests, failed, opened, latency)
            row = state.inbound.setdefault(edge.port, [0.0, 0.0])
            row[1 if mutual else 0] += opened
            if mutual:
                state.handshakes += opened
            self._log(state, edge, caller, callee, requests, mutual=mutual)

    def _log(self, state: ProxyState, edge: Edge, caller: Obj, callee: Obj, requests: float, *, mutual: bool) -> None:
        del callee
        address = str(dig(caller, "status", "podIP") or "")
        lines = 1 if mutual else max(1, min(20, round(requests)))
        if requests < 0.05:
            return
        now = self._server.clock.elapsed()
        for _ in range(lines):
            state.calls.append((now, address, mutual, edge.port, edge.callee))

    def _harm(self, edge: Edge, callee: Obj, *, meshed: bool, strict: bool) -> tuple[float, float]:
        errors, latency = edge.errors, edge.latency_ms
        for harm in self.harms.values():
            if harm.service not in (edge.callee, "*"):
                continue
            release = next(
                (
                    str(each.get("image", "")).rpartition(":")[2]
                    for each in dig(callee, "spec", "initContainers") or ()
                    if each.get("name") == "istio-proxy"
                ),
                "",
            )
            hits = (
                harm.when == "always"
                or (harm.when == "meshed" and meshed)
                or (harm.when == "strict" and strict)
                or harm.when == f"release:{release}"
            )
            if hits:
                errors, latency = max(errors, harm.errors), latency * harm.latency_factor
        return errors, latency

    @staticmethod
    def _add(count: Count, requests: float, failed: float, opened: float, latency: float) -> None:
        count.requests += requests
        count.failed += failed
        count.connections += opened
        count.sum_ms += requests * latency
        spread = ((0.5, 0.5), (1.0, 0.3), (2.0, 0.15), (3.5, 0.045), (6.0, 0.005))
        for factor, share in spread:
            value = latency * factor
            at = next((n for n, bound in enumerate(BOUNDS) if value <= bound), len(BOUNDS))
            count.buckets[at] += requests * share


def outbound(edge: Edge) -> str:
    """Name the cluster of endpoints at the caller, as Istio does."""
    namespace, _, name = edge.callee.partition("/")
    return f"outbound|{edge.port}||{name}.{namespace}.svc.cluster.local"


def _same(old: Obj, new: Obj) -> bool:
    """Tell whether a change of a pod means nothing to traffic."""
    return (
        is_ready(old) == is_ready(new)
        and bool(old["metadata"].get("deletionTimestamp")) == bool(new["metadata"].get("deletionTimestamp"))
        and dig(old, "status", "podIP") == dig(new, "status", "podIP")
    )
