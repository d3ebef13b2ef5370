"""The report on releases as Markdown: for a comment, cut to its limit with a note of what was cut."""

from __future__ import annotations

import re

from meshup.model.report import Report
from meshup.model.text import amount, clean
from meshup.views import report as shown

MOST = 60_000


def markdown(found: Report) -> str:
    """Give headings and tables; records are folded, and the last of them are cut when it grows too long."""
    lines = [f"### {_cell(shown.least(found, found.services))} services {_cell(shown.where(found))}, {found.at}", ""]
    lines += _table(shown.HEAD, [shown.cells(each) for each in found.releases])
    if found.unread:
        lines += ["", f"Counts are of {_cell(shown.reach(found))}, so each is at least that."]
    for each in found.releases:
        if each.verdict.answer == "hold":
            lines += ["", f"**hold** `{shown.release(each.release)}`: {_cell(clean(each.verdict.because))}"]
    lines += [f"\n**unknown** {_cell(clean(each.name))}: {_cell(clean(each.why))}" for each in found.unread]
    rows = [shown.row_cells(row, found) for row in found.rows]
    head = [*lines, "", f"<details><summary>{amount(len(rows), 'record')}</summary>", ""]
    table = _table(shown.ROWS, rows)
    kept, used = [], len("\n".join(head).encode()) + 200
    for line in table:
        used += len(line.encode()) + 1
        if used > MOST:
            break
        kept.append(line)
    cut = len(table) - len(kept)
    note = [f"\n{cut} more records were cut: `meshup report -o json` has them"] if cut else []
    return "\n".join([*head, *kept, *note, "", "</details>", "", f"Next: {_cell(clean(found.next)) or 'nothing'}"])


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return lines + ["| " + " | ".join(_cell(one) for one in row) + " |" for row in rows]


def _cell(text: str) -> str:
    """Give a text that no Markdown reads as anything else; tags as entities, as not every reader knows the backslash."""
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", plain)
