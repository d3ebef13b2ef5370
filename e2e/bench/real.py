"""On a real API server: P3 and P4, a plan against the better of two ways to call kubectl diff, and P6, a list of 5,000 pods."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from figure import Figure, Settings, ran, wall
from fleet import Fleet, fleet
from weigh import Weight, weighed

from e2e.lab import building, kube

HERE = Path(__file__).resolve().parent
PODS, NODES = 5000, 6
FILE_ROUNDS = 2
"""kubectl diff of one file asks for one object after another: it is several times slower, and is not waited for each time."""
DIFFERS = re.compile(r"^diff .*/apps\.v1\.Deployment\.shop\.(\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Sides:
    """The calls that are compared, all as one person on one server."""

    fleet: Fleet
    meshup: str
    kubectl: str

    def diff(self, *files: str | Path) -> str:
        """Let kubectl compare files with the server; give what it prints."""
        command = [self.kubectl, "diff", "--server-side", "--field-manager=meshup", "--force-conflicts"]
        return ran([*command, *map(str, files)], env=self.env, codes=(1,))

    def one_file(self) -> str:
        """Compare all manifests as one file."""
        return self.diff("-f", self.fleet.one_file)

    def folder(self) -> str:
        """Compare all manifests as a folder, 16 at once."""
        return self.diff("--concurrency=16", "-f", self.fleet.folder / "manifests")

    def plan(self, *flags: str) -> str:
        """Plan them."""
        return ran([self.meshup, "plan", *flags], env=self.env, cwd=str(self.fleet.folder))

    @property
    def env(self) -> dict[str, str]:
        """Whose kubeconfig it is."""
        return {"KUBECONFIG": str(self.fleet.kubeconfig)}


def run(settings: Settings, programs: Any) -> list[Figure]:
    """Measure on a lab that is built already; without one say so."""
    missing = building.missing(control_plane_only=True)
    if missing:
        why = f"not built yet: {', '.join(missing)}; `make lab` builds it"
        work = "on a real API server"
        return [Figure(goal="real", work=work, a="kubectl", b="meshup", wanted="", missing=why)]
    changed = max(1, settings.size // 10)
    with fleet(settings.size, changed, nodes=NODES) as made:
        sides = Sides(made, str(programs.meshup), str(kube("kubectl")))
        figures = _plans(settings, sides, changed)
        made.add_pods(settings.size, PODS, nodes=NODES)
        size = made.wait_for(PODS)
        figures += _lists(settings, sides, str(programs.bin / "python"), size)
    return figures


def _plans(settings: Settings, sides: Sides, changed: int) -> list[Figure]:
    """Compare the answers first, which warms both sides up, then time all four calls in turn."""
    names = [f"s{number:05d}" for number in range(changed)]
    kinds: tuple[tuple[str, tuple[str, ...], str], ...] = (
        ("P4 real", (), ">= 6"),
        ("P3 real", ("--full",), ">= 1.5"),
    )
    told = [sorted(DIFFERS.findall(each)) for each in (sides.one_file(), sides.folder())]
    planned = [_changed(json.loads(sides.plan(*flags, "-o", "json"))) for _, flags, _ in kinds]
    answers = (
        "equal" if all(each == names for each in (*told, *planned)) else f"NOT {changed}: {_counts(told + planned)}"
    )
    rounds: list[tuple[float, float, float]] = []
    files: list[float] = []
    for number in range(settings.rounds):
        if number < FILE_ROUNDS:
            files.append(wall(sides.one_file))
        rounds.append((wall(sides.folder), *(wall(lambda flags=flags: sides.plan(*flags)) for _, flags, _ in kinds)))
    best = min(files)
    found = []
    for at, (goal, flags, wanted) in enumerate(kinds, 1):
        mine = [each[at] for each in rounds]
        theirs = [min(each[0], best) for each in rounds]
        found.append(
            Figure(
                goal=goal,
                work=f"{settings.size} Deployments, {changed} changed, real API server",
                a="kubectl diff, server side, the better of file and folder",
                b=" ".join(("meshup plan", *flags)),
                ratios=tuple(a / b for a, b in zip(theirs, mine, strict=True)),
                wanted=wanted,
                answers=answers,
                counters={
                    "best_ratio": round(min(theirs) / min(mine), 2),
                    "kubectl_file_s": round(best, 2),
                    "kubectl_folder_s": round(min(each[0] for each in rounds), 2),
                    "meshup_s": round(min(mine), 2),
                },
            )
        )
    return found


def _changed(plan: Any) -> list[str]:
    """Name the Deployments that a plan changes."""
    objects = [each["object"] for stage in plan["stages"] for wave in stage["waves"] for each in wave["changes"]]
    return sorted(each.removeprefix("Deployment shop/") for each in objects)


def _counts(several: Iterable[Sequence[str]]) -> str:
    return ", ".join(str(len(each)) for each in several)


def _lists(settings: Settings, sides: Sides, python: str, size: int) -> list[Figure]:
    """Compare the names first, then weigh both programs in turn."""
    theirs = [sides.kubectl, "get", "pods", "--all-namespaces", "--output=name"]
    ours = [python, str(HERE / "read_pods.py")]
    told = [sorted(ran(each, env=sides.env).split()) for each in (theirs, ours)]
    answers = "equal" if told[0] == told[1] and len(told[0]) == PODS else f"NOT {PODS}: {_counts(told)}"
    weights = [(weighed(theirs, env=sides.env), weighed(ours, env=sides.env)) for _ in range(settings.rounds)]
    work = f"all of {PODS} pods, {size / 1e6:.0f} MB, real API server"
    return [_list(work, answers, "time", weights), _list(work, answers, "peak memory", weights)]


def _list(work: str, answers: str, what: str, weights: Sequence[tuple[Weight, Weight]]) -> Figure:
    def of(each: Weight) -> float:
        return each.seconds if what == "time" else each.memory_mib

    unit = "s" if what == "time" else "MiB"
    theirs, ours = ([of(each[at]) for each in weights] for at in (0, 1))
    return Figure(
        goal="P6 real",
        work=work,
        a=f"meshup's list, {what}",
        b="kubectl get pods -A -o name",
        ratios=tuple(b / a for a, b in zip(theirs, ours, strict=True)),
        answers=answers,
        counters={
            "best_ratio": round(min(ours) / min(theirs), 2),
            f"meshup_{unit}": round(min(ours), 2),
            f"kubectl_{unit}": round(min(theirs), 2),
        },
    )
