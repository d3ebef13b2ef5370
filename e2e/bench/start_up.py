"""P1: the help and the version against `kubectl version --client`, whole processes."""

from __future__ import annotations

import sys
from pathlib import Path

from figure import Figure, Settings, pairs, ran, ratios

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from installed import Installed


def run(settings: Settings, programs: Installed) -> list[Figure]:
    """Measure both texts; at least 11 rounds, as a process's start varies."""
    found = []
    for flag in ("--help", "--version"):
        timed = pairs(
            max(11, settings.rounds),
            lambda flag=flag: ran([str(programs.meshup), flag]),
            lambda: ran([str(programs.kubectl), "version", "--client"]),
        )
        found.append(
            Figure(
                goal="P1",
                work=f"whole process, {flag}",
                a=f"meshup {flag}",
                b="kubectl version --client",
                ratios=ratios(timed),
                wanted="<= 0.6",
                answers="-",
                counters={
                    "meshup_ms": round(1000 * sorted(a for a, _ in timed)[len(timed) // 2]),
                    "kubectl_ms": round(1000 * sorted(b for _, b in timed)[len(timed) // 2]),
                },
            )
        )
    return found
