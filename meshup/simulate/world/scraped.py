"""The series of a scraped mesh, computed from what proxies counted: Envoy's own family and Istio's standard one.

Beside them the two that a kubelet tells of each proxy's container.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import inf
from typing import NamedTuple

from meshup.simulate.api.server import ApiServer
from meshup.simulate.prometheus.series import NAME, Match, Sample, Series, chosen
from meshup.simulate.world.edges import LASTS_S
from meshup.simulate.world.history import BOUNDS, KEEP_S, Course, Kind, Target
from meshup.simulate.world.traffic import Traffic

LES = (*(f"{bound:g}" for bound in BOUNDS), "+Inf")
TIMES = "istio_request_duration_milliseconds"
STANDARD = ("istio_requests_total", *(f"{TIMES}_{word}" for word in ("bucket", "sum", "count")))
CLUSTER = tuple(
    f"envoy_cluster_upstream_{word}"
    for word in (
        [
            "rq",
            "rq_total",
            "rq_completed",
            "cx_total",
            "cx_connect_fail",
            "cx_active",
            "rq_time_bucket",
            "rq_time_sum",
            "rq_time_count",
        ]
    )
)
TLS = ("envoy_cluster_ssl_handshake", "envoy_cluster_ssl_connection_error")
ENDPOINT: tuple[tuple[str, str], ...] = (
    ("rq_total", "asked"),
    ("rq_success", "answered"),
    ("rq_error", "bad"),
    ("rq_timeout", "none"),
    ("cx_total", "tried"),
    ("cx_connect_fail", "lost"),
)
"""What Envoy counts by endpoint where it is told to, and which of the totals that is."""
ENDPOINTS = tuple(f"envoy_cluster_endpoint_{word}" for word, _ in ENDPOINT)
DOWNSTREAM = tuple(
    f"envoy_http_downstream_{word}"
    for word in ("rq", "rq_total", "rq_completed", "rq_time_bucket", "rq_time_sum", "rq_time_count")
)
CPU, MEMORY = "container_cpu_usage_seconds_total", "container_memory_working_set_bytes"
IDLE_CORES, CPU_PER_REQUEST_S = 0.004, 0.0004
"""What a proxy takes of a processor: always, and for each request."""
MIB = 1024 * 1024
Value = Callable[[float], float]


class Row(NamedTuple):
    """One series before its samples are asked for. value: its value at a moment of the elapsed clock.

    there: when it is on the page at all, from and to, on that clock.
    """

    name: str
    labels: Mapping[str, str]
    value: Value
    there: tuple[float, float] = (0.0, inf)


class Wanted(dict[str, bool]):
    """Which metrics a query asks for; each name is looked at once."""

    def __init__(self, matchers: Iterable[Match]) -> None:
        super().__init__()
        self._matchers = tuple(matchers)

    def __missing__(self, name: str) -> bool:
        """Decide on a name that is new."""
        found = self[name] = all(each(name) for each in self._matchers)
        return found


class Scraped:
    """A source of series for the embedded Prometheus."""

    def __init__(self, server: ApiServer, traffic: Traffic) -> None:
        self._server, self._traffic = server, traffic

    def select(self, matchers: Sequence[Match], start: float, end: float) -> Sequence[Series]:
        """Give the series with a sample in (start, end], in Unix seconds."""
        self._traffic.count_all()
        shift = self._server.clock.now().timestamp() - self._server.clock.elapsed()
        now = self._server.clock.elapsed()
        oldest = max(start - shift, self._traffic.scraping.since, now - KEEP_S)
        newest = min(end - shift, now)
        found: dict[tuple[tuple[str, str], ...], tuple[Mapping[str, str], list[tuple[Target, Value]]]] = {}
        wanted = Wanted(each for each in matchers if each.label == NAME)
        places = [each for each in matchers if each.label in ("namespace", "pod")]
        rest = [each for each in matchers if each.label != NAME]
        for target in list(self._traffic.scraping.targets.values()):
            if target.born > newest or target.ended < oldest:
                continue
            own = self._own(target)
            if not chosen(own, places) or target.last_scrape(oldest, newest) is None:
                continue
            for row in self._rows(target, wanted, rest, own):
                labels = {NAME: row.name, **own, **row.labels}
                if chosen(labels, rest):
                    _, parts = found.setdefault(tuple(sorted(labels.items())), (labels, []))
                    born, ended = max(target.born, row.there[0]), min(target.ended, row.there[1])
                    whole = (born, ended) == (target.born, target.ended)
                    parts.append((target if whole else replace(target, born=born, ended=ended), row.value))
        return [
            Series(labels, partial(self._samples, parts, shift, oldest), partial(self._latest, parts, shift, oldest))
            for labels, parts in found.values()
        ]

    def _latest(
        self, parts: Sequence[tuple[Target, Value]], shift: float, oldest: float, start: float, end: float
    ) -> Sample | None:
        """Give the newest sample; a target that is gone by then has none, as the real one marks its series stale."""
        until = min(end - shift, self._server.clock.elapsed())
        there = [
            (moment, value)
            for target, value in parts
            if target.ended > until and (moment := target.last_scrape(max(start - shift, oldest), until)) is not None
        ]
        if not there:
            return None
        moment, value = max(there, key=lambda pair: pair[0])
        return moment + shift, value(moment)

    def _samples(
        self, parts: Sequence[tuple[Target, Value]], shift: float, oldest: float, start: float, end: float
    ) -> list[Sample]:
        now = self._server.clock.elapsed()
        rows = [
            (moment + shift, value(moment))
            for target, value in parts
            for moment in target.scrapes(max(start - shift, oldest), min(end - shift, now))
        ]
        return sorted(rows) if len(parts) > 1 else rows

    def _own(self, target: Target) -> Mapping[str, str]:
        return {
            "job": "kubernetes-pods",
            "instance": f"{target.address}:15020",
            "namespace": target.namespace,
            "pod": target.pod,
        }

    def _rows(self, target: Target, wanted: Wanted, rest: Sequence[Match], own: Mapping[str, str]) -> Iterator[Row]:
        """Give the rows of one target whose metric is asked for; buckets only where their other labels match."""
        if wanted["up"]:
            yield Row("up", {}, _one)
        yield from self._proxy(target, wanted)
        shared = [each for each in rest if each.label not in ("le", "response_code")]
        standard = self._traffic.scraping.standard and any(wanted[each] for each in STANDARD)
        for labels, courses in self._standard(target).values() if standard else ():
            if chosen({**labels, **own}, shared):
                yield from _requests(labels, courses, wanted)
        for cluster, several in _by_cluster(target).items() if any(wanted[each] for each in (*CLUSTER, *TLS)) else ():
            labels = {"cluster_name": cluster}
            if chosen({**labels, **own}, [each for each in rest if each.label == "cluster_name"]):
                yield from _cluster(labels, several, wanted)
                if cluster.startswith("outbound|"):
                    yield from _tls(
                        [each for kind, each in target.courses.items() if kind.cluster == cluster and kind.mutual],
                        labels,
                        wanted,
                    )
        if any(wanted[each] for each in ENDPOINTS) and self._traffic.endpoints.counted_in(target.namespace):
            yield from self._endpoints(target, wanted)
        yield from self._container(target, wanted)

    def _endpoints(self, target: Target, wanted: Wanted) -> Iterator[Row]:
        """Give what a caller counted by endpoint: from zero when it was told to, and as long as the endpoint's pod is there."""
        found: dict[tuple[str, str], list[Course]] = {}
        for kind, course in target.courses.items():
            if kind.endpoint:
                found.setdefault((kind.cluster, kind.endpoint), []).append(course)
        since = self._traffic.endpoints.since(target.namespace)
        for (cluster, endpoint), courses in found.items():
            labels = {"envoy_cluster_name": cluster, "envoy_endpoint_address": endpoint}
            there = (since, self._traffic.endpoints.until(endpoint))
            for name, (_, word) in zip(ENDPOINTS, ENDPOINT, strict=True):
                if wanted[name]:
                    yield Row(name, labels, partial(_grown, courses, word, since), there)

    def _container(self, target: Target, wanted: Wanted) -> Iterator[Row]:
        """Give what a kubelet tells of the proxy's container."""
        of = {"job": "kubernetes-cadvisor", "container": "istio-proxy"}
        if wanted[CPU]:
            yield Row(CPU, {**of, "cpu": "total"}, partial(_cpu, target))
        if wanted[MEMORY]:
            yield Row(MEMORY, of, partial(self._memory, target))

    def _memory(self, target: Target, moment: float) -> float:
        usual, noise = (
            self._traffic.releases.memory_mib(target.release, target.running(moment)) * MIB,
            self._traffic.noise,
        )
        return usual if noise is None else float(int(usual * noise.level(target.uid, moment - target.since)))

    def _proxy(self, target: Target, wanted: Wanted) -> Iterator[Row]:
        """Give what a proxy says of itself and of its inbound listener."""
        state = self._traffic.proxies.get(target.uid)
        rejected = state.rejected if state is not None else []
        for name in ("envoy_cluster_manager_cds_update_rejected", "envoy_listener_manager_lds_update_rejected"):
            if wanted[name]:
                times = rejected if "cds" in name else []
                yield Row(name, {}, lambda moment, times=times: float(sum(each <= moment for each in times)))  # type: ignore[misc]
        if wanted["envoy_control_plane_connected_state"]:
            yield Row("envoy_control_plane_connected_state", {}, _one)
        if wanted["envoy_cluster_upstream_rq_active"]:
            yield Row("envoy_cluster_upstream_rq_active", {"cluster_name": "xds-grpc"}, _one)
        ports: dict[str, list[tuple[Kind, Course]]] = {}
        for kind, course in target.courses.items():
            if kind.cluster.startswith("inbound|"):
                ports.setdefault(kind.cluster.split("|")[1], []).append((kind, course))
        for port, several in ports.items() or {"8080": []}.items():
            labels = {"http_conn_manager_prefix": f"inbound_0.0.0.0_{port}"}
            every = [course for _, course in several]
            mutual = [course for kind, course in several if kind.mutual]
            for word, courses in (("cx_total", every), ("cx_ssl_total", mutual)):
                if wanted[name := f"envoy_http_downstream_{word}"]:
                    yield Row(name, labels, partial(_sum, courses, "opened"))
            if any(wanted[each] for each in DOWNSTREAM):
                yield from _downstream(labels, every, wanted)
            for word in ("cx_active", "cx_ssl_active"):
                if wanted[name := f"envoy_http_downstream_{word}"]:
                    yield Row(name, labels, partial(_active, mutual))
        listener = {"listener_address": "0.0.0.0_15006"}
        inbound = [pair for several in ports.values() for pair in several]
        if wanted["envoy_listener_no_filter_chain_match"]:
            refused = partial(_sum, [course for _, course in inbound], "refused")
            yield Row("envoy_listener_no_filter_chain_match", listener, refused)
        if wanted["envoy_listener_ssl_handshake"]:
            shaken = partial(_sum, [course for kind, course in inbound if kind.mutual], "opened")
            yield Row("envoy_listener_ssl_handshake", listener, shaken)
        if wanted["envoy_listener_ssl_connection_error"]:
            lost = partial(_sum, [course for kind, course in inbound if kind.mutual], "lost")
            yield Row("envoy_listener_ssl_connection_error", listener, lost)
        if wanted["envoy_server_memory_allocated"]:
            yield Row("envoy_server_memory_allocated", {}, partial(self._memory, target))

    def _standard(self, target: Target) -> dict[tuple[str, ...], tuple[Mapping[str, str], list[Course]]]:
        """Give the labels of Istio's standard metrics but the response code, each with its courses."""
        home, name = _split(target.workload)
        found: dict[tuple[str, ...], tuple[Mapping[str, str], list[Course]]] = {}
        for kind, course in target.courses.items():
            edge = self._traffic.edges[kind.edge]
            caller_home, _, caller = edge.caller.partition("/")
            callee_home, _, callee = edge.callee.partition("/")
            inbound = kind.cluster.startswith("inbound|")
            if edge.caller == "ingress":
                caller_home, caller = self._gateway() if inbound else (home, name)
            if inbound and not kind.mutual:
                caller_home = caller = "unknown"
            policy = ("mutual_tls" if kind.mutual else "none") if inbound else "unknown"
            labels = {
                "reporter": "destination" if inbound else "source",
                "source_workload": caller,
                "source_workload_namespace": caller_home,
                "destination_workload": callee,
                "destination_workload_namespace": callee_home,
                "destination_canonical_revision": kind.revision,
                "destination_service": f"{callee}.{callee_home}.svc.cluster.local",
                "destination_service_name": callee,
                "destination_service_namespace": callee_home,
                "request_protocol": "http",
                "connection_security_policy": policy,
                "response_flags": kind.flags,
            }
            found.setdefault(tuple(labels.values()), (labels, []))[1].append(course)
        return found

    def _gateway(self) -> tuple[str, str]:
        """Name the workload that requests from outside come through."""
        for pod in self._traffic.pods("ingress"):
            target = self._traffic.scraping.targets.get(pod["metadata"]["uid"])
            if target is not None:
                return _split(target.workload)
        return "unknown", "unknown"


def _split(workload: str) -> tuple[str, str]:
    namespace, _, name = workload.partition("/")
    return namespace, name


def _one(moment: float) -> float:
    """Give what a gauge of something that is there always says."""
    del moment
    return 1.0


def _sum(courses: Sequence[Course], word: str, moment: float) -> float:
    """Add one count over courses, as whole as a page prints it; "answered" is what went well of the requests."""
    if word == "answered":
        return _sum(courses, "requests", moment) - _sum(courses, "failed", moment)
    return float(int(sum(float(getattr(each.at(moment), word)) for each in courses)))


def _grown(courses: Sequence[Course], word: str, since: float, moment: float) -> float:
    """Give how much of one count came after a moment, or after the proxy's own later start."""
    anew = since <= 0 or any(since < each <= moment for each in courses[0].restarts)
    return _sum(courses, word, moment) - (0.0 if anew else _sum(courses, word, since))


def _active(courses: Sequence[Course], moment: float) -> float:
    """Give the connections that were opened so shortly before that they are still there."""
    return _sum(courses, "opened", moment) - _sum(courses, "opened", max(0.0, moment - LASTS_S))


def _below(courses: Sequence[Course], upto: int, moment: float) -> float:
    return float(int(sum(sum(each.at(moment).buckets[: upto + 1]) for each in courses)))


def _cpu(target: Target, moment: float) -> float:
    asked = sum(each.at(moment).requests for each in target.courses.values())
    return round(target.running(moment) * IDLE_CORES + asked * CPU_PER_REQUEST_S, 6)


def _requests(labels: Mapping[str, str], courses: Sequence[Course], wanted: Wanted) -> Iterator[Row]:
    failed = "bad" if labels["reporter"] == "source" else "failed"
    for code, word in (("200", "answered"), ("503", failed)):
        if wanted["istio_requests_total"]:
            yield Row("istio_requests_total", {**labels, "response_code": code}, partial(_sum, courses, word))
    timed = {**labels, "response_code": "200"}
    if wanted[f"{TIMES}_bucket"]:
        for at, bound in enumerate(LES):
            yield Row(
                f"{TIMES}_bucket",
                {**timed, "le": bound},
                partial(_below, courses, at),
            )
    for word, name in (("sum_ms", "sum"), ("requests", "count")):
        if wanted[f"{TIMES}_{name}"]:
            yield Row(f"{TIMES}_{name}", timed, partial(_sum, courses, word))


def _by_cluster(target: Target) -> Mapping[str, list[Course]]:
    found: dict[str, list[Course]] = {}
    for kind, course in target.courses.items():
        found.setdefault(kind.cluster, []).append(course)
    return found


def _cluster(labels: Mapping[str, str], courses: Sequence[Course], wanted: Wanted) -> Iterator[Row]:
    outbound = labels["cluster_name"].startswith("outbound|")
    asked, failed = ("asked", "bad") if outbound else ("requests", "failed")
    tried, lost = ("tried", "lost") if outbound else ("opened", "none")
    for name, word in (("rq_total", asked), ("rq_completed", asked), ("cx_total", tried), ("cx_connect_fail", lost)):
        if wanted[f"envoy_cluster_upstream_{name}"]:
            yield Row(f"envoy_cluster_upstream_{name}", labels, partial(_sum, courses, word))
    if wanted["envoy_cluster_upstream_cx_active"]:
        yield Row("envoy_cluster_upstream_cx_active", labels, partial(_active, courses))
    if wanted["envoy_cluster_upstream_rq"]:
        for code, word in (("2xx", "answered"), ("5xx", failed)):
            yield Row(
                "envoy_cluster_upstream_rq", {**labels, "response_code_class": code}, partial(_sum, courses, word)
            )
    if wanted["envoy_cluster_upstream_rq_time_bucket"]:
        for at, bound in enumerate(LES):
            yield Row("envoy_cluster_upstream_rq_time_bucket", {**labels, "le": bound}, partial(_below, courses, at))
    for word, name in (("sum_ms", "sum"), ("requests", "count")):
        if wanted[f"envoy_cluster_upstream_rq_time_{name}"]:
            yield Row(f"envoy_cluster_upstream_rq_time_{name}", labels, partial(_sum, courses, word))


def _tls(courses: Sequence[Course], labels: Mapping[str, str], wanted: Wanted) -> Iterator[Row]:
    for name, word in zip(TLS, ("opened", "lost"), strict=True):
        if wanted[name]:
            yield Row(name, labels, partial(_sum, courses, word))


def _downstream(labels: Mapping[str, str], courses: Sequence[Course], wanted: Wanted) -> Iterator[Row]:
    prefix = "envoy_http_downstream_rq"
    for name in (f"{prefix}_total", f"{prefix}_completed", f"{prefix}_time_count"):
        if wanted[name]:
            yield Row(name, labels, partial(_sum, courses, "requests"))
    if wanted[prefix]:
        for code, word in (("2xx", "answered"), ("5xx", "failed")):
            yield Row(prefix, {**labels, "response_code_class": code}, partial(_sum, courses, word))
    if wanted[f"{prefix}_time_bucket"]:
        for at, bound in enumerate(LES):
            yield Row(f"{prefix}_time_bucket", {**labels, "le": bound}, partial(_below, courses, at))
    if wanted[f"{prefix}_time_sum"]:
        yield Row(f"{prefix}_time_sum", labels, partial(_sum, courses, "sum_ms"))
