"""Where text goes and how it looks: stdout carries the answer, stderr the story."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from meshup.model.problem import UsageError

WIDE = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """How this call's text looks. width: columns to fold to. interactive: somebody can be asked. ascii: --plain.

    heard: a CI runner reads every line and obeys some.
    """

    color: bool
    width: int
    interactive: bool
    ascii: bool = False
    heard: bool = False

    def out(self, text: str) -> None:
        """Write the answer to stdout. Raises OSError when nobody can read it."""
        _put(sys.stdout, self._dressed(text))

    def err(self, text: str) -> None:
        """Write the story to stderr. Never raises: a story that nobody can read is no reason to stop a run."""
        with contextlib.suppress(OSError):
            _put(sys.stderr, self._dressed(text))

    def command(self, text: str) -> None:
        """Write one line to stderr that a CI runner is to obey. Never raises."""
        with contextlib.suppress(OSError):
            _put(sys.stderr, text)

    def ask(self, question: str) -> bool:
        """Ask a yes-or-no question on the terminal; no is the default."""
        sys.stderr.write(f"{question} [y/N] ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def ask_text(self, question: str) -> str:
        """Ask for a line of text on the terminal."""
        sys.stderr.write(f"{question} ")
        sys.stderr.flush()
        return sys.stdin.readline().strip()

    def _dressed(self, text: str) -> str:
        from meshup.model.text import page, unheard

        text = page(text)
        if not self.interactive:
            from meshup.cli.asking import unasked_page

            text = unasked_page(text)
        if self.ascii:
            text = text.encode("ascii", "replace").decode()
        if self.color:
            from meshup.cli.paint import painted

            text = painted(text)
        return unheard(text) if self.heard else text


def _put(stream: object, text: str) -> None:
    write = getattr(stream, "write")  # noqa: B009 - sys.stdout may be replaced by any text stream
    encoding = getattr(stream, "encoding", None) or "utf-8"
    write(text.encode(encoding, "replace").decode(encoding, "replace") + "\n")
    getattr(stream, "flush")()  # noqa: B009


def wants_color(choice: str, environ: Mapping[str, str], *, terminal: bool) -> bool:
    """Decide on colour: flag > NO_COLOR > FORCE_COLOR, CLICOLOR_FORCE > TERM=dumb > is it a terminal."""
    if choice not in ("auto", "always", "never"):
        raise UsageError(f'--color takes auto, always or never, not "{choice}"', code="MU1001", fix="correct --color")
    if choice != "auto":
        return choice == "always"
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR", "0") not in ("", "0") or environ.get("CLICOLOR_FORCE", "0") not in ("", "0"):
        return True
    return terminal and environ.get("TERM") != "dumb"


def is_heard(environ: Mapping[str, str]) -> bool:
    """Tell whether a GitHub runner reads what is written."""
    return environ.get("GITHUB_ACTIONS", "").lower() == "true"


def screen(*, color: str = "auto", plain: bool = False) -> Screen:
    """Look at this process's terminal and environment and decide how text looks."""
    terminal = sys.stdout.isatty()
    in_ci = os.environ.get("CI", "").lower() in ("1", "true")
    interactive = sys.stdin.isatty() and sys.stderr.isatty() and not in_ci
    width = shutil.get_terminal_size((WIDE, 40)).columns if terminal else WIDE
    return Screen(
        color=not plain and wants_color(color, os.environ, terminal=terminal),
        width=min(width, WIDE),
        interactive=interactive,
        ascii=plain,
        heard=is_heard(os.environ),
    )
