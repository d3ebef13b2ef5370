"""The files of the project, as its version control lists them, and their syntax trees."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = {".venv", ".git", "dist", "build", "__pycache__"}


@cache
def tracked() -> tuple[Path, ...]:
    """Give every file of the project, sorted. Without version control: every file that is not hidden or made."""
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z", "--cached"], capture_output=True, check=False)
    if listed.returncode == 0 and listed.stdout:
        names = listed.stdout.decode().split("\0")
        return tuple(sorted(ROOT / each for each in names if each and (ROOT / each).is_file()))
    found = (each for each in ROOT.rglob("*") if each.is_file() and not LEFT_OUT & set(each.relative_to(ROOT).parts))
    return tuple(
        sorted(each for each in found if not any(part.startswith(".") for part in each.relative_to(ROOT).parts))
    )


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Give the path below the root and the tree of every module of the package."""
    for path in sorted((ROOT / "meshup").rglob("*.py")):
        yield str(path.relative_to(ROOT)), ast.parse(path.read_text("utf-8"), str(path))


def texts() -> Iterator[tuple[str, str]]:
    """Give the path below the root and the text of every tracked file that is text."""
    for path in tracked():
        try:
            yield str(path.relative_to(ROOT)), path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
