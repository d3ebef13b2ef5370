"""Text and tables for comments and step summaries: what a cluster says stays text, and what is too long ends at a row."""

from __future__ import annotations

import re
from collections.abc import Sequence

from meshup.model.text import clean

COMMENT = 60_000
"""Bytes of a comment: GitHub takes 65,536 characters, and whoever posts it puts a mark before it."""
SUMMARY = 1_048_576
"""Bytes of all step summaries of one step; GitHub refuses the whole file above it (docs: workflow commands, limits)."""
CELL = 2_000

_SPECIAL = re.compile(r"([\\`*_\[\]|~$])")
_CALLS = re.compile(r"(?<!\w)@(?=\w)|[#!](?=\d)")
_LINKS = re.compile(r"://|\bwww\.", re.IGNORECASE)


def plain(text: object, *, limit: int = CELL) -> str:
    """Give one line that no reader of Markdown takes for anything but text.

    Tags become entities, as not every reader knows the backslash; a blank of no width keeps people, teams and issues from
    being called; an address becomes no link. limit: most characters, cut with an ellipsis; 0 = all.
    """
    one = " ".join(clean(text, limit=limit).split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    one = _SPECIAL.sub(r"\\\1", one)
    one = _CALLS.sub(lambda found: found[0] + "&#8203;", one)
    return _LINKS.sub(lambda found: f"{found[0][:-1]}&#{ord(found[0][-1])};", one)


def code(text: object, *, limit: int = CELL) -> str:
    """Give one line as code. A backtick, which would end it, becomes an apostrophe; a bar would end the cell."""
    one = " ".join(clean(text, limit=limit).split()).replace("`", "'").replace("|", "\N{BROKEN BAR}")
    return f"`{one}`" if one else ""


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, room: int = 0, rest: str = "") -> list[str]:
    """Give the lines of a table; every cell is made plain.

    room: most bytes, 0 = no limit. What does not fit is left out by whole rows and counted below the table.
    rest: where the left-out rows are, for that line.
    """
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    used = _size(lines)
    for number, row in enumerate(rows):
        line = "| " + " | ".join(plain(one) for one in row) + " |"
        used += len(line.encode()) + 1
        if room and used > room:
            return [*lines, "", f"{len(rows) - number} more rows were cut; {rest}"]
        lines.append(line)
    return lines


def items(texts: Sequence[str], *, room: int = 0, rest: str = "") -> list[str]:
    """Give lines that are Markdown already as many as fit, and count the others in a last one."""
    used = 0
    lines: list[str] = []
    for number, line in enumerate(texts):
        used += len(line.encode()) + 1
        if room and used > room:
            return [*lines, f"- {len(texts) - number} more were cut; {rest}"]
        lines.append(line)
    return lines


def _size(lines: Sequence[str]) -> int:
    return sum(len(each.encode()) + 1 for each in lines)
