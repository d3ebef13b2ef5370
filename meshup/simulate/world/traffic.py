"""Traffic between services, counted and not simulated request by request: rates times the time since last counted."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from meshup.model.objects import dig, labels
from meshup.simulate.api.server import ApiServer
from meshup.simulate.api.store import Change, Obj
from meshup.simulate.world.bits import Selecting, is_ready
from meshup.simulate.world.history import BOUNDS, SPREAD, Kind, Rates, Scraping, is_prometheus
from meshup.simulate.world.mesh import has_proxy, is_strict

GATEWAY = "gateway.networking.k8s.io/gateway-name"


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
    """One proxy: its counts by cluster name and the inbound listener's own. inbound: port -> [plaintext, TLS].

    rejected: when it refused an update, on the elapsed clock.
    """

    clusters: dict[str, Count] = field(default_factory=lambda: defaultdict(Count))
    inbound: dict[int, list[float]] = field(default_factory=dict)
    refused: float = 0.0
    handshakes: float = 0.0
    rejected: list[float] = field(default_factory=list)
    calls: deque[tuple[float, str, bool, int, str]] = field(default_factory=lambda: deque(maxlen=600))


@dataclass(frozen=True, slots=True, kw_only=True)
class Harm:
    """What a fault does to requests to a service. when: always, meshed, strict, or release:VERSION."""

    service: str
    when: str
    errors: float = 0.0
    latency_factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What traffic has to know of a pod, which no pod changes in its life. release: of its sidecar, "" without one."""

    proxy: bool
    release: str


class Traffic:
    """Counts lazily: an edge is brought up to date before anything about it changes, and when somebody reads."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self.edges: list[Edge] = []
        self.workloads: dict[str, tuple[str, dict[str, str]]] = {}
        self.proxies: dict[str, ProxyState] = {}
        self.harms: dict[str, Harm] = {}
        self._last: list[float] = []
        self._out: list[str] = []
        self._by_service: dict[str, list[int]] = defaultdict(list)
        self._pods: dict[str, list[Obj]] = {}
        self._seen: dict[str, Seen] = {}
        self._strict: dict[str, bool] = {}
        self._selecting = Selecting()
        self._known = 0
        self.gateway_pods: Callable[[], list[Obj]] = list
        self.scraping = Scraping()

    def add(self, edge: Edge) -> None:
        """Let a caller begin to call."""
        index = len(self.edges)
        self.edges.append(edge)
        self._last.append(self._server.clock.elapsed())
        self._out.append(outbound(edge))
        self._by_service[edge.caller].append(index)
        self._by_service[edge.callee].append(index)

    def see(self, change: Change) -> None:
        """Bring edges up to date before a pod or policy changes what they mean."""
        if change.key == ("", "pods"):
            both = [each for each in (change.old, change.new) if each is not None]
            if change.kind == "MODIFIED" and len(both) == 2 and _same(*both):
                return
            services = {name for each in both for name in self._services_of(each)}
            for service in services:
                if service not in self._pods:
                    self._pods[service] = self._before(service, change)
            for service in services:
                self._count_service(service)
            for service in services:
                self._pods.pop(service, None)
            self._scrape(change)
            uid = str(both[0]["metadata"].get("uid"))
            self._strict.pop(uid, None)
            if change.kind == "DELETED":
                self.proxies.pop(uid, None)
                self._seen.pop(uid, None)
        elif change.key[0] == "security.istio.io":
            self.count_all()
            self._strict.clear()

    def _scrape(self, change: Change) -> None:
        """Begin or end the scraping of a pod, or all scraping when the pod is a Prometheus."""
        now, pod = self._server.clock.elapsed(), change.new or change.old or {}
        if is_prometheus(pod):
            self.scraping.server(pod, up=change.kind != "DELETED" and is_ready(pod), now=now)
            if self.scraping.on and not self.scraping.targets:
                self.count_all()
                for each in self._server.objects.list("pods"):
                    self.scraping.see(each, proxy=has_proxy(each), ready=is_ready(each), now=now)
        elif self.scraping.on and change.kind == "DELETED":
            self.scraping.gone(pod, now=now)
        elif self.scraping.on:
            self.scraping.see(pod, proxy=has_proxy(pod), ready=is_ready(pod), now=now)

    def _services_of(self, pod: Obj) -> Iterator[str]:
        """Name the services whose pod this is, and "ingress" for a gateway's."""
        if self._known != len(self.workloads):
            self._known = len(self.workloads)
            for name, (namespace, selector) in self.workloads.items():
                self._selecting.put(namespace, name, selector)
        own = labels(pod)
        if GATEWAY in own:
            yield "ingress"
        yield from self._selecting.of(pod["metadata"].get("namespace", ""), own)

    def pods(self, service: str) -> list[Obj]:
        """Give the ready pods of a service."""
        found = self._pods.get(service)
        if found is None:
            found = self._pods[service] = self._find(service)
        return found

    def _before(self, service: str, change: Change) -> list[Obj]:
        """Give the ready pods of a service as they were before a change that the store has taken already.

        Without it a pod that comes and goes while nobody reads would never have called anybody.
        """
        new = change.new or {}
        uid = dig(change.old or new, "metadata", "uid")
        others = [each for each in self._find(service) if each["metadata"]["uid"] != uid]
        return [*others, change.old] if change.old is not None and is_ready(change.old) else others

    def _find(self, service: str) -> list[Obj]:
        if service == "ingress":
            return [each for each in self.gateway_pods() if is_ready(each)]
        namespace, selector = self.workloads.get(service, ("", {}))
        if not selector:
            return []
        return [each for each in self._server.objects.list("pods", namespace, selector) if is_ready(each)]

    def count_all(self) -> None:
        """Bring every edge up to date."""
        self._count_these(range(len(self.edges)))

    def _count_service(self, service: str) -> None:
        """Bring the edges from and to a service up to date."""
        self._count_these(self._by_service.get(service, ()))

    def _count_these(self, indexes: Iterable[int]) -> None:
        now = self._server.clock.elapsed()
        for index in indexes:
            seconds = now - self._last[index]
            if seconds > 0:
                self._last[index] = now
                self._count(index, seconds)

    def _count(self, index: int, seconds: float) -> None:
        edge = self.edges[index]
        callers, callees = self.pods(edge.caller), self.pods(edge.callee)
        if not callers:
            return
        share = 1.0 / len(callers)
        for caller in callers:
            if not callees:
                self._nobody(index, caller, seconds, share)
                continue
            for callee in callees:
                self._pair(index, caller, callee, seconds, share / len(callees))

    def state(self, pod: Obj) -> ProxyState:
        """Give the proxy of a pod."""
        uid = pod["metadata"]["uid"]
        found = self.proxies.get(uid)
        if found is None:
            found = self.proxies[uid] = ProxyState()
        return found

    def _look(self, pod: Obj) -> Seen:
        uid = pod["metadata"]["uid"]
        found = self._seen.get(uid)
        if found is None:
            found = self._seen[uid] = Seen(proxy=has_proxy(pod), release=_release(pod))
        return found

    def _refuses(self, pod: Obj) -> bool:
        """Tell whether the policies in force let a pod with a proxy refuse plaintext."""
        uid = pod["metadata"]["uid"]
        found = self._strict.get(uid)
        if found is None:
            found = self._strict[uid] = is_strict(self._server, pod)
        return found

    def _nobody(self, index: int, caller: Obj, seconds: float, share: float) -> None:
        if self._look(caller).proxy:
            count, rps = self.state(caller).clusters[self._out[index]], self.edges[index].rps * share
            count.requests += rps * seconds
            count.failed += rps * seconds
            if self.scraping.on:
                self._note(caller, Kind(self._out[index], index, False, "UH"), seconds, Rates(rps, rps, 0.0, 0.0, 0.0))

    def _pair(self, index: int, caller: Obj, callee: Obj, seconds: float, share: float) -> None:
        edge = self.edges[index]
        into = self._look(callee)
        out = self._look(caller).proxy
        if not (out or into.proxy):
            return
        rps, opening = edge.rps * share, edge.connections * share
        mutual = out and into.proxy
        strict = into.proxy and self._refuses(callee)
        errors, latency = self._harm(edge, into, strict=strict) if self.harms else (edge.errors, edge.latency_ms)
        inbound = f"inbound|{edge.port}||"
        if strict and not mutual:
            refused = opening or rps
            self.state(callee).refused += refused * seconds
            if self.scraping.on:
                self._note(callee, Kind(inbound, index, False), seconds, Rates(0.0, 0.0, 0.0, refused, 0.0))
            return
        requests, opened, failed = rps * seconds, opening * seconds, rps * seconds * errors
        if out:
            took = latency + (1.0 if into.proxy else 0.0)
            self._add(self.state(caller).clusters[self._out[index]], requests, failed, opened, took)
            if self.scraping.on:
                rates = Rates(rps, rps * errors, opening, 0.0, took)
                self._note(caller, Kind(self._out[index], index, mutual), seconds, rates)
        if into.proxy:
            state = self.state(callee)
            self._add(state.clusters[inbound], requests, failed, opened, latency)
            row = state.inbound.setdefault(edge.port, [0.0, 0.0])
            row[1 if mutual else 0] += opened
            if mutual:
                state.handshakes += opened
            if self.scraping.on:
                rates = Rates(rps, rps * errors, opening, 0.0, latency)
                self._note(callee, Kind(inbound, index, mutual), seconds, rates)
            self._log(state, edge, caller, requests, mutual=mutual)

    def _note(self, pod: Obj, kind: Kind, seconds: float, rates: Rates) -> None:
        """Let the scrapers know of a stretch of steady traffic that ended now."""
        target = self.scraping.targets.get(pod["metadata"]["uid"])
        if target is not None:
            target.course(kind).note(self._server.clock.elapsed(), seconds, rates)

    def rejects(self, service: str) -> None:
        """Let every proxy of a service refuse one update of its configuration."""
        for pod in self.pods(service):
            state = self.state(pod)
            state.rejected.append(self._server.clock.elapsed())

    def _log(self, state: ProxyState, edge: Edge, caller: Obj, requests: float, *, mutual: bool) -> None:
        address = str(dig(caller, "status", "podIP") or "")
        lines = 1 if mutual else max(1, min(20, round(requests)))
        if requests < 0.05:
            return
        now = self._server.clock.elapsed()
        for _ in range(lines):
            state.calls.append((now, address, mutual, edge.port, edge.callee))

    def _harm(self, edge: Edge, callee: Seen, *, strict: bool) -> tuple[float, float]:
        errors, latency = edge.errors, edge.latency_ms
        for harm in self.harms.values():
            if harm.service not in (edge.callee, "*"):
                continue
            hits = (
                harm.when == "always"
                or (harm.when == "meshed" and callee.proxy)
                or (harm.when == "strict" and strict)
                or harm.when == f"release:{callee.release}"
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
        buckets = count.buckets
        for factor, share in SPREAD:
            buckets[bisect_left(BOUNDS, latency * factor)] += requests * share


def outbound(edge: Edge) -> str:
    """Name the cluster of endpoints at the caller, as Istio does."""
    namespace, _, name = edge.callee.partition("/")
    return f"outbound|{edge.port}||{name}.{namespace}.svc.cluster.local"


def _release(pod: Obj) -> str:
    """Give the release of a pod's native sidecar by its image, "" without one."""
    images = (
        each.get("image", "") for each in dig(pod, "spec", "initContainers") or () if each.get("name") == "istio-proxy"
    )
    return str(next(images, "")).rpartition(":")[2]


def _same(old: Obj, new: Obj) -> bool:
    """Tell whether a change of a pod means nothing to traffic."""
    return (
        is_ready(old) == is_ready(new)
        and labels(old) == labels(new)
        and bool(old["metadata"].get("deletionTimestamp")) == bool(new["metadata"].get("deletionTimestamp"))
        and dig(old, "status", "podIP") == dig(new, "status", "podIP")
    )
