"""Programs that are run to their end, and what stops a command of the lab."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

MARK = "MESHUP_LAB_OWNER"
"""A variable of every program of a lab: the lab's folder. It is inherited, so children of a program are found too."""


class LabError(Exception):
    """Something that the lab needs did not happen: what, why, and what to do next."""

    def __init__(self, what: str, *, fix: str, why: str = "") -> None:
        super().__init__("\n".join(part for part in (what, why and f"  why  {why}", f"  fix  {fix}") if part))


def run(
    *command: str | Path,
    fix: str,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    owner: Path | None = None,
    stdin: str | None = None,
    timeout: float | None = None,
) -> str:
    """Run a program to its end and give what it printed. Raises LabError with the end of its output when it fails.

    owner: the folder of the lab that it works for, whose `down` ends it when the command that waits for it was killed.
    """
    words: Sequence[str] = [str(each) for each in command]
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env=dict(os.environ if env is None else env) | ({} if owner is None else {MARK: str(owner)}),
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=timeout,
            **({"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}),
        )
    except FileNotFoundError as missing:
        raise LabError(f"{words[0]} is not on this machine", why=str(missing), fix=fix) from missing
    except subprocess.TimeoutExpired as late:
        raise LabError(f"{' '.join(words[:6])} did not end in {timeout:.0f} s", fix=fix) from late
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise LabError(f"{' '.join(words[:6])} ended with {done.returncode}", why=said, fix=fix)
    return done.stdout
