"""Exports of ledgers on disk, read and checked for the commands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from meshup.model.problem import Refused, UsageError, Where

if TYPE_CHECKING:
    from meshup.journal.chain import Sound
    from meshup.journal.export import Export


def read(path: str) -> bytes:
    """Read a file. Raises UsageError (MU1005)."""
    try:
        return Path(path).read_bytes()
    except OSError as failed:
        raise UsageError(
            f"the export {path} can't be read",
            code="MU1005",
            why=str(failed.strerror or failed),
            fix="correct the file's name",
            cluster="not contacted",
        ) from failed


def checked(path: str, *, head: str = "") -> tuple[bytes, Export, Sound]:
    """Read an export whose every line holds. Raises UsageError (MU1005), Refused (MU2318) naming the first wrong line."""
    from meshup.journal import export

    data = read(path)
    found = export.sound(data, head=head)
    if found.why:
        raise Refused(
            f"the export {path} does not hold: line {found.line} is wrong",
            code="MU2318",
            why=found.why,
            at=Where(file=path, line=found.line, column=1),
            fix="take the file from where it was kept, or begin another: meshup ledger export --out FILE",
            cluster="not contacted",
        )
    return data, export.read(data), found


def put(path: str, data: bytes) -> None:
    """Write an export, whole or not at all, and its index beside it. Raises OSError."""
    from meshup.cli.reports import write_whole
    from meshup.journal.export import read as taken
    from meshup.journal.folded import write_index

    write_whole(Path(path), data.decode())
    write_index(Path(path), taken(data))
