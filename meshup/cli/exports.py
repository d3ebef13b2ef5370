"""Exports of ledgers on disk, read, checked and written for the commands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from meshup.cli.files import unusable
from meshup.model.problem import Refused, UsageError, Where

if TYPE_CHECKING:
    from meshup.journal.chain import Sound
    from meshup.journal.export import Export
    from meshup.model.cells import Tallied
    from meshup.model.report import View


def read(path: str) -> bytes:
    """Read a file. Raises UsageError (MU1005)."""
    try:
        return Path(path).read_bytes()
    except OSError as failed:
        raise _unread(path, failed) from failed


def _unread(path: str, failed: OSError) -> UsageError:
    return unusable(f"the export {path} can't be read", failed, fix="correct the file's name")


def checked(path: str, *, head: str = "") -> tuple[bytes, Export, Sound]:
    """Read an export whose every line holds. Raises UsageError (MU1005), Refused (MU2318) naming the first wrong line."""
    from meshup.journal.export import Unsound, whole

    data = read(path)
    try:
        return data, *whole(data, head=head)
    except Unsound as wrong:
        raise _broken(path, wrong.found) from wrong


def _broken(path: str, found: Sound) -> Refused:
    return Refused(
        f"the export {path} does not hold: line {found.line} is wrong",
        code="MU2318",
        why=found.why,
        at=Where(file=path, line=found.line, column=1),
        fix="take the file from where it was kept, or begin another: meshup ledger export --out FILE",
        cluster="not contacted",
    )


def put(path: str, data: bytes) -> None:
    """Write an export, whole or not at all, and its index beside it. Raises OSError."""
    from meshup.cli.reports import write_whole
    from meshup.journal.export import read as taken
    from meshup.journal.folded import write_index

    write_whole(Path(path), data.decode())
    write_index(Path(path), taken(data))


def of_files(paths: Sequence[str]) -> tuple[tuple[View, ...], Tallied | None]:
    """Read exports for a report; of a single one the index beside it is used when it is of this very file.

    Raises UsageError (MU1005) for a file that can't be read, Refused (MU2318) for one that was edited or cut, or is none.
    """
    from meshup.journal.export import Unsound, view
    from meshup.journal.folded import of_file

    if len(paths) == 1 and Path(paths[0]).is_file():
        try:
            found, tally = of_file(Path(paths[0]))
        except Unsound as wrong:
            raise _broken(paths[0], wrong.found) from wrong
        except OSError as failed:
            raise _unread(paths[0], failed) from failed
        return (found,), tally
    return tuple(view(checked(path)[1], path) for path in paths), None
