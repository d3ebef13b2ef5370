"""`meshup init --ci`: the pipeline of a runbook that is there. No cluster is contacted."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from meshup.model.problem import UsageError

if TYPE_CHECKING:
    from meshup.cli.screen import Screen

PLAIN = re.compile(r"(?!/)(?!.*(^|/)\.\.(/|$))[A-Za-z0-9._/-]+")
"""What a path may be in a pipeline, where it is a pattern and a text at once: below the root, nothing to be quoted."""


def write(system: str, filename: str, *, force: bool, look: Screen, output: str) -> int:
    """Write the pipeline and say where and what is to be set up. Raises UsageError: MU1001, MU1004, or the runbook's own."""
    from meshup.cli import reports
    from meshup.cli.books import book
    from meshup.cli.connect import one_of
    from meshup.runbook import lock
    from meshup.views import pipeline as view

    one_of(system, tuple(view.FILES), flag="--ci")
    path = filename.removeprefix("./")
    if not PLAIN.fullmatch(path):
        raise UsageError(
            f'a pipeline can\'t name the runbook "{filename}"',
            code="MU1001",
            why="it is named by its path below the root of the repository: letters, digits, dots, dashes and slashes",
            fix="call it from the root of the repository, with -f PATH",
            cluster="not contacted",
        )
    loaded = book(path)
    into = view.FILES[system]
    locked = lock.beside(path)
    text = view.pipeline(loaded, system=system, lock=locked)
    locked = locked if Path(locked).exists() else ""
    there = Path(into)
    if there.exists() and not force:
        if there.read_bytes() == text.encode():
            told = view.said(loaded, system=system, fresh=False, lock=locked)
            return _said(look, output, told, view.document(loaded, system=system))
        raise UsageError(
            f"{into} would be overwritten",
            code="MU1004",
            fix=f"move it away, or: meshup init --ci {system} --force",
            cluster="not contacted",
        )
    there.parent.mkdir(parents=True, exist_ok=True)
    reports.write_whole(there, text)
    told = view.said(loaded, system=system, fresh=True, lock=locked)
    return _said(look, output, told, view.document(loaded, system=system))


def _said(look: Screen, output: str, text: str, document: object) -> int:
    look.out(json.dumps(document, indent=2) if output == "json" else text)
    return 0
