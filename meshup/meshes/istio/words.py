"""Names and facts of Istio: labels, ports, release data (istio.io and the source of 1.29 to 1.31)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

REV = "istio.io/rev"
TAG = "istio.io/tag"
INJECTION = "istio-injection"
INJECT = "sidecar.istio.io/inject"
STATUS = "sidecar.istio.io/status"
NATIVE = "sidecar.istio.io/nativeSidecar"
STATS = "sidecar.istio.io/statsInclusionRegexps"
PROXY = "istio-proxy"
INIT = "istio-init"
PROXY_UID = 1337
STATS_PORT = 15090
TAKEN_PORTS = (15000, 15001, 15002, 15004, 15006, 15008, 15020, 15021, 15053, 15090)
"""Ports a sidecar takes in its pod (istio.io, ports used by Istio)."""

ASSUMED_TCP = frozenset({25, 53, 3306, 27017})
"""Service ports that Istio takes for TCP when nothing is declared (wellKnownPorts of pkg/config/kube/conversion.go)."""

PROTOCOLS = frozenset(
    {"tcp", "udp", "grpc", "grpc-web", "http", "http_proxy", "http2", "https", "tls", "mongo", "redis", "mysql"}
)
"""What a port's appProtocol or the beginning of its name may say (pkg/config/protocol/instance.go)."""

APP_PROTOCOLS = frozenset({"kubernetes.io/h2c", "kubernetes.io/ws", "kubernetes.io/wss"})

NATIVE_FROM = 33
"""Kubelet minor from which ENABLE_NATIVE_SIDECARS=auto makes native sidecars (pkg/kube/inject/webhook.go)."""

STATS_WANTED = (
    r"http\.inbound_.*downstream_cx_.*",
    r"listener\..*(ssl|no_filter_chain_match|downstream_cx).*",
    r"cluster\.(in|out)bound.*",
    r"control_plane\..*",
    r".*\.update_rejected",
)
"""What the gates read and an Envoy under Istio hides by default.

Its bootstrap lets cluster_manager, listener_manager and server through, and nothing else (pkg/bootstrap/config.go): not
whether the control plane is there, not a rejected route or secret, no connection of an inbound port.
"""

SECURITY = "security.istio.io"
NETWORKING = "networking.istio.io"
GATEWAY_API = "gateway.networking.k8s.io"
GROUPS = (SECURITY, NETWORKING, GATEWAY_API)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of one minor release. kubernetes: (lowest, highest) minor it supports.

    ahead: minors that its control plane may be ahead of proxies. least, most: plural of a Gateway API kind -> the oldest
    and newest bundle whose objects it reads; it silently ignores the kind outside of them. foreign_gateways: its control plane gives pods the
    routes of a Gateway that another revision has (istio/istio#59959; before, such pods got nothing).
    """

    kubernetes: tuple[int, int]
    ahead: int = 1
    least: Mapping[str, str] = field(default_factory=dict)
    most: Mapping[str, str] = field(default_factory=dict)
    foreign_gateways: bool = False


LEAST = {"grpcroutes": "1.1.0"}
FACTS: Mapping[str, Facts] = {
    "1.28": Facts(kubernetes=(29, 34), least=LEAST),
    "1.29": Facts(kubernetes=(30, 35), least={**LEAST, "backendtlspolicies": "1.4.0"}, most={"tlsroutes": "1.4.1"}),
    "1.30": Facts(kubernetes=(32, 36), least={**LEAST, "backendtlspolicies": "1.4.0", "tlsroutes": "1.5.0"}),
    "1.31": Facts(
        kubernetes=(32, 36),
        least={**LEAST, "backendtlspolicies": "1.4.0", "tlsroutes": "1.5.0", "tcproutes": "1.6.0"},
        foreign_gateways=True,
    ),
}
"""What each minor release itself says: its supported servers, and the bundles it reads."""


def minor(release: str) -> str:
    """Give "1.30" of "1.30.3"; "" when it is none."""
    parts = release.split(".")
    return ".".join(parts[:2]) if len(parts) > 1 and parts[0].isdigit() and parts[1].isdigit() else ""


def revision_suffix(revision: str) -> str:
    """Give what object names of a revision end in; the default revision has none."""
    return "" if revision == "default" else f"-{revision}"
