"""The rehearsal of 500 services with one failure and its way back: seconds and memory of one process."""

from __future__ import annotations

import os
import resource
import time
from typing import Any

from figure import Figure, Settings

MOST_S, MOST_MIB = 10.0, 300.0
FAULT = "server-first:app-04/svc-0003"


def measured(command: list[str]) -> tuple[float, float, int]:
    """Run a program alone; give its seconds, the most memory it held in MiB, and its exit code."""
    began = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        quiet = os.open(os.devnull, os.O_RDWR)
        for each in (0, 1, 2):
            os.dup2(quiet, each)
        os.execv(command[0], command)
    _, status, usage = os.wait4(pid, 0)
    assert isinstance(usage, resource.struct_rusage)
    return time.perf_counter() - began, usage.ru_maxrss / 1024, os.waitstatus_to_exitcode(status)


def run(settings: Settings, programs: Any) -> list[Figure]:
    """Measure; the goals are a time and a size on any machine, so the ratio is to those."""
    command = [str(programs.meshup), "rehearse", "--scenario", "big", "--fault", FAULT]
    runs = [measured(command) for _ in range(max(1, min(3, settings.rounds)))]
    codes = sorted({code for _, _, code in runs})
    answers = "equal" if codes == [4] else f"EXIT {codes}, not 4"
    seconds, memory = min(each[0] for each in runs), max(each[1] for each in runs)
    work = "rehearse big, one failure and its rollback"
    return [
        Figure(
            goal="rehearse",
            work=work,
            a="seconds",
            b=f"{MOST_S:g} s",
            ratios=tuple(each[0] / MOST_S for each in runs),
            wanted="<= 1",
            answers=answers,
            counters={"best_s": round(seconds, 1), "exit": codes},
        ),
        Figure(
            goal="rehearse",
            work=work,
            a="memory",
            b=f"{MOST_MIB:g} MiB",
            ratios=tuple(each[1] / MOST_MIB for each in runs),
            wanted="<= 1",
            answers=answers,
            counters={"most_MiB": round(memory)},
        ),
    ]
