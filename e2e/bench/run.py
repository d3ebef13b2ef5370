"""Ratios of speed, taken inside one run: `python e2e/bench/run.py [P1 P8 ...] [--rounds 5] [--size 1000] [--json FILE]`.

Never fails on time. Ends with 1 only when two sides that must say the same do not, or a counter is broken.
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import signal
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1])]

from figure import Figure, Settings, ran, table  # noqa: E402 - after the path is set
from installed import Installed, install  # noqa: E402

GOALS = {
    "P1": "start_up",
    "P3": "plan_size",
    "P5": "plan_size",
    "P13": "plan_size",
    "rehearse": "rehearse_big",
    "P8": "window",
    "P9": "hurry",
    "P10": "canary",
    "P11": "ledger_report",
    "real": "real",
}


def main() -> int:
    """Measure what was asked for, print one table, and give the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("goals", nargs="*", choices=[*GOALS, []], help="which goals (default: all)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=1000)
    parser.add_argument("--latency", type=float, default=5.0, metavar="MS")
    parser.add_argument("--json", default="", metavar="FILE")
    asked = parser.parse_args()
    # Whoever ends it ends its servers too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    settings = Settings(rounds=asked.rounds, size=asked.size, latency_ms=asked.latency)
    modules = list(dict.fromkeys(GOALS[each] for each in (asked.goals or GOALS)))
    with tempfile.TemporaryDirectory(prefix="meshup-bench-") as folder:
        programs = install(Path(folder) / "venv")
        figures: list[Figure] = []
        for name in modules:
            figures += importlib.import_module(name).run(settings, programs)
            sys.stderr.write(f"measured  {name}\n")
        print(table(figures))
        if asked.json:
            Path(asked.json).write_text(json.dumps(_document(figures, settings, programs), indent=2), "utf-8")
    broken = [each for each in figures if not each.missing and each.answers not in ("equal", "-")]
    return 1 if broken else 0


def _document(figures: list[Figure], settings: Settings, programs: Installed) -> dict[str, object]:
    return {
        "schema": "meshup.dev/bench/v1",
        "meshup": ran([str(programs.meshup), "--version"]).strip(),
        "kubectl": ran([str(programs.kubectl), "version", "--client"]).splitlines()[0],
        "python": platform.python_version(),
        "target": "simulator",
        "rounds": settings.rounds,
        "size": settings.size,
        "latency_ms": settings.latency_ms,
        "figures": [each.document() for each in figures],
    }


if __name__ == "__main__":
    sys.exit(main())
