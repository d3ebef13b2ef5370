"""`meshup explain`: any word, offline."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Annotated

import typer

from meshup.cli import options
from meshup.cli.screen import screen
from meshup.model.problem import UsageError

if TYPE_CHECKING:
    from meshup.cli.words import Word


def command(
    word: Annotated[
        str, typer.Argument(help="a stage, step, gate, check, idea, error code or exit code; none lists all")
    ] = "",
    output: options.Output = "text",
    color: options.Color = "auto",
    plain: options.Plain = False,
) -> int:
    """Explain a stage, step, gate, check, error code or exit code; offline.

    Example: meshup explain plaintext-callers
    """
    import json

    from meshup.cli.words import words
    from meshup.views.table import columns

    known = words()
    look = screen(color=color, plain=plain)
    asked = _asked(word)
    chosen = [
        entry
        for name, entry in known.items()
        if not asked or name == asked or (asked == "exit-codes" and entry.sort == "exit code")
    ]
    if not chosen and asked.startswith("gate "):
        chosen = [entry for entry in known.values() if f"gate {entry.name}" == asked]
    if not chosen:
        near = difflib.get_close_matches(asked, known, n=1, cutoff=0.5)
        raise UsageError(
            f'nothing is known under "{word}"',
            code="MU1007",
            why=f'did you mean "{near[0]}"?' if near else "",
            fix=f"meshup explain {near[0]}" if near else "meshup explain",
            cluster="not contacted",
        )
    if output == "json":
        document = {
            "schema": "meshup.dev/explain/v1",
            "words": [{"name": e.name, "sort": e.sort, "text": list(e.lines)} for e in chosen],
        }
        look.out(json.dumps(document, ensure_ascii=False, indent=2))
    elif word:
        look.out("\n\n".join(_page(entry, look.width) for entry in chosen))
    else:
        look.out(
            columns(
                [(entry.name, entry.sort, entry.lines[0]) for entry in chosen],
                header=("word", "sort", "meaning"),
                width=look.width,
            )
        )
    return 0


def _page(entry: Word, width: int) -> str:
    from textwrap import fill

    lines = [f"{entry.sort} {entry.name.removeprefix('exit-')}", *entry.lines]
    return "\n".join(
        fill(each, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False) for each in lines
    )


def _asked(word: str) -> str:
    text = word.strip()
    if text.upper().startswith("MU") and text[2:].isdigit():
        return text.upper()
    return f"exit-{text}" if text.isdigit() else text
