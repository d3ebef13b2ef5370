"""Columns of text: the one layout for screens, pipes and golden files."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence


def columns(rows: Sequence[Sequence[str]], *, header: Sequence[str] = (), width: int = 0, indent: str = "") -> str:
    """Lay rows out in columns two spaces apart; no trailing blanks.

    rows: all of one length, that of `header` when there is one. width: the last column is folded to fit, 0 = never.
    Gives "" when there is nothing to show.
    """
    table = [list(header), *map(list, rows)] if header else [list(row) for row in rows]
    if not table:
        return ""
    wide = [max(len(row[n]) for row in table) for n in range(len(table[0]))]
    before_last = len(indent) + sum(size + 2 for size in wide[:-1])
    room = max(width - before_last, 20) if width else 0
    lines: list[str] = []
    for row in table:
        start = indent + "".join(f"{cell:<{size + 2}}" for cell, size in zip(row[:-1], wide[:-1], strict=True))
        folded = textwrap.wrap(row[-1], room, break_long_words=False, break_on_hyphens=False) if room else [row[-1]]
        lines.append((start + (folded[0] if folded else "")).rstrip())
        lines.extend(" " * before_last + more for more in folded[1:])
    return "\n".join(lines)


def told(rows: Sequence[tuple[str, str]], *, width: int = 0, least: int = 9) -> str:
    """Lay out "word  sentence" lines, as every screen begins: what was looked at, what changed, what comes next."""
    size = max((len(word) for word, _ in rows), default=0)
    return columns(
        [(f"{word:<{max(size, least)}}".rstrip().ljust(max(size, least)), text) for word, text in rows], width=width
    )


def amount(count: int, one: str, many: str = "") -> str:
    """Say a number with its noun: "1 service", "2 services"."""
    return f"{count} {one if count == 1 else many or one + 's'}"
