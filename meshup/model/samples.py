"""What a comparison of two revisions is judged from: looks at both arms of each service, with where they come from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

Number = float | None
"""A figure as a source gave it: None where it gave none, and possibly NaN, infinite or negative; judging sorts that out."""
OWN = ""
"""The view of the service's own proxies; any other view is a caller's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Events of one arm since the comparison began; they only grow.

    n: how many there were (requests, new connections, handshakes with failed ones; for restarts: seconds that pods were
    there, summed up). bad: how many of them failed (for restarts: how many restarts). resets: counters that began anew
    within that time, None = the source can't tell.
    """

    n: Number
    bad: Number
    resets: int | None = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Buckets:
    """Requests of one arm by duration since the comparison began; counts are cumulative over bounds and only grow in time.

    bounds: upper bounds in milliseconds, ascending, the last one infinite (None in JSON). resets: as in Counts.
    """

    bounds: tuple[Number, ...]
    counts: tuple[Number, ...]
    resets: int | None = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """Gauge values of one arm, one per pod and scrape, new since the look before; in the metric's own unit."""

    values: tuple[Number, ...]


Sampled = Counts | Buckets | Points


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where samples come from, and what the source itself says of them.

    source: "Prometheus monitoring/prometheus:9090 (Envoy's own metrics)". query: as it was sent. scrape_s: seconds between
    scrapes. newest: Unix time of the newest sample of the arm that is furthest behind, by the source's clock; None = none.
    cluster: UID of the cluster that the samples are of. series: how many series each arm's figure came as, control and
    canary; one is right, after grouping. unlabelled: rows that could not be given to an arm or a service. warnings: of an
    answer with 200. error: status, timeout or query error, "" = none.
    """

    source: str
    query: str
    scrape_s: float
    newest: Number
    cluster: str
    series: tuple[int, int] = (1, 1)
    unlabelled: int = 0
    warnings: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One metric of one service as one view tells it, both arms at the same time. None: that arm has no figure.

    metric: a name of METRICS. view: OWN or who calls. origin: index into the look's origins. synthetic: probes, not traffic.
    """

    metric: str
    view: str
    control: Sampled | None
    canary: Sampled | None
    origin: int
    synthetic: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """One pod of an arm. revision: what its running proxy says, never a label's. age_s: since it started."""

    name: str
    revision: str
    age_s: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One service at one look: the pods of both arms that serve, and what was sampled."""

    service: str
    control: tuple[Pod, ...]
    canary: tuple[Pod, ...]
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Everything that was seen at one moment.

    at: wall clock. elapsed_s: since the comparison began, by the clock that counts suspend; strictly grows from look to
    look. skew_s: the source's clock minus this one's, None = not known. whole: False when the look was cut short.
    """

    at: datetime
    elapsed_s: float
    skew_s: Number
    origins: tuple[Origin, ...]
    pairs: tuple[Pair, ...]
    whole: bool = True
