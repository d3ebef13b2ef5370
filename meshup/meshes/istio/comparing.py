"""What a Prometheus can tell of two revisions of one service at the same time: one grouped query per count.

Counts are what grew over the window, pods that have gone by now among them: the newest sample within it minus the one at
its beginning. The callers' view is split by the callee's revision where the mesh's own metrics name it, else by the
address of the endpoint that was called, which proxies count when they are told to.
"""

from __future__ import annotations

from collections.abc import Mapping

from meshup.meshes.asks import Ask, Family, Whose
from meshup.meshes.istio.queries import BUCKETS, CALLERS, INBOUND, INTO, LINK, OUT_OF, OUTBOUND, REQUESTS
from meshup.meshes.istio.words import PROXY
from meshup.model.objects import Object, labels

CANONICAL = "service.istio.io/canonical-revision"
REVISION = "destination_canonical_revision"
VERSIONS = (CANONICAL, "app.kubernetes.io/version", "version")
"""What Istio takes a pod's canonical revision from, in this order; "latest" without any (pkg/model/proxy.go)."""
RULE = "workload:"
"""Prefix of the recording rules that Istio's own page on observability in production proposes."""

POD = "${home}, ${pod}"
LISTENER = 'listener_address="0.0.0.0_15006"'
ENDPOINTS = 'envoy_cluster_name=~"outbound[|].*[|](${peers})[.]svc[.].*"'
ENDPOINT = f"{POD}, envoy_cluster_name, envoy_endpoint_address"
CLASSES = ',response_code_class!=""'
OF_PROXIES = f'container="{PROXY}",namespace=~"${{homes}}"'

NEWEST = f"max by ({POD}) (timestamp({LINK})) or vector(time())"
"""Asked without a time: the row without labels is the server's own clock."""
BEFORE = f"max by ({POD}) (timestamp({LINK} offset ${{window}}))"
SCRAPES = f"max(count_over_time({LINK}[5m]))"
RESTARTS = f'sum by ({POD}) (resets(envoy_cluster_upstream_cx_total{{${{home}}=~"${{homes}}"}}[${{window}}]))'

SCRAPING: Mapping[str, str] = {"newest": NEWEST, "before": BEFORE, "scrapes": SCRAPES, "restarts": RESTARTS}


def grown(by: str, counter: str) -> str:
    """Write the query for what a counter grew within the window; a series that ended within it counts to its end."""
    last = f"last_over_time({counter}[${{window}}])"
    return f"sum by ({by}) (({last} - {counter} offset ${{window}}) or {last})"


def _resets(by: str, counter: str) -> str:
    return f"sum by ({by}) (resets({counter}[${{window}}]))"


def _own(metric: str, part: str, name: str, which: str, *, by: str = "", view: str = "own") -> Ask:
    query = grown(POD + by, f"{name}{{{which}}}")
    return Ask(metric=metric, view=view, part=part, split="pod", query=query, names=(name,), where=which)  # type: ignore[arg-type]


def _endpoint(metric: str, part: str, word: str) -> Ask:
    name = f"envoy_cluster_endpoint_{word}"
    return Ask(
        metric=metric,
        view="callers",
        part=part,  # type: ignore[arg-type]
        split="address",
        query=grown(ENDPOINT, f"{name}{{{ENDPOINTS}}}"),
        names=(name,),
        resets=_resets(ENDPOINT, f"envoy_cluster_endpoint_cx_total{{{ENDPOINTS}}}"),
        where=ENDPOINTS,
    )


def _callers(metric: str, part: str, name: str, *, by: str, rule: bool = False) -> Ask:
    labels_, reporter = f"{CALLERS[0]}, {REVISION}", CALLERS[1]
    return Ask(
        metric=metric,
        view="callers",
        part=part,  # type: ignore[arg-type]
        split="revision",
        query=grown(f"{labels_}, {by}", f"{name}{{{reporter},{INTO}}}"),
        names=(name,),
        resets=_resets(labels_, f"{name}{{{reporter},{INTO}}}"),
        rule=rule,
        where=f"{reporter},{INTO}",
    )


def _gauge(metric: str, query: str, name: str) -> Ask:
    return Ask(metric=metric, view="own", part="points", split="pod", query=query, names=(name,))


CPU, MEMORY = "container_cpu_usage_seconds_total", "container_memory_working_set_bytes"
STANDARD, ENVOY, CONTAINERS = (
    "the mesh's standard metrics",
    "Envoy's own metrics",
    "the kubelet's metrics of containers",
)
RQ, RQ_TIME = "envoy_cluster_upstream_rq", "envoy_cluster_upstream_rq_time_bucket"

FAMILIES: tuple[Family, ...] = (
    Family(
        name=f"recording rules of {STANDARD}",
        needs=(RULE + REQUESTS, RULE + BUCKETS),
        on_pages=False,
        asks=(
            _callers("errors", "codes", RULE + REQUESTS, by="response_code", rule=True),
            _callers("latency", "buckets", RULE + BUCKETS, by="le", rule=True),
        ),
    ),
    Family(
        name=STANDARD,
        needs=(REQUESTS, BUCKETS),
        asks=(
            _callers("errors", "codes", REQUESTS, by="response_code"),
            _callers("latency", "buckets", BUCKETS, by="le"),
            _own("errors", "codes", REQUESTS, f'reporter="destination",{INTO}', by=", response_code"),
            _own("latency", "buckets", BUCKETS, f'reporter="destination",{INTO}', by=", le"),
            _own("errors", "codes", REQUESTS, f'reporter="source",{OUT_OF}', by=", response_code", view="client"),
            _own("latency", "buckets", BUCKETS, f'reporter="source",{OUT_OF}', by=", le", view="client"),
        ),
    ),
    Family(
        name=ENVOY,
        needs=(RQ, RQ_TIME),
        asks=(
            _own("errors", "codes", RQ, INBOUND + CLASSES, by=", response_code_class"),
            _own("latency", "buckets", RQ_TIME, INBOUND, by=", le"),
            _own("errors", "codes", RQ, OUTBOUND + CLASSES, by=", response_code_class", view="client"),
            _own("latency", "buckets", RQ_TIME, OUTBOUND, by=", le", view="client"),
        ),
    ),
    Family(
        name=ENVOY,
        needs=("envoy_cluster_upstream_cx_total", "envoy_cluster_upstream_cx_connect_fail"),
        asks=(
            _own("connection-failures", "total", "envoy_cluster_upstream_cx_total", INBOUND),
            _own("connection-failures", "bad", "envoy_cluster_upstream_cx_connect_fail", INBOUND),
            _own("connection-failures", "total", "envoy_cluster_upstream_cx_total", OUTBOUND, view="client"),
            _own("connection-failures", "bad", "envoy_cluster_upstream_cx_connect_fail", OUTBOUND, view="client"),
        ),
    ),
    Family(
        name=ENVOY,
        needs=("envoy_listener_ssl_handshake", "envoy_listener_ssl_connection_error"),
        asks=(
            _own("handshake-errors", "good", "envoy_listener_ssl_handshake", LISTENER),
            _own("handshake-errors", "bad", "envoy_listener_ssl_connection_error", LISTENER),
        ),
    ),
    Family(
        name=f"{ENVOY} by endpoint",
        needs=tuple(
            f"envoy_cluster_endpoint_{word}" for word in ("rq_total", "rq_error", "cx_total", "cx_connect_fail")
        ),
        asks=(
            _endpoint("errors", "total", "rq_total"),
            _endpoint("errors", "bad", "rq_error"),
            _endpoint("connection-failures", "total", "cx_total"),
            _endpoint("connection-failures", "bad", "cx_connect_fail"),
        ),
    ),
    Family(
        name=CONTAINERS,
        needs=(CPU, MEMORY),
        on_pages=False,
        asks=(
            _gauge("cpu", f"sum by (namespace, pod) (rate({CPU}{{{OF_PROXIES}}}[${{rate}}]))", CPU),
            _gauge("memory", f"sum by (namespace, pod) ({MEMORY}{{{OF_PROXIES}}})", MEMORY),
        ),
    ),
    Family(
        name=ENVOY,
        needs=("envoy_server_memory_allocated",),
        asks=(
            _gauge(
                "memory",
                f'sum by ({POD}) (envoy_server_memory_allocated{{${{home}}=~"${{homes}}"}})',
                "envoy_server_memory_allocated",
            ),
        ),
    ),
)
"""In the order of preference, metric by metric and view by view. CPU has no other source: a proxy does not count its own."""


def split_word(pod: Object) -> str:
    """Give a pod's canonical revision, as callers' metrics will name it."""
    own = labels(pod)
    return next((own[key] for key in VERSIONS if own.get(key)), "latest")


def whose(row: Mapping[str, str]) -> Whose:
    """Say who a row is about. Rows of Envoy's clusters name a Service, rows of the standard metrics a workload."""
    cluster = row.get("envoy_cluster_name") or row.get("cluster_name") or ""
    if cluster:
        name, _, rest = cluster.rpartition("|")[2].partition(".")
        namespace = rest.partition(".")[0]
        return Whose(
            callee=f"{namespace}/{name}" if name and namespace else "",
            address=host_of(row.get("envoy_endpoint_address", "")),
        )
    home, name = row.get("destination_workload_namespace", ""), row.get("destination_workload", "")
    return Whose(
        callee=f"{home}/{name}" if home and name else "",
        caller=f"{row.get('source_workload_namespace', '')}/{row.get('source_workload', '')}",
        revision=row.get(REVISION, ""),
    )


def host_of(address: str) -> str:
    """Give the address of "10.0.0.1:80" or "[fd00::1]:80" without its port; "" for what is no such thing."""
    host, colon, _ = address.rpartition(":")
    return host.removeprefix("[").removesuffix("]") if colon else ""
