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
OWN = 'sum by (destination_workload_namespace, destination_workload, ${home}, ${pod}%s) (increase(%s{reporter="destination",%s}[${window}]))'
CALLERS = (
    "sum by (source_workload_namespace, source_workload, destination_workload_namespace, destination_workload%s) "
    '(increase(%s{reporter="source",%s}[${window}]))'
)
CLIENT = 'sum by (source_workload_namespace, source_workload, ${home}, ${pod}%s) (increase(%s{reporter="source",%s}[${window}]))'
REQUESTS, BUCKETS = "istio_requests_total", "istio_request_duration_milliseconds_bucket"
FAILED = ',response_code=~"5.."'
LINK = 'envoy_cluster_upstream_rq_active{cluster_name="xds-grpc"}'
"""The stream for configuration: every proxy shows it, and it ends with control_plane.connected_state, which few show."""

EACH = "sum by (${home}, ${pod}) (%s)"
INBOUND, OUTBOUND = 'cluster_name=~"inbound[|].*"', 'cluster_name=~"outbound[|].*"'
TOWARDS = 'cluster_name=~"outbound[|].*[|](${peers})[.]svc[.].*"'
COUNTED = "sum by (${home}, ${pod}%s) (increase(envoy_cluster_upstream_%s{%s}[${window}]))"
WORST = ',response_code_class="5xx"'

QUERIES: Mapping[str, str] = {
    "own requests": OWN % ("", REQUESTS, INTO),
    "own failed": OWN % ("", REQUESTS, INTO + FAILED),
    "own buckets": OWN % (", le", BUCKETS, INTO),
    "callers requests": CALLERS % ("", REQUESTS, INTO),
    "callers failed": CALLERS % ("", REQUESTS, INTO + FAILED),
    "callers buckets": CALLERS % (", le", BUCKETS, INTO),
    "client requests": CLIENT % ("", REQUESTS, OUT_OF),
    "client failed": CLIENT % ("", REQUESTS, OUT_OF + FAILED),
    "client buckets": CLIENT % (", le", BUCKETS, OUT_OF),
    "envoy own requests": COUNTED % ("", "rq_total", INBOUND),
    "envoy own failed": COUNTED % ("", "rq", INBOUND + WORST),
    "envoy own buckets": COUNTED % (", le", "rq_time_bucket", INBOUND),
    "envoy callers requests": COUNTED % (", cluster_name", "rq_total", TOWARDS),
    "envoy callers failed": COUNTED % (", cluster_name", "rq", TOWARDS + WORST),
    "envoy callers buckets": COUNTED % (", cluster_name, le", "rq_time_bucket", TOWARDS),
    "envoy client requests": COUNTED % ("", "rq_total", OUTBOUND),
    "envoy client failed": COUNTED % ("", "rq", OUTBOUND + WORST),
    "envoy client buckets": COUNTED % (", le", "rq_time_bucket", OUTBOUND),
    "own connections": COUNTED % ("", "cx_total", INBOUND),
    "own connect_failures": COUNTED % ("", "cx_connect_fail", INBOUND),
    "callers connections": COUNTED % (", cluster_name", "cx_total", TOWARDS),
    "callers connect_failures": COUNTED % (", cluster_name", "cx_connect_fail", TOWARDS),
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
