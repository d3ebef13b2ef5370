"""The judge on seeded rollouts made of chance alone: how often it stops what is good, and misses what is bad."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import accumulate
from math import exp
from random import Random

from meshup.gates.canary.judge import findings, verdict
from meshup.model.canary import USUAL, Asked, Comparing
from meshup.model.characteristic import Characteristic, Trial
from meshup.model.samples import OWN, Buckets, Counts, Look, Origin, Pair, Pod, Points, Sample, Sampled
from meshup.model.verdict import Answer

BEGAN = datetime(2026, 11, 2, 10, tzinfo=UTC)
LOOKS, EVERY_S, SCRAPE_S = 20, 30.0, 15.0
WAVES, EACH = 3, 2
PODS = 4
BOUNDS = (5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, None)
SLOW = (0.05, 0.2, 0.35, 0.2, 0.12, 0.06, 0.015, 0.004, 0.001)
"""Share of requests per bucket."""
ORIGIN = Origin(source="a simulation", query="chance", scrape_s=SCRAPE_S, newest=0.0, cluster="simulated")


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What a release does, per look and arm of one service. requests: per caller. Shares are of what fails.

    slower: how many buckets the tail moves up. crashes: restarts per pod second. heavier: factor on CPU and memory.
    """

    requests: float = 110.0
    errors: float = 0.001
    connecting: float = 0.001
    slower: int = 0
    crashes: float = 0.0
    heavier: float = 1.0


GOOD = Release()
BAD: Sequence[tuple[str, Release]] = (
    ("connections fail, 0.1 to 5 %", replace(GOOD, connecting=0.05)),
    ("most requests one bucket slower", replace(GOOD, slower=1)),
    ("proxies restart once a minute", replace(GOOD, crashes=1 / 60)),
    ("CPU and memory a fifth higher", replace(GOOD, heavier=1.2)),
)


def characteristic(*, rollouts: int, seed: int) -> Characteristic:
    """Play good rollouts, bad releases and too little traffic, each so many times, and count what the judge says.

    Deterministic: the same numbers for the same arguments. Chance comes from the seeds alone.
    """
    words = [_whole(_chance(seed + each)) for each in range(rollouts)]
    stops = words.count(Answer.FAIL)
    trials = [
        Trial(
            what="nothing is wrong",
            word="stopped",
            runs=rollouts,
            hits=stops,
            bound=0.02,
            at_least=False,
        ),
        _caught(rollouts, seed),
        *(_bad(what, release, max(1, rollouts // 10), seed) for what, release in BAD),
        _thin(rollouts, seed),
    ]
    return Characteristic(
        seed=seed,
        services=WAVES * EACH,
        waves=WAVES,
        looks=LOOKS,
        metrics=tuple(each.metric for each in USUAL),
        passed=words.count(Answer.PASS),
        held=words.count(Answer.UNKNOWN),
        trials=tuple(trials),
    )


def _chance(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - seeded chance is what a simulation is made of


def _whole(chance: Random) -> Answer:
    """Play a rollout of good releases through all its waves: the worst verdict of them."""
    worst = Answer.PASS
    for wave in range(WAVES):
        names = tuple(f"shop/s{wave}{each}" for each in range(EACH))
        terms = terms_of(names, services=WAVES * EACH)
        looks = played(chance, dict.fromkeys(names, GOOD), LOOKS, callers=("shop/web", "shop/app"))
        worst = max(worst, verdict(findings(looks, terms), terms).answer)
    return worst


def _caught(runs: int, seed: int) -> Trial:
    """Play the regression of errors that is promised to be found: 0.1 to 1 % at 2,200 requests per arm."""
    errors = tuple(each for each in USUAL if each.metric == "errors")
    release = replace(GOOD, requests=2200 / LOOKS, errors=0.01)
    terms = terms_of(("shop/cart",), services=1, asked=errors)
    at: list[int] = []
    for each in range(runs):
        looks = played(
            _chance(seed + each), {"shop/cart": release}, LOOKS, callers=("shop/web",), only="errors", exact=True
        )
        found = findings(looks, terms)
        stopped = [finding for finding in found if finding.answer is Answer.FAIL]
        if stopped:
            since = min(finding.since_s or 0.0 for finding in stopped)
            at.append(round(2200 * since / (LOOKS * EVERY_S)))
    what = "errors 0.1 to 1 %, 2,200 requests per arm"
    return Trial(what=what, word="caught", runs=runs, hits=len(at), bound=0.95, at_least=True, median=_middle(at))


def _bad(what: str, release: Release, runs: int, seed: int) -> Trial:
    """Play another bad release in one wave of the usual size."""
    hits = 0
    for each in range(runs):
        terms = terms_of(("shop/cart",), services=1)
        looks = played(_chance(seed + each), {"shop/cart": release}, LOOKS, callers=("shop/web", "shop/app"))
        hits += verdict(findings(looks, terms), terms).answer is Answer.FAIL
    return Trial(what=what, word="caught", runs=runs, hits=hits, bound=0.95, at_least=True)


def _thin(runs: int, seed: int) -> Trial:
    """Play good releases with fewer requests than are needed: each must be unknown and say how many are missing."""
    hits = 0
    errors = tuple(each for each in USUAL if each.metric == "errors")
    for each in range(runs):
        chance = _chance(seed + each)
        release = replace(GOOD, requests=chance.uniform(0.0, 100.0), errors=0.0)
        terms = terms_of(("shop/cart",), services=1, asked=errors)
        looks = played(chance, {"shop/cart": release}, LOOKS, callers=("shop/web",), only="errors", good=release)
        found = verdict(findings(looks, terms), terms)
        hits += found.answer is Answer.UNKNOWN and found.missing > 0 and " of " in found.because
    return Trial(what="fewer requests than are needed", word="unknown", runs=runs, hits=hits, bound=1.0, at_least=True)


def terms_of(wave: tuple[str, ...], *, services: int, asked: tuple[Asked, ...] = USUAL) -> Comparing:
    """Give the settings that the simulated samples are of."""
    return Comparing(cluster="simulated", control="old", canary="new", services=services, wave=wave, asked=asked)


def played(
    chance: Random,
    releases: dict[str, Release],
    looks: int,
    *,
    callers: tuple[str, ...],
    only: str = "",
    exact: bool = False,
    good: Release = GOOD,
) -> tuple[Look, ...]:
    """Give looks at services whose canaries run the releases, and whose controls run a good one.

    only: this metric alone. exact: as many requests as are said, not on average.
    """
    arms = {
        service: [
            _Arm(chance, replace(good, requests=release.requests), exact=exact),
            _Arm(chance, release, exact=exact),
        ]
        for service, release in releases.items()
    }
    found = []
    for number in range(1, looks + 1):
        at = BEGAN + timedelta(seconds=EVERY_S * number)
        origin = replace(ORIGIN, newest=at.timestamp() - 5.0)
        pairs = []
        for service, (control, canary) in arms.items():
            rows = zip(control.grown(callers, only), canary.grown(callers, only), strict=True)
            samples = tuple(
                Sample(metric=metric, view=view, control=one, canary=other, origin=0)
                for (metric, view, one), (_, _, other) in rows
            )
            pods = [
                tuple(Pod(name=f"{word}-{each}", revision=word, age_s=EVERY_S * number) for each in range(PODS))
                for word in ("old", "new")
            ]
            pairs.append(Pair(service=service, control=pods[0], canary=pods[1], samples=samples))
        found.append(Look(at=at, elapsed_s=EVERY_S * number, skew_s=0.0, origins=(origin,), pairs=tuple(pairs)))
    return tuple(found)


class _Arm:
    """One arm of one service: totals since the comparison began, and points that hang together from scrape to scrape."""

    def __init__(self, chance: Random, release: Release, *, exact: bool) -> None:
        self._chance, self._release, self._exact = chance, release, exact
        self._totals: dict[tuple[str, str], list[float]] = {}
        self._drift = [chance.gauss(0.0, 0.02) for _ in range(PODS)]
        self._seconds = self._restarts = 0.0

    def grown(self, callers: tuple[str, ...], only: str) -> list[tuple[str, str, Sampled]]:
        """Let one look's time pass; give (metric, view, sample)."""
        release = self._release
        found: list[tuple[str, str, Sampled]] = []
        for view in callers:
            found.append(("errors", view, self._counts("errors", view, release.requests, release.errors)))
        if only:
            return found
        for view in callers:
            made = release.requests / 2
            found.append(("connection-failures", view, self._counts("made", view, made, release.connecting)))
            found.append(("latency", view, self._buckets(view)))
        found.append(("handshake-errors", OWN, self._counts("shaken", OWN, release.requests, 0.001)))
        self._seconds += PODS * EVERY_S
        self._restarts += _drawn(self._chance, PODS * EVERY_S * (release.crashes or 1e-6))
        found.append(("restarts", OWN, Counts(n=self._seconds, bad=self._restarts)))
        found.append(("cpu", OWN, self._points(0.1)))
        found.append(("memory", OWN, self._points(5e7)))
        return found

    def _counts(self, name: str, view: str, mean: float, share: float) -> Counts:
        total = self._totals.setdefault((name, view), [0.0, 0.0])
        bad = _drawn(self._chance, mean * share)
        good = max(0.0, round(mean) - bad) if self._exact else _drawn(self._chance, mean * (1 - share))
        total[0] += good + bad
        total[1] += bad
        return Counts(n=total[0], bad=total[1])

    def _buckets(self, view: str) -> Buckets:
        release = self._release
        total = self._totals.setdefault(("latency", view), [0.0] * len(BOUNDS))
        for at, share in enumerate(SLOW):
            to = min(len(SLOW) - 1, at + (release.slower if at >= 2 else 0))
            total[to] += _drawn(self._chance, release.requests * share)
        return Buckets(bounds=BOUNDS, counts=tuple(accumulate(total)))

    def _points(self, usual: float) -> Points:
        """Two scrapes of each pod: its own level, of which nine tenths stay from look to look, and noise."""
        values = []
        for pod in range(PODS):
            self._drift[pod] = 0.9 * self._drift[pod] + self._chance.gauss(0.0, 0.01)
            level = usual * self._release.heavier * (1 + self._drift[pod])
            values += [level * (1 + self._chance.gauss(0.0, 0.05)) for _ in range(int(EVERY_S / SCRAPE_S))]
        return Points(values=tuple(values))


@lru_cache(maxsize=1024)
def _table(mean: float) -> tuple[float, ...]:
    found, weight, at = [], exp(-mean), 0
    total = weight
    while total < 1 - 1e-13 and at < mean * 3 + 60:
        found.append(total)
        at += 1
        weight *= mean / at
        total += weight
    return tuple(found)


def _drawn(chance: Random, mean: float) -> float:
    """Draw a Poisson count by its table; means are at most some hundreds here."""
    return float(bisect_left(_table(mean), chance.random())) if mean > 0 else 0.0


def _middle(numbers: Sequence[int]) -> int:
    return sorted(numbers)[len(numbers) // 2] if numbers else 0
