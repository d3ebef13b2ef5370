"""How much each arm needs so that the smallest harm would have been found."""

from __future__ import annotations

from functools import lru_cache
from math import ceil, inf, sqrt

from meshup.gates.canary.tails import normal_point

LOOKS = 1.06
"""What a test by the power family costs over one look: C. Jennison, B. W. Turnbull, "Group Sequential Methods" (2000), 7.2,
and more for counts that are whole; tests measure that the power is reached."""


@lru_cache(maxsize=4096)
def needed_counts(base: float, worst: float, alpha: float, power: float) -> float:
    """Give the n of each arm at which a bad share of `worst` is told from `base`, one-sided; infinite where none is enough.

    J. L. Fleiss, "Statistical Methods for Rates and Proportions" (1981), 3.2, without continuity correction: 0.1 % against
    1 % at alpha 1 %, power 95 % is 2,127 there. LOOKS more for the looks of the sequential test. Of two unequal arms the
    smaller one must have n, which is more than is needed.
    """
    if not (0 <= base < worst < 1 and 0 < alpha < 0.5 and 0.5 < power < 1):
        return inf
    apart, middle = worst - base, (base + worst) / 2
    spread = normal_point(alpha) * sqrt(2 * middle * (1 - middle)) + normal_point(1 - power) * sqrt(
        base * (1 - base) + worst * (1 - worst)
    )
    return ceil(LOOKS * (spread / apart) ** 2)


@lru_cache(maxsize=4096)
def needed_points(superior: float, alpha: float, power: float) -> float:
    """Give the points of each arm at which a rank test finds that a canary's point exceeds a control's so often.

    superior: that probability, above 0.5. G. E. Noether, "Sample size determination for some common nonparametric tests",
    J. Am. Stat. Assoc. 82 (1987) 645, with arms of equal size.
    """
    both = (normal_point(alpha) + normal_point(1 - power)) ** 2 / (12 * 0.25 * (superior - 0.5) ** 2)
    return ceil(both / 2)
