"""What one proxy counts, as its own page shows it."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from meshup.simulate.world.history import BOUNDS, put


@dataclass(slots=True)
class Count:
    """What one proxy counted on one cluster of endpoints. Fractions are kept; pages show whole numbers.

    connections, connect_failed: those that were tried, and those of them that were not made. mutual, untrusted: the same of
    those that were tried over mutual TLS.
    """

    requests: float = 0.0
    failed: float = 0.0
    connections: float = 0.0
    connect_failed: float = 0.0
    mutual: float = 0.0
    untrusted: float = 0.0
    buckets: list[float] = field(default_factory=lambda: [0.0] * (len(BOUNDS) + 1))
    sum_ms: float = 0.0

    def add(self, requests: float, failed: float, opened: float, latency: float, spread: Sequence[float] = ()) -> None:
        """Count requests that were answered in about that many milliseconds, and connections. spread: as in Stretch."""
        self.requests += requests
        self.failed += failed
        self.connections += opened
        self.sum_ms += requests * latency
        put(self.buckets, requests, latency, spread)

    def unconnected(self, lost: float, *, mutual: bool) -> None:
        """Count connections that were tried and not made, each with the request that waited for it."""
        self.connections += lost
        self.connect_failed += lost
        self.requests += lost
        self.failed += lost
        if mutual:
            self.mutual += lost
            self.untrusted += lost


@dataclass(slots=True)
class EndpointCount:
    """What one proxy counted on one endpoint, where it is told to count by endpoint."""

    requests: float = 0.0
    failed: float = 0.0
    connections: float = 0.0
    connect_failed: float = 0.0

    def add(self, requests: float, failed: float, opened: float, lost: float) -> None:
        """Count a stretch. lost: connections that were tried and not made, each with its request."""
        self.requests += requests + lost
        self.failed += failed + lost
        self.connections += opened + lost
        self.connect_failed += lost


@dataclass(slots=True)
class ProxyState:
    """One proxy: its counts by cluster name, by (cluster name, address:port), and the inbound listener's own.

    inbound: port -> [plaintext, TLS]. untrusted: handshakes that failed. rejected: when it refused an update, on the elapsed
    clock.
    """

    clusters: dict[str, Count] = field(default_factory=lambda: defaultdict(Count))
    endpoints: dict[tuple[str, str], EndpointCount] = field(default_factory=lambda: defaultdict(EndpointCount))
    inbound: dict[int, list[float]] = field(default_factory=dict)
    refused: float = 0.0
    handshakes: float = 0.0
    untrusted: float = 0.0
    rejected: list[float] = field(default_factory=list)
    calls: deque[tuple[float, str, bool, int, str]] = field(default_factory=lambda: deque(maxlen=600))
