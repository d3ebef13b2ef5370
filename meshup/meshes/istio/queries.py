"""PromQL templates over Istio's standard metrics and Envoy's own; one grouped query each, whatever the number of services.

Requests and latencies are asked for in two families: the standard one, and, under "envoy ...", Envoy's own, which every
proxy has that was told to show it, stock Envoy included.

Placeholders: ${workload} and ${namespace} are patterns of the services asked about, ${peers} one of their names as
Envoy's clusters have them, ${window} a PromQL duration; ${pod} and ${home} are the names of the labels that the
scrape adds for a pod's name and namespace.
"""

from __future__ import annotations

from collections.abc import Mapping

INTO = 'destination_workload_namespace=~"${namespace}",destination_workload=~"${workload}"'
OUT_OF = 'source_workload_namespace=~"${namespace}",source_workload=~"${workload}"'
OWN = ("destination_workload_namespace, destination_workload, ${home}, ${pod}", 'reporter="destination"')
CALLERS = (
    "source_workload_namespace, source_workload, destination_workload_namespace, destination_workload",
    'reporter="source"',
)
CLIENT = ("source_workload_namespace, source_workload, ${home}, ${pod}", 'reporter="source"')
REQUESTS, BUCKETS = "istio_requests_total", "istio_request_duration_milliseconds_bucket"
FAILED = ',response_code=~"5.."'
LINK = 'envoy_cluster_upstream_rq_active{cluster_name="xds-grpc"}'
"""The stream for configuration: every proxy shows it, and it ends with control_plane.connected_state, which few show."""

EACH = "sum by (${home}, ${pod}) (%s)"
HELD = "sum by (${home}, ${pod}, cluster_name) (%s)"
INBOUND, OUTBOUND = 'cluster_name=~"inbound[|].*"', 'cluster_name=~"outbound[|].*"'
TOWARDS = 'cluster_name=~"outbound[|].*[|](${peers})[.]svc[.].*"'
WORST = ',response_code_class="5xx"'


def growth(labels: str, counter: str) -> str:
    """Write the query for what a counter grew over the window, summed by labels; exact, with no rate guessed.

    A series that was not there when the window began counts from zero: increase() leaves out what it had counted at its
    first scrape, which of a new pod are its first connections, and of an old one its first errors.
    """
    return f"sum by ({labels}) (({counter} - {counter} offset ${{window}}) or {counter})"


def _standard(side: tuple[str, str], metric: str, which: str, *, le: str = "") -> str:
    labels, reporter = side
    return growth(labels + le, f"{metric}{{{reporter},{which}}}")


def _counted(metric: str, which: str, more: str = "") -> str:
    return growth(f"${{home}}, ${{pod}}{more}", f"envoy_cluster_upstream_{metric}{{{which}}}")


QUERIES: Mapping[str, str] = {
    "own requests": _standard(OWN, REQUESTS, INTO),
    "own failed": _standard(OWN, REQUESTS, INTO + FAILED),
    "own buckets": _standard(OWN, BUCKETS, INTO, le=", le"),
    "callers requests": _standard(CALLERS, REQUESTS, INTO),
    "callers failed": _standard(CALLERS, REQUESTS, INTO + FAILED),
    "callers buckets": _standard(CALLERS, BUCKETS, INTO, le=", le"),
    "client requests": _standard(CLIENT, REQUESTS, OUT_OF),
    "client failed": _standard(CLIENT, REQUESTS, OUT_OF + FAILED),
    "client buckets": _standard(CLIENT, BUCKETS, OUT_OF, le=", le"),
    "envoy own requests": _counted("rq_total", INBOUND),
    "envoy own failed": _counted("rq", INBOUND + WORST),
    "envoy own buckets": _counted("rq_time_bucket", INBOUND, ", le"),
    "envoy callers requests": _counted("rq_total", TOWARDS, ", cluster_name"),
    "envoy callers failed": _counted("rq", TOWARDS + WORST, ", cluster_name"),
    "envoy callers buckets": _counted("rq_time_bucket", TOWARDS, ", cluster_name, le"),
    "envoy client requests": _counted("rq_total", OUTBOUND),
    "envoy client failed": _counted("rq", OUTBOUND + WORST),
    "envoy client buckets": _counted("rq_time_bucket", OUTBOUND, ", le"),
    "own connections": EACH % f"envoy_cluster_upstream_cx_total{{{INBOUND}}}",
    "own connect_failures": EACH % f"envoy_cluster_upstream_cx_connect_fail{{{INBOUND}}}",
    "callers connections": _counted("cx_total", TOWARDS, ", cluster_name"),
    "callers connect_failures": _counted("cx_connect_fail", TOWARDS, ", cluster_name"),
    "callers active": HELD % f"envoy_cluster_upstream_cx_active{{{TOWARDS}}}",
    "callers tried": HELD % f"envoy_cluster_upstream_cx_total{{{TOWARDS}}}",
    "callers lost": HELD % f"envoy_cluster_upstream_cx_connect_fail{{{TOWARDS}}}",
    "callers untrusted": HELD % f'{{__name__=~"envoy_cluster_ssl_(connection_error|fail_verify_.+)",{TOWARDS}}}',
    "restarts": EACH % 'resets(envoy_cluster_upstream_cx_total{${home}=~"${homes}"}[${window}])',
    "known before": f"max by (${{home}}, ${{pod}}) (timestamp({LINK} offset ${{window}}))",
    "newest": f"max by (${{home}}, ${{pod}}) (timestamp({LINK}))",
    "each rejected": EACH % '{__name__=~"envoy_.+_update_rejected"}',
    "each connected": f"min by (${{home}}, ${{pod}}) ({LINK})",
    "each inbound_connections": EACH % 'envoy_http_downstream_cx_total{http_conn_manager_prefix=~"inbound_.*"}',
    "each inbound_tls": EACH % 'envoy_http_downstream_cx_ssl_total{http_conn_manager_prefix=~"inbound_.*"}',
    "each active": EACH % 'envoy_http_downstream_cx_active{http_conn_manager_prefix=~"inbound_.*"}',
    "each active_tls": EACH % 'envoy_http_downstream_cx_ssl_active{http_conn_manager_prefix=~"inbound_.*"}',
    "each refused_plaintext": EACH % 'envoy_listener_no_filter_chain_match{listener_address="0.0.0.0_15006"}',
    "each handshakes": EACH % 'envoy_listener_ssl_handshake{listener_address="0.0.0.0_15006"}',
}
