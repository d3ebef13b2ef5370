"""--report FORMAT=FILE: one result in further files, written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from meshup.model.problem import UsageError
from meshup.model.text import page


def asked(reports: Sequence[str], known: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Read FORMAT=FILE pairs; `github` needs no file. Raises UsageError: MU1008 for a format that is not known, MU1005."""
    found = []
    for each in reports:
        name, _, path = each.partition("=")
        if name not in known or (not path and name != "github"):
            raise UsageError(
                f'--report takes FORMAT=FILE, not "{each}"',
                code="MU1008",
                why=f"formats here: {', '.join(known)}",
                fix="correct --report",
                cluster="not contacted",
            )
        found.append((name, _usable(path or os.environ.get("GITHUB_STEP_SUMMARY", ""))))
    return tuple(found)


def _usable(path: str) -> str:
    """Give a path whose folder takes a file, so that a report is not found lost after the run. Raises UsageError."""
    folder = os.path.dirname(path) or "."
    if path and (not os.access(folder, os.W_OK | os.X_OK) or os.path.isdir(path)):
        why = "it is a folder" if os.path.isdir(path) else f"{folder} is not there, or may not be written to"
        raise UsageError(
            f"the report {path} could not be written",
            code="MU1005",
            why=why,
            fix="correct --report",
            cluster="not contacted",
        )
    return path


def write(reports: Sequence[tuple[str, str]], makers: Mapping[str, Callable[[], str]]) -> None:
    """Write each report. `github` and `dotenv` are appended, as CI systems expect; the rest replaces the file."""
    for name, path in reports:
        text = page(makers[name]())
        if not path:
            continue
        if name in ("github", "dotenv"):
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(text + "\n")
        else:
            write_whole(Path(path), text + "\n")


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is there whole or as it was before. Raises OSError, which names the file."""
    try:
        _write(path, text)
    except OSError as failed:
        failed.filename = str(path)
        raise


def _write(path: Path, text: str) -> None:
    folder = path.parent if str(path.parent) else Path()
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    handle, name = tempfile.mkstemp(dir=folder, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
