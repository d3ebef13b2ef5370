"""How the chance of a false stop is shared: over the rollout's services, their metrics, and who looks."""

from __future__ import annotations

from meshup.model.canary import Comparing


def for_callers(terms: Comparing, callers: int) -> tuple[float, float]:
    """Give the alpha of one service's errors as callers see them: (all callers together, each of them alone).

    One caller, or none known so that the service's own view stands in, is one comparison with all of it. Several: half
    for their sum, half shared by each, so that a release that fails only for one caller is found too. Bonferroni: holds
    however the comparisons depend on each other.
    """
    own = terms.callers_alpha / max(1, terms.services)
    return (own, 0.0) if callers <= 1 else (own / 2, own / 2 / callers)


def for_rest(terms: Comparing, comparisons: int) -> float:
    """Give the alpha of one comparison of the rest: by services, then metrics, then comparisons within a metric."""
    return terms.rest_alpha / max(1, terms.services) / max(1, len(terms.asked)) / max(1, comparisons)
