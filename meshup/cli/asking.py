"""The one question before a write."""

from __future__ import annotations

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
