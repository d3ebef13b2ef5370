"""Exports of ledgers on disk, for the commands that read them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from meshup.model.problem import UsageError

if TYPE_CHECKING:
    from meshup.model.cells import Tallied
    from meshup.model.report import View


def of_files(paths: Sequence[str]) -> tuple[tuple[View, ...], Tallied | None]:
    """Read exports for a report; of a single one the index beside it is used when it is of this very file.

    Raises UsageError: MU1005 for a file that can't be read, MU1031 for one that is no export.
    """
    from meshup.cli.exports import read as data_of
    from meshup.journal.export import read, view
    from meshup.journal.folded import of_file

    views, path = [], ""
    try:
        if len(paths) == 1 and Path(path := paths[0]).is_file():
            found, tally = of_file(Path(path))
            return (found,), tally
        for path in paths:
            views.append(view(read(data_of(path)), path))
    except (ValueError, KeyError, TypeError) as odd:
        raise UsageError(
            f"{path} is no export of a ledger",
            code="MU1031",
            why=str(odd),
            fix=f"meshup ledger verify {path}",
            cluster="not contacted",
        ) from odd
    return tuple(views), None
