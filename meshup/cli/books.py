"""A runbook for a command: read, checked, and refused with every problem at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshup.cli.files import unusable
from meshup.model.problem import Problem, UsageError

if TYPE_CHECKING:
    from meshup.meshes.driver import Driver, Rendered
    from meshup.model.runbook import Mesh, Runbook
    from meshup.runbook.load import Loaded


def read(filename: str) -> Loaded:
    """Read a runbook with whatever is wrong with it. Raises UsageError (MU1005) when there is no such file."""
    from meshup.cli.kinds import kinds
    from meshup.runbook.load import load_file

    if not Path(filename).exists():
        raise UsageError(
            f"there is no runbook {filename}",
            code="MU1005",
            fix="meshup init writes one; -f names another",
            cluster="not contacted",
        )
    return load_file(filename, kinds=kinds())


def book(filename: str) -> Runbook:
    """Load a runbook. Raises UsageError with all its problems, or when there is no such file."""
    loaded = read(filename)
    wrong = [each for each in loaded.problems if each.severity == "error"]
    if wrong or loaded.runbook is None:
        raise UsageError(
            f"{filename} has {len(wrong)} problems",
            code=wrong[0].code if wrong else "MU1101",
            problems=loaded.problems,
            fix=f"meshup lint -f {filename}",
            cluster="not contacted",
        )
    return pinned(loaded.runbook, filename)


def book_or_none(filename: str) -> Runbook | None:
    """Load a runbook when it is there: without one, that of the newest run serves. Raises as `book` does."""
    return book(filename) if Path(filename).exists() else None


def values(filename: str) -> dict[str, Any]:
    """Read a file of chart values, by the rules of a runbook: no aliases, no duplicate keys. Raises UsageError."""
    from meshup.runbook import marks

    try:
        with Path(filename).open("rb") as file:
            found, source, problems = marks.read(file.read(marks.MOST_BYTES + 1), filename)
    except OSError as error:
        raise unusable(f"{filename} can't be read", error, fix="correct --values") from error
    if problems or not isinstance(found, dict):
        odd = Problem(code="MU1108", what="values are a block of keys", at=source.at(1, 1, 1), fix="correct --values")
        raise UsageError(
            f"{filename} is no file of values",
            code=problems[0].code if problems else odd.code,
            problems=tuple(problems) or (odd,),
            fix="correct --values",
            cluster="not contacted",
        )
    return found


def pinned(found: Runbook, filename: str) -> Runbook:
    """Take the digest of the manifests from meshup.lock, unless the runbook states one. Raises UsageError."""
    from dataclasses import replace

    from meshup.runbook import lock

    locked = lock.read(filename)
    if locked is None or found.mesh.manifests.digest:
        return found
    if (locked.get("release"), locked.get("revision")) != (found.mesh.release, found.mesh.revision):
        return found
    manifests = replace(found.mesh.manifests, digest=str(locked["manifests"]))
    return replace(found, mesh=replace(found.mesh, manifests=manifests), lock_digest=str(locked["manifests"]))


def new(*filenames: str, force: bool) -> None:
    """Raise UsageError (MU1004) where files are there already, unless they may be overwritten."""
    there = [each for each in filenames if Path(each).exists()]
    if there and not force:
        raise UsageError(
            f"{' and '.join(there)} would be overwritten",
            code="MU1004",
            fix="move it away, choose another name, or give --force",
            cluster="not contacted",
        )


def put(text: str, filename: str, mesh: Mesh, driver: Driver) -> Rendered:
    """Write a runbook and, beside it, the lock of its mesh, whose manifests it gives. Raises UsageError for one that would not lint."""
    from meshup.cli import reports
    from meshup.cli.kinds import kinds
    from meshup.runbook import lock
    from meshup.runbook.load import load

    wrong = [each for each in load(text.encode(), name=filename, kinds=kinds()).problems if each.severity == "error"]
    if wrong:
        raise UsageError(
            "what was found does not make a runbook that lints",
            code=wrong[0].code,
            problems=tuple(wrong),
            fix="name what is odd in the cluster in a report; nothing was written",
            cluster="only read",
        )
    rendered = driver.render(mesh)
    reports.write_whole(Path(filename), text)
    locked = lock.text(mesh, rendered.digest, rendered.origin, rendered.objects)
    reports.write_whole(Path(lock.beside(filename)), locked)
    return rendered
