"""What proxies counted in the last hour, kept as rates over time, so that any scrape of that hour can be computed."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from zlib import crc32

from meshup.model.objects import dig
from meshup.simulate.api.store import Obj

KEEP_S = 3600.0
"""How long counts are kept."""
SCRAPE_S = 15.0
"""How often every proxy is scraped."""
MOST_SEGMENTS = 240
BOUNDS = (0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 600000, 1800000, 3600000)
"""Upper bounds in ms of Envoy's default histogram, as its Prometheus page prints them."""
SPREAD = ((0.5, 0.5), (1.0, 0.3), (2.0, 0.15), (3.5, 0.045), (6.0, 0.005))
"""How latencies lie around the typical one: (factor, share of requests)."""


def put(buckets: list[float], requests: float, latency_ms: float, spread: Sequence[float] = ()) -> None:
    """Count requests that typically took so long. buckets: not cumulative, one more than BOUNDS. spread: as in Rates."""
    several = spread or [requests * share for _, share in SPREAD]
    for (factor, _), count in zip(SPREAD, several, strict=True):
        buckets[bisect_left(BOUNDS, latency_ms * factor)] += count


@dataclass(frozen=True, slots=True)
class Rates:
    """One stretch of steady traffic. All but latency_ms are per second.

    lost: connections that were tried and not made, each with a request; neither is among the others. spread: how many
    requests took each of the times of SPREAD, () = as many as that says.
    """

    requests: float
    failed: float
    opened: float
    refused: float
    latency_ms: float
    lost: float = 0.0
    spread: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """What one proxy keeps apart. cluster: Envoy's name. edge: index. mutual: over mutual TLS. flags: response flags.

    endpoint: address:port that was called, "" inbound. revision: the canonical one of the program that was called. peer: uid
    of the pod that called, inbound alone: the stretches of one course follow each other.
    """

    cluster: str
    edge: int
    mutual: bool
    flags: str = "-"
    endpoint: str = ""
    revision: str = "unknown"
    peer: str = ""


@dataclass(slots=True)
class Totals:
    """Counts up to one moment. buckets: not cumulative, one more than BOUNDS."""

    requests: float = 0.0
    failed: float = 0.0
    opened: float = 0.0
    refused: float = 0.0
    lost: float = 0.0
    sum_ms: float = 0.0
    buckets: list[float] = field(default_factory=lambda: [0.0] * (len(BOUNDS) + 1))

    def add(self, rates: Rates, seconds: float) -> None:
        """Count a stretch."""
        requests = rates.requests * seconds
        self.requests += requests
        self.failed += rates.failed * seconds
        self.opened += rates.opened * seconds
        self.refused += rates.refused * seconds
        self.lost += rates.lost * seconds
        self.sum_ms += requests * rates.latency_ms
        if requests:
            put(self.buckets, requests, rates.latency_ms, [each * seconds for each in rates.spread])

    def copy(self) -> Totals:
        """Give a copy that can be counted on."""
        return Totals(self.requests, self.failed, self.opened, self.refused, self.lost, self.sum_ms, list(self.buckets))

    @property
    def none(self) -> float:
        """Nothing, of which some counters always are."""
        return 0.0

    @property
    def tried(self) -> float:
        """Connections, made or not."""
        return self.opened + self.lost

    @property
    def asked(self) -> float:
        """Requests, those among them that waited for a connection which was not made."""
        return self.requests + self.lost

    @property
    def bad(self) -> float:
        """Requests that failed, those among them that waited for a connection which was not made."""
        return self.failed + self.lost


class Segment(NamedTuple):
    """One stretch of a course. before: what was counted when it began."""

    start: float
    end: float
    rates: Rates
    before: Totals

    def at(self, moment: float) -> Totals:
        """Give the counts at a moment in it, or at its end when that is earlier."""
        found = self.before.copy()
        found.add(self.rates, min(self.end, moment) - self.start)
        return found


@dataclass(slots=True)
class Course:
    """Counts of one kind at one proxy, stretch by stretch; what is older than all of them is in the first one's count.

    restarts: when its proxy began to count at zero again.
    """

    restarts: list[float] = field(default_factory=list)
    _segments: list[Segment] = field(default_factory=list)
    _known: dict[float, Totals] = field(default_factory=dict)

    def note(self, end: float, seconds: float, rates: Rates) -> None:
        """Record that traffic had these rates for so many seconds up to a moment."""
        start, before, segments = end - seconds, Totals(), self._segments
        if segments:
            last = segments[-1]
            if last.rates == rates and abs(last.end - start) < 1e-6 and last.end not in self.restarts[-1:]:
                segments[-1] = last._replace(end=end)
                return
            if not any(last.start < each <= start for each in self.restarts):
                before = last.at(last.end)
        segments.append(Segment(start, end, rates, before))
        while segments[0].end < end - KEEP_S or len(segments) > MOST_SEGMENTS:
            segments.pop(0)

    def forget(self) -> None:
        """Forget what was computed: the proxy began to count at zero at some moment."""
        self._known.clear()

    def at(self, moment: float) -> Totals:
        """Give the counts at a moment that all traffic has been counted up to."""
        found = self._known.get(moment)
        if found is None:
            if len(self._known) >= MOST_SEGMENTS:
                self._known.clear()
            found = self._known[moment] = self._at(moment)
        return found

    def _at(self, moment: float) -> Totals:
        number = bisect_left(self._segments, moment, key=lambda each: each.start)
        if number == 0:
            return self._segments[0].before if self._segments else Totals()
        segment = self._segments[number - 1]
        return Totals() if any(segment.start < each <= moment for each in self.restarts) else segment.at(moment)


@dataclass(slots=True)
class Target:
    """A proxy that is scraped. workload: namespace/name. born, ended: on the cluster's elapsed clock.

    release: its version. since: when it started first. restarts: when it did so again.
    """

    uid: str
    namespace: str
    pod: str
    address: str
    workload: str
    born: float
    release: str = ""
    since: float = 0.0
    ended: float = float("inf")
    courses: dict[Kind, Course] = field(default_factory=dict)
    restarts: list[float] = field(default_factory=list)

    def course(self, kind: Kind) -> Course:
        """Give the counts of one kind."""
        found = self.courses.get(kind)
        if found is None:
            found = self.courses[kind] = Course(restarts=self.restarts)
        return found

    def restarted(self, now: float) -> None:
        """Let the proxy begin to count at zero; what was scraped before stays."""
        self.restarts.append(now)
        for each in self.courses.values():
            each.forget()

    def running(self, moment: float) -> float:
        """Give how long the proxy had run at a moment without a restart, in seconds."""
        return moment - max([self.since, *(each for each in self.restarts if each <= moment)])

    def scrapes(self, start: float, end: float) -> Iterator[float]:
        """Yield the moments in (start, end] at which it was scraped."""
        phase = self._phase()
        start, end = max(start, self.born), min(end, self.ended)
        number = int((start - phase) // SCRAPE_S) + 1
        while (moment := number * SCRAPE_S + phase) <= end:
            if moment > start:
                yield moment
            number += 1

    def last_scrape(self, start: float, end: float) -> float | None:
        """Give the last of those moments, None when there is none."""
        phase = self._phase()
        moment = (min(end, self.ended) - phase) // SCRAPE_S * SCRAPE_S + phase
        return moment if moment > max(start, self.born) else None

    def _phase(self) -> float:
        return crc32(self.uid.encode()) % int(SCRAPE_S * 1000) / 1000


class Scraping:
    """Who is scraped, and since when somebody scrapes: a Prometheus without a disk forgets all when its pod goes.

    Counts begin where scraping does: a proxy that is older has counted more on its own page. Their growth is the same.
    standard: whether proxies count the mesh's standard metrics too; stock Envoy counts its own alone.
    """

    def __init__(self) -> None:
        self.targets: dict[str, Target] = {}
        self.since = 0.0
        self.standard = True
        self.workload_of: Callable[[Obj], str] = lambda pod: f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        self._servers: set[str] = set()

    @property
    def on(self) -> bool:
        """Tell whether a Prometheus runs."""
        return bool(self._servers)

    def server(self, pod: Obj, *, up: bool, now: float) -> None:
        """Take note that a Prometheus came up or went."""
        uid = str(pod["metadata"]["uid"])
        if not up:
            self._servers.discard(uid)
            if not self._servers:
                self.targets.clear()
            return
        if not self._servers:
            self.since = now
        self._servers.add(uid)

    def see(self, pod: Obj, *, now: float, release: str, since: float) -> None:
        """Begin with a pod whose proxy is ready. since: when the proxy started."""
        uid = str(pod["metadata"]["uid"])
        if uid in self.targets:
            return
        meta = pod["metadata"]
        address = str(dig(pod, "status", "podIP") or "")
        self.targets[uid] = Target(
            uid=uid,
            namespace=meta["namespace"],
            pod=meta["name"],
            address=address,
            workload=self.workload_of(pod),
            born=now,
            release=release,
            since=since,
        )

    def gone(self, pod: Obj, *, now: float) -> None:
        """End with a pod; what it counted is kept as long as everything else."""
        found = self.targets.get(str(pod["metadata"]["uid"]))
        if found is not None:
            found.ended = now
        for uid in [each.uid for each in self.targets.values() if each.ended < now - KEEP_S]:
            del self.targets[uid]


def is_prometheus(pod: Obj) -> bool:
    """Tell whether a pod runs Prometheus, by the name of its image."""
    images = (str(each.get("image", "")) for each in dig(pod, "spec", "containers") or ())
    return any(image.partition("@")[0].rpartition("/")[2].partition(":")[0] == "prometheus" for image in images)
