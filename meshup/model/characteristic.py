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
class Characteristic:
    """The operating characteristic of the judge. seed: of the first rollout; the n-th has seed + n.

    passed, held: of the rollouts with nothing wrong, how many went through and how many wanted more data.
    """

    seed: int
    services: int
    waves: int
    looks: int
    metrics: tuple[str, ...]
    passed: int
    held: int
    trials: tuple[Trial, ...]
