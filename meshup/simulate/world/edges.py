"""Who calls whom, what traffic has to know of a pod, and what comes of a stretch of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from meshup.model.objects import dig, labels
from meshup.simulate.api.store import Obj
from meshup.simulate.world.history import Rates
from meshup.simulate.world.mesh import has_proxy

CANONICAL = ("service.istio.io/canonical-revision", "app.kubernetes.io/version", "version")
"""Labels that name the revision of a program, the first one there decides, as Istio reads them."""
LASTS_S = 30.0
"""How long a connection is kept by its caller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Who calls whom. caller, callee: "namespace/name" of services; caller "ingress" = through gateways.

    rps: requests a second in all. connections: new connections a second. latency_ms: typical. errors: share that fails.
    unconnected: share of connections that can't be made, where traffic is made of chance.
    """

    caller: str
    callee: str
    port: int
    rps: float
    connections: float = 0.2
    latency_ms: float = 20.0
    errors: float = 0.0005
    unconnected: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Harm:
    """What a fault does to requests to a service. when: always, meshed or strict."""

    service: str
    when: str
    errors: float = 0.0
    latency_factor: float = 1.0


class Stretch(NamedTuple):
    """What came of steady traffic between two pods. opened: connections that were made. lost: those that were not.

    Each connection that was lost took a request with it, which is not among the requests. latency: milliseconds. spread:
    how many requests took each of the times of history.SPREAD, () = as many as that says.
    """

    requests: float
    failed: float
    opened: float
    lost: float
    latency: float
    spread: tuple[float, ...] = ()

    def rates(self, seconds: float) -> Rates:
        """Give the same per second."""
        spread = tuple(each / seconds for each in self.spread)
        requests, failed, opened, lost = (each / seconds for each in self[:4])
        return Rates(requests, failed, opened, 0.0, self.latency, lost, spread)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What traffic has to know of a pod, which no pod changes in its life. release: of its proxy, "" without one.

    revision: the canonical one of its program, as the mesh's metrics name it.
    """

    proxy: bool
    release: str
    uid: str = ""
    address: str = ""
    namespace: str = ""
    revision: str = "unknown"


def outbound(edge: Edge) -> str:
    """Name the cluster of endpoints at the caller, as Istio does."""
    namespace, _, name = edge.callee.partition("/")
    return f"outbound|{edge.port}||{name}.{namespace}.svc.cluster.local"


def seen(pod: Obj) -> Seen:
    """Look at a pod once."""
    own = labels(pod)
    return Seen(
        proxy=has_proxy(pod),
        release=_release(pod),
        uid=str(pod["metadata"]["uid"]),
        address=str(dig(pod, "status", "podIP") or ""),
        namespace=str(pod["metadata"].get("namespace") or ""),
        revision=next((own[key] for key in CANONICAL if own.get(key)), "latest"),
    )


def _release(pod: Obj) -> str:
    """Give the release of a pod's proxy by its image, "" without one."""
    several = [*(dig(pod, "spec", "initContainers") or ()), *(dig(pod, "spec", "containers") or ())]
    return next(
        (str(each.get("image", "")).rpartition(":")[2] for each in several if each.get("name") == "istio-proxy"), ""
    )
