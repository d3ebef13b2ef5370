"""How often a judge is wrong, as values: false stops where nothing is wrong, and regressions that it misses."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One kind of release, played over and over. what: a sentence about it. hits: how often it ended as `word` says.

    bound: the share of hits that is promised, at most or (at_least) at least. needed, median: n of the smaller arm at the
    stop, 0 where there is none.
    """

    what: str
    word: str
    runs: int
    hits: int
    bound: float
    at_least: bool
    median: int = 0

    @property
    def share(self) -> float:
        """Give the share of hits, 0 of none."""
        return self.hits / self.runs if self.runs else 0.0

    @property
    def is_kept(self) -> bool:
        """Tell whether what is promised was seen. Nothing played keeps nothing."""
        return self.runs > 0 and (self.share >= self.bound if self.at_least else self.share <= self.bound)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What users had from pods of a bad release in the rollout in the middle, by failed requests, of those played whole."""

    what: str
    requests: int
    failed: int
    slowed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """Good rollouts that were played whole, on clusters in memory. seconds: of their clocks, in all.

    through, held: how they ended but for those that a gate stopped. requests, failed: through proxies, of all rollouts; usual:
    of the failed ones, how many do so without any rollout. why: what ended those that did not go through.
    """

    runs: int
    through: int
    held: int
    seconds: float
    requests: int
    failed: int
    usual: int
    why: tuple[str, ...]
    costs: tuple[Cost, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Characteristic:
    """The operating characteristic of the judge. seed: of the first rollout; the n-th has seed + n.

    passed, held: of the rollouts with nothing wrong, how many went through and how many wanted more data. whole: those that
    were played and not judged alone, whose trials are the last ones; None = none were.
    """

    seed: int
    services: int
    waves: int
    looks: int
    metrics: tuple[str, ...]
    passed: int
    held: int
    trials: tuple[Trial, ...]
    whole: Whole | None = None
