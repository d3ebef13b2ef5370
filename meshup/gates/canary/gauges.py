"""CPU and memory of sidecars: ranks of points, and how much the middle one moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from meshup.gates.canary.ranks import is_above
from meshup.gates.canary.sequence import is_due, spent
from meshup.gates.canary.size import needed_points
from meshup.gates.canary.tails import normal_point
from meshup.model.samples import Look, Points, Sample

LEAST_POINTS = 50
"""Of each arm; with fewer the normal form of the rank test is not to be trusted (RELIABILITY section 8)."""
SUPERIOR = 0.75
"""The smallest harm that ranks must find: three of four canary points above a control's."""
MOST_POINTS = 2_000
"""Of each arm at one test: the newest ones."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """What the rank tests say. have: points of the smaller arm. rise: of the canary's median over the control's, relative."""

    have: int
    needed: float
    canary: float
    control: float
    rise: float
    since_s: float | None


def weigh(fair: Sequence[tuple[Look, Sample]], *, rise: float, alpha: float, power: float, effect: float) -> Weighed:
    """Test all points so far whenever they have grown enough; harm is a rank sum that is surely above and half the rise.

    Ranks alone would stop a release for one percent that is surely there; half of the smallest harm is where a rise of
    that size is still found. Looks are paid for one by one: each test's level is what `spent` grew by, which adds up to
    at most alpha whatever the tests have to do with each other. effect: see `is_above`; it also raises the points needed.
    """
    needed = max(LEAST_POINTS, needed_points(SUPERIOR, alpha, power) * effect)
    canary: list[float] = []
    control: list[float] = []
    last, since = 0.0, None
    for look, sample in fair:
        if not isinstance(sample.canary, Points) or not isinstance(sample.control, Points):
            continue
        canary += map(float, sample.canary.values)  # type: ignore[arg-type]
        control += map(float, sample.control.values)  # type: ignore[arg-type]
        share = min(len(canary), len(control)) / needed
        enough = min(len(canary), len(control)) >= LEAST_POINTS
        if since is None and enough and is_due(last, share):
            level = spent(alpha, share) - spent(alpha, last)
            last = share
            if is_harmed(canary[-MOST_POINTS:], control[-MOST_POINTS:], level=level, rise=rise / 2, effect=effect):
                since = look.elapsed_s
    middle, usual = _middle(canary), _middle(control)
    return Weighed(
        have=min(len(canary), len(control)),
        needed=needed,
        canary=middle,
        control=usual,
        rise=(middle - usual) / usual if usual > 0 else 0.0 if middle <= 0 else float("inf"),
        since_s=since,
    )


def is_harmed(canary: Sequence[float], control: Sequence[float], *, level: float, rise: float, effect: float) -> bool:
    """Tell whether the canary's middle point is above the control's by the rise, and its ranks surely are.

    What the middle answers needs no ranks.
    """
    middle = _middle(canary)
    if middle <= 0 or middle < _middle(control) * (1 + rise) or level <= 0:
        return False
    return is_above(canary, control, far=normal_point(level), effect=effect)


def _middle(points: Sequence[float]) -> float:
    if not points:
        return 0.0
    ordered = sorted(points)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
