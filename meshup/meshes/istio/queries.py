"""PromQL templates over Istio's standard metrics; ${workload} and ${namespace} are lists joined by "|"."""

from __future__ import annotations

from collections.abc import Mapping

WORKLOADS = 'destination_workload_namespace=~"${namespace}",destination_workload=~"${workload}"'

QUERIES: Mapping[str, str] = {
    "requests": (
        "sum by (destination_workload) "
        f'(increase(istio_requests_total{{reporter="${{reporter}}",{WORKLOADS}}}[${{window}}]))'
    ),
    "failed": (
        "sum by (destination_workload) "
        f'(increase(istio_requests_total{{reporter="${{reporter}}",response_code=~"5..",{WORKLOADS}}}[${{window}}]))'
    ),
    "latency": (
        "sum by (destination_workload, le) "
        f'(increase(istio_request_duration_milliseconds_bucket{{reporter="${{reporter}}",{WORKLOADS}}}[${{window}}]))'
    ),
    "plaintext": (
        "sum by (source_workload_namespace, source_workload) "
        f'(increase(istio_requests_total{{reporter="destination",connection_security_policy!="mutual_tls",{WORKLOADS}}}[${{window}}]))'
    ),
    "plaintext-tcp": (
        "sum by (source_workload_namespace, source_workload) (increase(istio_tcp_connections_opened_total"
        f'{{reporter="destination",connection_security_policy!="mutual_tls",{WORKLOADS}}}[${{window}}]))'
    ),
}
