"""The one question before a write, and the commands that are next where nobody can be asked it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshup.model.problem import UsageError

if TYPE_CHECKING:
    from meshup.cli.screen import Screen


def confirm(screen: Screen, *, yes: bool, question: str) -> None:
    """Ask on a terminal; elsewhere --yes must have been given. Raises UsageError MU1002 or MU1003."""
    if yes:
        return
    if not screen.interactive:
        raise UsageError(
            "a write was asked for without a terminal and without --yes",
            code="MU1002",
            why="a forgotten flag must not look neutral in CI",
            fix="read meshup plan, then add --yes",
            cluster="nothing was changed",
        )
    if not screen.ask(question):
        raise UsageError(
            "the answer was not yes", code="MU1003", fix="meshup plan shows it again", cluster="nothing was changed"
        )


ASKS = re.compile(
    r"meshup (?:apply|ledger install|rollback(?= --(?:run|stage) ))"
    r"(?: (?:-f|--through|--run|--stage|--accept-one-way|--context) [^\s,;]+| --(?:resume|yes)\b| [\w./-]+\.json\b)*"
)
"""A command that asks before it writes, with its arguments as screens name them."""
FOLLOWS = re.compile(r"(?m)^(?:Next|fix) {2,}.*$")


def unasked(command: str) -> str:
    """Give a next command as it goes without a terminal: what asks before it writes is told yes beforehand."""
    return ASKS.sub(lambda found: found[0] if "--yes" in found[0] else f"{found[0]} --yes", command)


def unasked_page(text: str) -> str:
    """Give a screen with its next commands so."""
    return FOLLOWS.sub(lambda found: unasked(found[0]), text)
