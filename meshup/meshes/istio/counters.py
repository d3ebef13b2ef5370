"""Envoy's counters in Prometheus form, read from one proxy; names as recorded from stock Envoy 1.38 and 1.39."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Literal

from meshup.meshes.driver import Edge, ProxyCounters

LINE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)(?: -?\d+)?$")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
OUTBOUND = re.compile(r"^outbound\|(\d+)\|[^|]*\|([^.|]+)\.([^.|]+)\.svc\.")
INBOUND = re.compile(r"^inbound\|(\d+)\|")
INBOUND_LISTENER = "0.0.0.0_15006"
ALWAYS_THERE = frozenset({"envoy_cluster_manager_cds_update_rejected", "envoy_listener_manager_lds_update_rejected"})
"""Counters of rejected configurations that every proxy has, whatever its statistics matcher lets through."""

VERIFY = "ssl_fail_verify_"
OVERFLOWS = ("cx_overflow", "rq_pending_overflow")
"""A connection or request too many for a cluster's circuit breaker (Envoy, cluster statistics)."""

LINK = "envoy_cluster_upstream_rq_active"
"""Of cluster xds-grpc: the stream for configuration. Every proxy shows it, and it ends with control_plane.connected_state."""


def samples(text: str, *, some: bool = True) -> Iterator[tuple[str, dict[str, str], float]]:
    """Yield (name, labels, value) of every sample line. some: none at all is no page.

    Raises ValueError for text that is not this format.
    """
    seen = 0
    for raw in text.splitlines():
        if not raw or raw.startswith("#"):
            continue
        found = LINE.match(raw)
        if found is None:
            raise ValueError(f"not a sample line: {raw[:80]!r}")
        name, inside, value = found.groups()
        seen += 1
        yield name, dict(LABEL.findall(inside)) if inside else {}, float(value)
    if some and not seen:
        raise ValueError("no samples")


def chosen(text: str, lines: Mapping[str, re.Pattern[str]]) -> Iterator[tuple[str, dict[str, str], float]]:
    """Yield the samples of some metrics whose lines match; of other lines no more is read than that.

    The first line of each of these metrics is among them in any case, so that it is known which ones a page has.
    Raises ValueError for text that has no samples at all, or a line of these metrics that is none.
    """
    kept, seen = [], False
    known: set[str] = set()
    for raw in text.splitlines():
        if not raw or raw.startswith("#"):
            continue
        seen = True
        end = raw.find("{")
        name = raw[:end] if end >= 0 else raw.partition(" ")[0]
        pattern = lines.get(name)
        if pattern is not None and (name not in known or pattern.match(raw)):
            known.add(name)
            kept.append(raw)
    if not seen:
        raise ValueError("no samples")
    yield from samples("\n".join(kept), some=False)


def read(text: str) -> ProxyCounters:
    """Read one page. Counters that the page does not have are None, never 0."""
    clusters: dict[str, dict[str, float]] = defaultdict(dict)
    buckets: dict[str, dict[float, int]] = defaultdict(dict)
    http: dict[str, dict[str, float]] = defaultdict(dict)
    rejected: dict[str, float] = {}
    listener: dict[str, float] = {}
    connected: float | None = None
    link: float | None = None
    for name, labels, value in samples(text):
        if name == LINK and labels.get("cluster_name") == "xds-grpc":
            link = value
        elif name.startswith("envoy_cluster_") and "cluster_name" in labels:
            _cluster(name[len("envoy_cluster_") :], labels, value, clusters, buckets)
            if name.endswith("_update_rejected"):
                rejected["cluster"] = rejected.get("cluster", 0) + value
        elif name.startswith("envoy_http_downstream_cx_"):
            http[labels.get("http_conn_manager_prefix", "")][name[len("envoy_http_downstream_") :]] = value
        elif name.endswith("update_rejected"):
            rejected[name] = rejected.get(name, 0) + value
        elif name.startswith("envoy_listener_") and labels.get("listener_address") == INBOUND_LISTENER:
            listener[name[len("envoy_listener_") :]] = value
        elif name == "envoy_control_plane_connected_state":
            connected = value
    connected = link if connected is None else connected
    inbound = {prefix: found for prefix, found in http.items() if prefix.startswith("inbound_")}
    return ProxyCounters(
        edges=tuple(
            _edge(name, found, buckets.get(name, {})) for name, found in sorted(clusters.items()) if _is_edge(name)
        ),
        rejected=int(sum(rejected.values())) if rejected.keys() >= ALWAYS_THERE else None,
        connected=None if connected is None else connected >= 1,
        inbound_connections=_total(inbound, "cx_total"),
        inbound_tls=_total(inbound, "cx_ssl_total"),
        active_plaintext=_active(inbound),
        active_tls=_total(inbound, "cx_ssl_active"),
        refused_plaintext=_whole(listener.get("no_filter_chain_match")),
        handshakes=_whole(listener.get("ssl_handshake")),
        signs=_signs(rejected, listener, clusters),
    )


def _signs(
    rejected: Mapping[str, float], listener: Mapping[str, float], clusters: Mapping[str, Mapping[str, float]]
) -> dict[str, float]:
    """Give the counts that point to a cause, by Envoy's names; the inbound listener's and all clusters' are summed."""
    found: dict[str, float] = {}
    if rejected:
        found["update_rejected"] = sum(rejected.values())
    for one in (listener, *clusters.values()):
        for name, value in one.items():
            sign = "ssl.fail_verify" if name.startswith(VERIFY) else ""
            if name == "ssl_connection_error":
                sign = "ssl.connection_error"
            elif name in OVERFLOWS:
                sign = f"upstream_{name}"
            if sign:
                found[sign] = found.get(sign, 0) + value
    return found


def _cluster(
    name: str,
    labels: Mapping[str, str],
    value: float,
    clusters: dict[str, dict[str, float]],
    buckets: dict[str, dict[float, int]],
) -> None:
    cluster = labels["cluster_name"]
    if name == "upstream_rq_time_bucket":
        bound = float("inf") if labels.get("le") == "+Inf" else float(labels["le"])
        buckets[cluster][bound] = int(value)
    elif name == "upstream_rq":
        if labels.get("response_code_class") == "5xx" or (
            "response_code_class" not in labels and "response_code" not in labels
        ):
            clusters[cluster]["rq_5xx"] = clusters[cluster].get("rq_5xx", 0) + value
    elif name == "upstream_rq_xx":
        if labels.get("envoy_response_code_class", labels.get("response_code_class")) in ("5", "5xx"):
            clusters[cluster]["rq_5xx"] = clusters[cluster].get("rq_5xx", 0) + value
    elif name.startswith("upstream_"):
        clusters[cluster][name[len("upstream_") :]] = value
    elif name.startswith("ssl_"):
        clusters[cluster][name] = value


def _is_edge(name: str) -> bool:
    return bool(OUTBOUND.match(name) or INBOUND.match(name))


def _tls_errors(found: Mapping[str, float]) -> int | None:
    """Give the TLS connections that failed; Envoy counts refused certificates apart from other errors."""
    several = [value for name, value in found.items() if name == "ssl_connection_error" or name.startswith(VERIFY)]
    return int(sum(several)) if several else None


def _edge(name: str, found: Mapping[str, float], buckets: Mapping[float, int]) -> Edge:
    out = OUTBOUND.match(name)
    direction: Literal["inbound", "outbound"] = "outbound" if out else "inbound"
    return Edge(
        name=name,
        direction=direction,
        peer=f"{out[3]}/{out[2]}" if out else "",
        requests=int(found.get("rq_total", found.get("rq_completed", 0))),
        failed=int(found.get("rq_5xx", 0)),
        connections=int(found.get("cx_total", 0)),
        connect_failures=int(found.get("cx_connect_fail", 0)),
        active_connections=int(found.get("cx_active", 0)),
        buckets=dict(sorted(buckets.items())),
        latency_sum_ms=float(found.get("rq_time_sum", 0.0)),
        tls_errors=_tls_errors(found),
    )


def _total(inbound: Mapping[str, Mapping[str, float]], name: str) -> int | None:
    values = [found[name] for found in inbound.values() if name in found]
    return int(sum(values)) if values else None


def _active(inbound: Mapping[str, Mapping[str, float]]) -> int | None:
    pairs = [
        (found["cx_active"], found["cx_ssl_active"])
        for found in inbound.values()
        if {"cx_active", "cx_ssl_active"} <= set(found)
    ]
    return int(sum(every - tls for every, tls in pairs)) if pairs else None


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
