"""A wish on the command line: written to a file for a pull request, or read from one by CI."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from meshup.cli.files import unusable
from meshup.model.problem import UsageError

if TYPE_CHECKING:
    from meshup.cli.screen import Screen
    from meshup.engine.session import Session
    from meshup.model.wish import Deed, Wish

TOKEN, TOKEN_FILE = "MESHUP_ON_BEHALF_TOKEN", "MESHUP_ON_BEHALF_TOKEN_FILE"


def whole(service: str, namespace: str) -> str:
    """Give NAMESPACE/NAME of what is named on the command line. Raises UsageError (MU1001) when it does not say."""
    named = service if "/" in service or not namespace else f"{namespace}/{service}"
    if "/" not in named or not named.rpartition("/")[2]:
        raise UsageError(
            f'a file names its service as NAMESPACE/NAME, and "{service}" does not',
            code="MU1001",
            fix="give -n NAMESPACE, or write it so",
            cluster="not contacted",
        )
    return named


def written(look: Screen, path: str, do: Deed, service: str, said: Mapping[str, str]) -> int:
    """Write a wish and contact nothing. Raises UsageError: MU1004 for a file that is there, MU1015 for what is no wish."""
    from meshup.cli.reports import write_whole
    from meshup.cluster.clock import RealClock
    from meshup.journal.holder import on_behalf_of
    from meshup.runbook import wish

    if Path(path).exists():
        raise UsageError(
            f"{path} would be overwritten",
            code="MU1004",
            fix="choose another --write, or move it away",
            cluster="not contacted",
        )
    by = {"by": on_behalf_of(os.environ)}
    text = wish.text(do, service, at=RealClock().now(), said={**said, **by}, path=path)
    wish.parse(text.encode(), path)
    try:
        write_whole(Path(path), text)
    except OSError as failed:
        raise unusable(f"{path} could not be written", failed, fix="correct --write") from failed
    look.out(
        f"wrote     {path}: {do} {service}\n"
        "Nothing was contacted, and nothing is done before CI performs it.\n"
        f"Next      open a pull request with it; CI runs: meshup {do} --from {path}"
    )
    return 0


def read(path: str, do: Deed, *, beside: bool) -> Wish:
    """Read a wish of the kind that this command performs. beside: other words of one stand on the command line too.

    Raises UsageError: MU1001, MU1005, MU1015.
    """
    from meshup.runbook import marks, wish

    if beside:
        raise UsageError(
            "--from FILE holds all of a wish, and takes nothing beside it",
            code="MU1001",
            fix=f"meshup {do} --from {path}",
            cluster="not contacted",
        )
    try:
        with Path(path).open("rb") as file:
            found = wish.parse(file.read(marks.MOST_BYTES + 1), path)
    except OSError as failed:
        raise unusable(f"{path} can't be read", failed, fix="correct --from") from failed
    if found.do != do:
        raise UsageError(
            f"{path} asks for {found.do}, and this is meshup {do}",
            code="MU1015",
            fix=f"meshup {found.do} --from {path}",
            cluster="not contacted",
        )
    return found


def acting_for(around: Session, wish: Wish | None, namespace: str) -> Session:
    """Give the session with whom it acts for: the owner of a token, whom CI names, or the author of the file.

    Raises UsageError (MU1005) for a token file that can't be read, Unreachable (MU7101, MU3412) for the token.
    """
    from meshup.engine.vouching import vouched
    from meshup.engine.wishing import on_behalf

    token, file = os.environ.get(TOKEN, ""), os.environ.get(TOKEN_FILE, "")
    if file and not token:
        try:
            token = Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as failed:
            raise unusable(
                f"{file}, named by {TOKEN_FILE}, can't be read", failed, fix=f"correct {TOKEN_FILE}"
            ) from failed
    if token:
        return vouched(around, token, namespace=namespace)
    return on_behalf(around, wish) if wish is not None else around
