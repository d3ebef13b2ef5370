"""--report FORMAT=FILE: one result in further files, written whole or not at all."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from meshup.model.problem import UsageError
from meshup.model.text import page

if TYPE_CHECKING:
    from meshup.cli.screen import Screen

Asked: TypeAlias = tuple[str, str]
"""A format and the path of its file; "" = where the CI system says."""


def asked(reports: Sequence[str], known: Sequence[str]) -> tuple[Asked, ...]:
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
        usual = os.environ.get("GITHUB_STEP_SUMMARY", "") if name == "github" else ""
        found.append((name, _usable(path or usual)))
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


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHub:
    """What the format `github` writes where the runner says: a summary (made for so many bytes), outputs, annotations."""

    summary: Callable[[int], str]
    values: Mapping[str, str]
    annotations: Sequence[str]


def write(
    reports: Sequence[Asked],
    makers: Mapping[str, Callable[[], str]],
    *,
    github: GitHub | None = None,
    screen: Screen | None = None,
) -> None:
    """Write each report. `github` and `dotenv` are appended, as CI systems expect; the rest replaces the file.

    Raises OSError, which names the file.
    """
    for name, path in reports:
        if name == "github" and github is not None:
            _write_github(github, path, screen)
        elif name == "dotenv":
            _append(path, page(makers[name]()) + "\n")
        else:
            write_whole(Path(path), page(makers[name]()) + "\n")


def _write_github(github: GitHub, path: str, screen: Screen | None) -> None:
    """Append a summary that fits beside what is there, the step's outputs, and tell the log its annotations."""
    from meshup.views.ci import outputs
    from meshup.views.markdown import SUMMARY

    if path:
        there = os.stat(path).st_size if os.path.isfile(path) else 0
        text = page(github.summary(SUMMARY - there - 2))
        if text:
            _append(path, text + "\n")
    into = os.environ.get("GITHUB_OUTPUT", "")
    if into:
        _append(into, outputs(github.values, mark=f"meshup-{secrets.token_hex(16)}") + "\n")
    if screen is not None:
        for each in github.annotations:
            screen.command(each)


def _append(path: str, text: str) -> None:
    try:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as failed:
        failed.filename = path
        raise


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
