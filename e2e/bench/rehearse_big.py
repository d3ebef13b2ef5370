"""The rehearsal of 500 services with one failure and its way back: seconds and memory of one process."""

from __future__ import annotations

from typing import Any

from figure import Figure, Settings
from weigh import weighed

MOST_S, MOST_MIB = 10.0, 300.0
FAULT = "server-first:app-04/svc-0003"


def run(settings: Settings, programs: Any) -> list[Figure]:
    """Measure; the goals are a time and a size on any machine, so the ratio is to those."""
    command = [str(programs.meshup), "rehearse", "--scenario", "big", "--fault", FAULT]
    runs = [weighed(command) for _ in range(max(1, min(3, settings.rounds)))]
    codes = sorted({each.code for each in runs})
    answers = "equal" if codes == [4] else f"EXIT {codes}, not 4"
    seconds, memory = min(each.seconds for each in runs), max(each.memory_mib for each in runs)
    work = "rehearse big, one failure and its rollback"
    return [
        Figure(
            goal="rehearse",
            work=work,
            a="seconds",
            b=f"{MOST_S:g} s",
            ratios=tuple(each.seconds / MOST_S for each in runs),
            wanted="<= 1",
            answers=answers,
            counters={"best_s": round(seconds, 1), "exit": codes},
        ),
        Figure(
            goal="rehearse",
            work=work,
            a="memory",
            b=f"{MOST_MIB:g} MiB",
            ratios=tuple(each.memory_mib / MOST_MIB for each in runs),
            wanted="<= 1",
            answers=answers,
            counters={"most_MiB": round(memory)},
        ),
    ]
