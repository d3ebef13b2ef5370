"""Columns of text: the one layout for screens, pipes and golden files."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence

from meshup.model.text import amount

__all__ = ["amount", "columns", "folded", "with_exit"]

NARROWEST = 6
HANG = 10
"""Screens begin their lines with a word of so many columns; what is folded goes on below the text, not below the word."""


def columns(rows: Sequence[Sequence[str]], *, header: Sequence[str] = (), width: int = 0, indent: str = "") -> str:
    """Lay rows out in columns two spaces apart; no trailing blanks.

    rows: all of one length, that of `header` when there is one. width: the widest columns are folded until a line
    fits, 0 = never; a word is never broken, so a narrow screen may still be passed. Gives "" when there is nothing.
    """
    table = [list(header), *map(list, rows)] if header else [list(row) for row in rows]
    if not table:
        return ""
    wide = [max(len(row[n]) for row in table) for n in range(len(table[0]))]
    if width:
        wide = _fitted(table, wide, width - len(indent) - 2 * (len(wide) - 1))
    lines: list[str] = []
    for row in table:
        cells = [_cell(cell, size) for cell, size in zip(row, wide, strict=True)]
        for parts in itertools.zip_longest(*cells, fillvalue=""):
            lines.append((indent + "  ".join(f"{p:<{size}}" for p, size in zip(parts, wide, strict=True))).rstrip())
    return "\n".join(lines)


def _fitted(table: Sequence[Sequence[str]], wide: Sequence[int], room: int) -> list[int]:
    """Take from the widest column, the last of equals first, until the columns fit or no word could be narrower."""
    found = list(wide)
    least = [max(NARROWEST, *(_longest(row[n]) for row in table)) for n in range(len(found))]
    while sum(found) > room:
        open_ones = [n for n, size in enumerate(found) if size > least[n]]
        if not open_ones:
            break
        found[max(open_ones, key=lambda n: (found[n], n))] -= 1
    return found


def _longest(cell: str) -> int:
    lead = len(cell) - len(cell.lstrip())
    return lead + max((len(word) for word in cell.split()), default=0)


def _cell(cell: str, size: int) -> list[str]:
    if len(cell) <= size:
        return [cell]
    hang = " " * (len(cell) - len(cell.lstrip()))
    return _wrapped(cell, size, hang)


def folded(line: str, *, width: int) -> str:
    """Fold one "word  sentence" line below its sentence; 0 = never. Commands to be copied are better left whole."""
    if not width or len(line) <= width:
        return line
    return "\n".join(_wrapped(line, width, " " * HANG))


def _wrapped(text: str, width: int, hang: str) -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent=hang, break_long_words=False, break_on_hyphens=False)


def with_exit(line: str, code: int, *, width: int) -> str:
    """Fold a line and put the exit code at its end, in the last column where there is room."""
    said = f"exit {code}"
    text = folded(line, width=width)
    last = text.rpartition("\n")[2]
    if width and len(last) + 2 + len(said) > width:
        return f"{text}\n{said:>{width}}"
    at = min(width or 95, 95) - len(said)
    return text + " " * max(2, at - len(last)) + said
