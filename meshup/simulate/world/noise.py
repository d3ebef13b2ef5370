"""Chance in traffic: requests, how long they take, failures and connections come one by one, by the seed alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from meshup.simulate.world.edges import Stretch
from meshup.simulate.world.history import SCRAPE_S, SPREAD

DRIFT, WANDER, JITTER = 0.02, 0.01, 0.02
"""How gauges of proxies that do the same differ, as shares: from the start, from scrape to scrape, and in one scrape."""
KEPT = 0.9
"""Share of its drift that a proxy keeps from one scrape to the next."""
TYPICAL = next(at for at, (factor, _) in enumerate(SPREAD) if factor == 1.0)
"""Which part of SPREAD takes as long as is typical; what fails takes that long."""


@dataclass(slots=True)
class Arrivals:
    """A Poisson process of rate 1. due: the expected count at which the next one comes."""

    chance: Random
    expected: float = 0.0
    due: float = 0.0

    def upto(self, more: float) -> float:
        """Give how many came while so many more were expected."""
        self.expected += more
        found, due, gap = 0, self.due, self.chance.expovariate
        while due <= self.expected:
            found += 1
            due += gap(1.0)
        self.due = due
        return float(found)


@dataclass(slots=True)
class Level:
    """The gauge of one proxy, scrape by scrape, as factors. drift: after the last of them."""

    chance: Random
    drift: float
    factors: list[float] = field(default_factory=list)

    def at(self, number: int) -> float:
        """Give the factor of a scrape by its number."""
        while len(self.factors) <= number:
            self.drift = KEPT * self.drift + self.chance.gauss(0.0, WANDER)
            self.factors.append(1.0 + self.drift + self.chance.gauss(0.0, JITTER))
        return self.factors[number]


class Noise:
    """What chance makes of rates. It depends on the seed and on who calls whom, and not on how often somebody reads.

    asked, failed: requests through proxies so far, and those of them that failed for any reason. usual: of those that failed,
    how many do so whatever the mesh does, as the edge says.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._arrivals: dict[tuple[object, ...], Arrivals] = {}
        self._levels: dict[str, Level] = {}
        self.asked = self.failed = self.usual = 0.0

    def stretch(self, stream: tuple[object, ...], steady: Stretch, *, unconnected: float, drawn: bool) -> Stretch:
        """Give what comes of a stretch. unconnected: share of connections that always fails. drawn: its failures are already."""

        def come(what: object, expected: float) -> float:
            return self._come((*stream, what), expected)

        failed = steady.failed if drawn else come("failed", steady.failed)
        lost = come("lost", steady.opened * unconnected)
        went = max(0.0, steady.requests - steady.failed - steady.opened * unconnected)
        spread = [come(at, went * share) for at, (_, share) in enumerate(SPREAD)]
        spread[TYPICAL] += failed
        self.asked += sum(spread) + lost + steady.lost
        self.failed += failed + lost + steady.lost
        self.usual += lost + (0.0 if drawn else failed)
        opened = come("opened", steady.opened * (1 - unconnected))
        return Stretch(sum(spread), failed, opened, steady.lost + lost, steady.latency, tuple(spread))

    def nobody(self, requests: float) -> None:
        """Count requests that nobody was there to answer."""
        self.asked += requests
        self.failed += requests

    def level(self, uid: str, since_s: float) -> float:
        """Give by what factor the gauges of a proxy differ from the usual ones so long after it started, in seconds."""
        found = self._levels.get(uid)
        if found is None:
            chance = self._chance("level", uid)
            found = self._levels[uid] = Level(chance=chance, drift=chance.gauss(0.0, DRIFT))
        return found.at(max(0, int(since_s / SCRAPE_S)))

    def _come(self, stream: tuple[object, ...], expected: float) -> float:
        found = self._arrivals.get(stream)
        if found is None:
            chance = self._chance(*stream)
            found = self._arrivals[stream] = Arrivals(chance=chance, due=chance.expovariate(1.0))
        return found.upto(expected)

    def _chance(self, *what: object) -> Random:
        return Random(repr((self._seed, *what)))
