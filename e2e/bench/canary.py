"""P10: the comparisons of 1,000 services x 20 metrics, at judge level, against scipy on the same samples, verdicts equal."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from figure import Figure, Settings, pairs, ratios

from meshup.gates.canary.gauges import is_harmed
from meshup.gates.canary.sequence import Aim, Step, Stratum, compare, is_due, spent

GAUGES, COUNTS = 4, 16
"""Of one service: CPU and memory of it and of its gateway; errors, connections, handshakes and cuts of latency by view."""
POINTS, LOOKS = 60, 10
RISE, LEVEL = 0.1, 0.001
AIM = Aim(base=0.002, rise=0.009, alpha=0.001, power=0.95)


class Sampled:
    """Samples of both arms, drawn once; one in ten is harmed, and half of the gauges have many ties.

    gauges: (canary, control) points. counts: per comparison one step per look.
    """

    def __init__(self, size: int, seed: int = 1) -> None:
        chance = random.Random(seed)
        self.gauges: list[tuple[list[float], list[float]]] = []
        self.counts: list[list[Step]] = []
        for _ in range(size):
            for number in range(GAUGES):
                level = 120.0 if chance.random() < 0.1 else 100.0
                both = [[chance.gauss(each, 12) for _ in range(POINTS)] for each in (level, 100.0)]
                if number % 2:
                    both = [[float(round(each, -1)) for each in some] for some in both]
                self.gauges.append((both[0], both[1]))
            for _ in range(COUNTS):
                rate = 0.02 if chance.random() < 0.1 else 0.002
                n = chance.randint(300, 500)
                rows = [(drawn(chance, n, rate), drawn(chance, n, 0.002)) for _ in range(LOOKS)]
                self.counts.append(
                    [Step(60.0 * at, (Stratum(n, bad, n, worse),)) for at, (bad, worse) in enumerate(rows, 1)]
                )

        # Worked out beforehand for scipy's side: only the tests themselves are compared.
        self.shares = [planned(each) for each in self.counts]

    def scipy(self) -> list[bool]:
        """Judge with scipy and numpy, as one would write it: ranks and medians; the walk of Fisher's distribution."""
        import numpy as np
        from scipy import stats

        ranked = [
            bool(
                stats.mannwhitneyu(canary, control, alternative="greater", method="asymptotic").pvalue <= LEVEL
                and np.median(canary) >= np.median(control) * (1 + RISE)
            )
            for canary, control in self.gauges
        ]
        return [
            *ranked,
            *(_walked(steps, shares, np, stats) for steps, shares in zip(self.counts, self.shares, strict=True)),
        ]

    def meshup(self) -> list[bool]:
        """Judge with meshup's own."""
        ranked = [is_harmed(canary, control, level=LEVEL, rise=RISE, effect=1.0) for canary, control in self.gauges]
        return [*ranked, *(compare(steps, AIM).since_s is not None for steps in self.counts)]


def drawn(chance: random.Random, n: int, rate: float) -> int:
    return sum(chance.random() < rate for _ in range(n))


def _walked(steps: Sequence[Step], shares: Sequence[float], np: Any, stats: Any) -> bool:
    """Carry the walk of the canary's failures by convolution from test to test, and stop at the first boundary.

    shares: of the planned evidence, per look.
    """
    state, first, used, seen, last = np.ones(1), 0, 0.0, 0, 0.0
    waiting: list[Stratum] = []
    for step, share in zip(steps, shares, strict=True):
        waiting += step.strata
        if not is_due(last, share):
            continue
        last = share
        for each in waiting:
            bad = each.canary_bad + each.control_bad
            low, high = max(0, bad - each.control_n), min(bad, each.canary_n)
            due = stats.hypergeom.pmf(
                np.arange(low, high + 1),
                each.canary_n + each.control_n,
                bad,
                each.canary_n,
            )
            state, first = np.convolve(state, due), first + low
            seen += each.canary_bad
        waiting = []
        over = np.cumsum(state[::-1])
        cut = int(np.searchsorted(over, spent(AIM.alpha, share) - used, side="right"))
        used += float(over[cut - 1]) if cut else 0.0
        if seen >= first + len(state) - cut:
            return True
        state = state[: len(state) - cut]
    return False


def planned(steps: Sequence[Step]) -> list[float]:
    """Give the share of the planned evidence that each look has."""
    found, most = [], 0.0
    for number in range(1, len(steps) + 1):
        said = compare(steps[:number], AIM)
        most = max(most, said.have / said.needed)
        found.append(most)
    return found


def run(settings: Settings, _: object) -> list[Figure]:
    """Measure both sides in turn, all comparisons of all services."""
    work = f"comparisons of {settings.size} services x {GAUGES + COUNTS} metrics, counts over {LOOKS} looks"
    try:
        import scipy
    except ImportError:
        return [Figure(goal="P10", work=work, a="scipy", b="meshup", wanted=">= 30", missing="scipy is not installed")]
    sampled = Sampled(settings.size)
    one, other = sampled.scipy(), sampled.meshup()
    figures = []
    every = {"all": sampled, f"{GAUGES} gauges": Sampled(0), f"{COUNTS} counts": Sampled(0)}
    every[f"{GAUGES} gauges"].gauges = sampled.gauges
    every[f"{COUNTS} counts"].counts, every[f"{COUNTS} counts"].shares = sampled.counts, sampled.shares
    for name, part in every.items():
        timed = pairs(settings.rounds, part.scipy, part.meshup)
        equal = part.scipy() == part.meshup()
        figures.append(
            Figure(
                goal="P10",
                work=work if name == "all" else f"of them the {name}",
                a=f"scipy {scipy.__version__}",
                b="meshup",
                ratios=ratios(timed),
                wanted=">= 30" if name == "all" else "",
                answers="equal" if equal and one == other else "UNEQUAL VERDICTS",
                counters={"comparisons": len(part.meshup()), "harmed": sum(part.meshup())},
            )
        )
    return figures
