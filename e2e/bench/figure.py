"""How a figure becomes one: both sides in one run, rounds interleaved, ratios per round, their median printed."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the command line asks for. latency_ms: one way added per request, for goals that have a network."""

    rounds: int
    size: int
    latency_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table. ratios: one per round. wanted: "<= 0.6". answers: "equal" when both sides say the same.

    a, b: what stands above and below the line. counters: exact numbers beside it. missing: why there is no figure.
    """

    goal: str
    work: str
    a: str
    b: str
    ratios: tuple[float, ...] = ()
    wanted: str = ""
    answers: str = "-"
    counters: Mapping[str, Any] = field(default_factory=dict)
    missing: str = ""

    @property
    def ratio(self) -> float:
        """Give the median of the rounds."""
        return statistics.median(self.ratios)

    @property
    def met(self) -> str:
        """Say whether the median reaches what is wanted."""
        if self.missing or not self.wanted:
            return "-"
        sign, bound = self.wanted.split()
        return "yes" if (self.ratio <= float(bound) if sign == "<=" else self.ratio >= float(bound)) else "NO"

    def document(self) -> dict[str, Any]:
        """Give everything for the JSON file."""
        found = asdict(self)
        found["ratio"] = self.ratio if self.ratios else None
        found["met"] = self.met
        return found


def wall(action: Callable[[], object]) -> float:
    """Give the seconds an action takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def pairs(rounds: int, one: Callable[[], object], other: Callable[[], object]) -> tuple[tuple[float, float], ...]:
    """Time two actions in turn, A B A B, after one warm-up of each."""
    one()
    other()
    return tuple((wall(one), wall(other)) for _ in range(rounds))


def ratios(timed: Sequence[tuple[float, float]]) -> tuple[float, ...]:
    """Give A / B of each round."""
    return tuple(a / b for a, b in timed)


def ran(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, codes: Sequence[int] = (0,), cwd: str | None = None
) -> str:
    """Run a program and give its stdout. Raises RuntimeError with what it said when its exit code is not expected."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        cwd=cwd,
    )
    if done.returncode not in codes:
        raise RuntimeError(
            f"{' '.join(command)} ended with {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        )
    return done.stdout


def table(figures: Sequence[Figure]) -> str:
    """Give the table as text, one line per figure."""
    head = ("goal", "work", "A", "B", "ratio A/B", "(min-max)", "goal", "met", "answers")
    rows = [head]
    for each in figures:
        if each.missing:
            rows.append((each.goal, each.work, each.a, each.b, "missing", each.missing, each.wanted, "-", "-"))
            continue
        spread = f"({min(each.ratios):.2f}-{max(each.ratios):.2f})"
        rows.append(
            (each.goal, each.work, each.a, each.b, f"{each.ratio:.2f}", spread, each.wanted, each.met, each.answers)
        )
    widths = [max(len(row[at]) for row in rows) for at in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    for each in figures:
        said = ", ".join(f"{key} {value}" for key, value in each.counters.items())
        lines += [f"{each.goal} {each.work}: {said}"] if said else []
    return "\n".join(lines)
