"""Traffic between services, counted and not simulated request by request: rates times the time since last counted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from meshup.model.objects import annotated, dig, labels
from meshup.simulate.api.server import ApiServer
from meshup.simulate.api.store import Change, Obj
from meshup.simulate.world.badness import NOTHING, Asked, Effect
from meshup.simulate.world.bits import Selecting, is_ready, serves_alike
from meshup.simulate.world.counted import ProxyState
from meshup.simulate.world.edges import LASTS_S, Edge, Harm, Seen, Stretch, outbound, seen
from meshup.simulate.world.endpoints import Endpoints
from meshup.simulate.world.history import Kind, Rates, Scraping, is_prometheus
from meshup.simulate.world.mesh import GATEWAY_NAME, has_proxy, is_strict
from meshup.simulate.world.noise import Noise
from meshup.simulate.world.releases import Releases

CONFIGURES = frozenset({"security.istio.io", "networking.istio.io"})
"""Groups whose objects are sent to proxies."""
MIB = 1024 * 1024


class Traffic:
    """Counts lazily: an edge is brought up to date before anything about it changes, and when somebody reads."""

    def __init__(self, server: ApiServer, *, seed: int = 1) -> None:
        self._server = server
        self.releases = Releases(server, seed=seed)
        self.releases.count = self._count_pod
        self.releases.reject = self._reject
        self.endpoints = Endpoints(server)
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
        self.noise: Noise | None = None

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
            if change.kind == "MODIFIED" and len(both) == 2 and serves_alike(*both):
                return
            services = dict.fromkeys(name for each in both for name in self._services_of(each))
            for service in services:
                if service not in self._pods:
                    self._pods[service] = self._before(service, change)
            for service in services:
                self._count_service(service)
            for service in services:
                self._pods.pop(service, None)
            self._judge(change)
            self._scrape(change)
            uid = str(both[0]["metadata"].get("uid"))
            self._strict.pop(uid, None)
            if change.kind == "DELETED":
                self.proxies.pop(uid, None)
                self._seen.pop(uid, None)
                self.releases.gone(uid)
                self.endpoints.gone(both[0])
        elif change.key[0] in CONFIGURES:
            self.count_all()
            self._strict.clear()
            self._told()
            self.releases.changed()

    def _judge(self, change: Change) -> None:
        """Let a bad release begin in a pod that got ready."""
        if self.releases.bad and change.new is not None and change.kind != "DELETED" and is_ready(change.new):
            self.releases.begin(change.new, self._look(change.new).release)

    def begin(self) -> None:
        """Let a release that has just been declared bad begin in all pods that are there."""
        for each in self._server.objects.list("pods"):
            if is_ready(each):
                self.releases.begin(each, self._look(each).release)

    def _told(self) -> None:
        """Look again who counts by endpoint; who does so no longer forgets it, and who begins does so at zero."""
        no_longer = self.endpoints.told()
        for uid, state in self.proxies.items() if no_longer else ():
            seen = self._seen.get(uid)
            if seen is not None and seen.namespace in no_longer:
                state.endpoints.clear()

    def _scrape(self, change: Change) -> None:
        """Begin or end the scraping of a pod, or all scraping when the pod is a Prometheus."""
        now, pod = self._server.clock.elapsed(), change.new or change.old or {}
        if is_prometheus(pod):
            self.scraping.server(pod, up=change.kind != "DELETED" and is_ready(pod), now=now)
            if self.scraping.on and not self.scraping.targets:
                self.count_all()
                for each in self._server.objects.list("pods"):
                    self._target(each, now)
        elif self.scraping.on and change.kind == "DELETED":
            self.scraping.gone(pod, now=now)
        elif self.scraping.on:
            self._target(pod, now)

    def _target(self, pod: Obj, now: float) -> None:
        """Begin to scrape a pod once its proxy is ready."""
        if has_proxy(pod) and is_ready(pod):
            release = self._look(pod).release
            self.scraping.see(pod, now=now, release=release, since=self.releases.began(pod["metadata"]["uid"], now))

    def _services_of(self, pod: Obj) -> Iterator[str]:
        """Name the services whose pod this is, and "ingress" for a gateway's."""
        if self._known != len(self.workloads):
            self._known = len(self.workloads)
            for name, (namespace, selector) in self.workloads.items():
                self._selecting.put(namespace, name, selector)
        own = labels(pod)
        if GATEWAY_NAME in own or annotated(pod).get("inject.istio.io/templates") == "gateway":
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

    def _count_pod(self, pod: Obj) -> None:
        """Bring the edges from and to a pod up to date."""
        for service in self._services_of(pod):
            self._count_service(service)

    def active(self, pod: Obj) -> dict[str, float]:
        """Give the connections that the proxy of a pod holds, by cluster of endpoints; pods share them alike."""
        found: dict[str, float] = {}
        for service in self._services_of(pod):
            for index in self._by_service.get(service, ()):
                edge = self.edges[index]
                callers, callees = self.pods(edge.caller), self.pods(edge.callee)
                if not callers or not callees:
                    continue
                if edge.caller == service:
                    name, of = self._out[index], len(callers)
                else:
                    name, of = f"inbound|{edge.port}||", len(callees)
                found[name] = found.get(name, 0.0) + edge.connections * LASTS_S / of
        return found

    def restarted(self, pod: Obj) -> None:
        """Let the proxy of a pod forget what it counted, as one that starts again does."""
        uid = pod["metadata"]["uid"]
        self.proxies.pop(uid, None)
        target = self.scraping.targets.get(uid)
        if target is not None:
            target.restarted(self._server.clock.elapsed())

    def memory_bytes(self, pod: Obj) -> float:
        """Give what the proxy of a pod takes now."""
        now, seen = self._server.clock.elapsed(), self._look(pod)
        return self.releases.memory_mib(seen.release, now - self.releases.began(seen.uid, now)) * MIB

    def _reject(self, pod: Obj) -> None:
        self.state(pod).rejected.append(self._server.clock.elapsed())

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
            found = self._seen[uid] = seen(pod)
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
            if self.noise is not None:
                self.noise.nobody(rps * seconds)
            if self.scraping.on:
                self._note(caller, Kind(self._out[index], index, False, "UH"), seconds, Rates(rps, rps, 0.0, 0.0, 0.0))

    def _pair(self, index: int, caller: Obj, callee: Obj, seconds: float, share: float) -> None:
        edge = self.edges[index]
        out, into = self._look(caller), self._look(callee)
        if not (out.proxy or into.proxy):
            return
        rps, opening = edge.rps * share, edge.connections * share
        mutual = out.proxy and into.proxy
        strict = into.proxy and self._refuses(callee)
        errors, latency = self._harm(edge, into, strict=strict) if self.harms else (edge.errors, edge.latency_ms)
        inbound = f"inbound|{edge.port}||"
        if strict and not mutual:
            refused = opening or rps
            self.state(callee).refused += refused * seconds
            if self.scraping.on:
                kind = Kind(inbound, index, False, peer=out.uid)
                self._note(callee, kind, seconds, Rates(0.0, 0.0, 0.0, refused, 0.0))
            return
        stretch = Stretch(rps * seconds, rps * seconds * errors, opening * seconds, 0.0, latency)
        if self.releases.bad:
            stretch = self._drawn(index, out, into, stretch, seconds)
        if self.noise is not None:
            stream, drawn = (index, out.uid, into.uid), bool(self.releases.bad)
            stretch = self.noise.stretch(stream, stretch, unconnected=edge.unconnected, drawn=drawn)
        requests, failed, opened, lost, latency, spread = stretch
        if out.proxy:
            self._called(index, caller, into, stretch, seconds, mutual=mutual)
        if into.proxy:
            state = self.state(callee)
            state.clusters[inbound].add(requests, failed, opened, latency, spread)
            row = state.inbound.setdefault(edge.port, [0.0, 0.0])
            row[1 if mutual else 0] += opened
            if mutual:
                state.handshakes += opened
                state.untrusted += lost
            if self.scraping.on:
                kind = Kind(inbound, index, mutual, revision=into.revision, peer=out.uid)
                self._note(callee, kind, seconds, stretch.rates(seconds))
            self._log(state, edge, caller, requests, mutual=mutual)

    def _called(self, index: int, caller: Obj, into: Seen, stretch: Stretch, seconds: float, *, mutual: bool) -> None:
        """Count what the proxy of a caller saw."""
        requests, failed, opened, lost, latency, spread = stretch
        cluster, state = self._out[index], self.state(caller)
        took = latency + (1.0 if into.proxy else 0.0)
        count = state.clusters[cluster]
        count.add(requests, failed, opened, took, spread)
        if mutual:
            count.mutual += opened
        if lost:
            count.unconnected(lost, mutual=mutual)
        endpoint = f"{into.address}:{self.edges[index].port}"
        if self.endpoints.counted_in(self._look(caller).namespace):
            state.endpoints[cluster, endpoint].add(requests, failed, opened, lost)
        if self.scraping.on:
            kind = Kind(cluster, index, mutual, endpoint=endpoint, revision=into.revision)
            self._note(caller, kind, seconds, stretch._replace(latency=took).rates(seconds))

    def _drawn(self, index: int, out: Seen, into: Seen, usual: Stretch, seconds: float) -> Stretch:
        """Give what becomes of a stretch where a release is bad; failures are drawn, and users' losses counted."""
        edge, releases = self.edges[index], self.releases
        answering = sorted({into.release, out.release if edge.caller == "ingress" else into.release})
        hurt = self._hurt(edge, answering, into, seconds)
        stream = (index, out.uid, into.uid)
        share = usual.failed / usual.requests if usual.requests else 0.0
        tried = max(0.0, usual.requests - usual.opened * hurt.unconnected)
        failed = releases.drawn((*stream, "usual"), tried * share)
        worse = releases.drawn((*stream, "worse"), tried * (1 - share) * hurt.errors)
        lost = releases.drawn((*stream, "lost"), usual.opened * hurt.unconnected)
        went = tried * (1 - share) * (1 - hurt.errors)
        for release in answering:
            if releases.of(release):
                slowed = went if hurt.latency_ms else 0.0
                releases.suffer(release, requests=went + failed + worse + lost, failed=worse + lost, slowed=slowed)
        opened = usual.opened * (1 - hurt.unconnected)
        return Stretch(went + failed + worse, failed + worse, opened, lost, usual.latency + hurt.latency_ms)

    def _hurt(self, edge: Edge, answering: Iterable[str], into: Seen, seconds: float) -> Effect:
        """Give what the proxies that answer do to a request, as they were when the stretch began."""
        began = self._server.clock.elapsed() - seconds
        several = [
            self.edges[index] for index in self._by_service[edge.callee] if self.edges[index].callee == edge.callee
        ]
        asked = Asked(
            caller=edge.caller,
            age_s=self.releases.age_s(into.uid, began),
            rate=sum(each.rps for each in several) / max(1, len(self.pods(edge.callee))),
            chosen=self.releases.chosen(edge.callee, tuple(sorted({each.caller for each in several}))),
            ending=into.uid in self.releases.ending,
        )
        found = NOTHING
        for release in answering:
            found += self.releases.effect(release, asked)
        return found

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
                harm.when == "always" or (harm.when == "meshed" and callee.proxy) or (harm.when == "strict" and strict)
            )
            if hits:
                errors, latency = max(errors, harm.errors), latency * harm.latency_factor
        return errors, latency
