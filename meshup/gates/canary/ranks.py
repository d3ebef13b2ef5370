"""The rank test of two sets of points: whether the canary's lie above the control's."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from itertools import chain, repeat
from math import sqrt

CAREFUL = 0.8
"""The bound of `is_above` is an approximation for few values apart; this much of it is relied on."""


def above(canary: Sequence[float], control: Sequence[float], *, effect: float = 1.0) -> float:
    """Give how many deviations the canary's ranks lie above the control's, continuity and ties corrected.

    F. Wilcoxon (1945), H. B. Mann and D. R. Whitney (1947), one-sided; the tie correction is that of E. L. Lehmann,
    "Nonparametrics" (1975), 1.3. effect: by how much points are worth less than independent ones; divides the statistic by
    its root. 0 when all points are equal. Both sets must have points, all finite.
    """
    one, other = len(canary), len(control)
    n = one + other
    every = sorted(chain(canary, control))
    rank = dict(zip(every, range(1, n + 1), strict=True))
    tied = 0
    if len(rank) < n:
        at = 0
        for value, count in Counter(every).items():
            rank[value] = at + (count + 1) / 2  # type: ignore[assignment]
            at += count
            tied += count * count * count - count
    larger = sum(map(rank.__getitem__, canary)) - one * (one + 1) / 2
    variance = one * other / 12 * (n + 1 - tied / (n * (n - 1)))
    if variance <= 0:
        return 0.0
    return (larger - one * other / 2 - 0.5) / sqrt(variance * effect)


def is_above(canary: Sequence[float], control: Sequence[float], *, far: float, effect: float = 1.0) -> bool:
    """Tell whether `above` is at least so far, far > 0, and rank nothing where it plainly is not.

    U, with ties counted whole, bounds the statistic from above. Ties make its deviation smaller, yet not by much for one
    that is far: whatever ties there are, z deviations are at least z^2 sqrt(3 / n) of those without ties, since with k
    values apart from one that all others share z is at most sqrt(k) and the variance at least about 3 k / n of itself.
    """
    one, other = len(canary), len(control)
    n = one + other
    most = sum(map(bisect_right, repeat(sorted(control)), canary)) - one * other / 2 - 0.5
    far *= sqrt(effect)
    if most < CAREFUL * far * far * sqrt(3 / n) * sqrt(one * other * (n + 1) / 12):
        return False
    return above(canary, control) >= far
