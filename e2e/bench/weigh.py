"""What one program takes, alone: `weigh.py PROGRAM [ARGUMENT...]` runs it, its answer to nowhere, and prints that as JSON.

The peak of a process begins with what its parent held when it was started, so a small interpreter starts it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """seconds: from start to end. memory_mib: the most that was resident at once. code: its exit code."""

    seconds: float
    memory_mib: float
    code: int


def weighed(command: Sequence[str], *, env: Mapping[str, str] | None = None) -> Weight:
    """Run a program alone and give what it took."""
    asked = [sys.executable, "-I", "-S", __file__, *command]
    done = subprocess.run(asked, capture_output=True, text=True, check=True, env={**os.environ, **(env or {})})
    return Weight(**json.loads(done.stdout))


def main(command: Sequence[str]) -> None:
    """Start it, wait for it, and print its weight."""
    began = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        quiet = os.open(os.devnull, os.O_RDWR)
        for each in (0, 1, 2):
            os.dup2(quiet, each)
        os.execvp(command[0], command)
    _, status, usage = os.wait4(pid, 0)
    took = {
        "seconds": time.perf_counter() - began,
        "memory_mib": usage.ru_maxrss / 1024,
        "code": os.waitstatus_to_exitcode(status),
    }
    sys.stdout.write(json.dumps(took) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
