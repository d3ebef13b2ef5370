"""The report on releases as Markdown: for a comment, cut to its limit with a note of what was cut."""

from __future__ import annotations

from meshup.model.report import Report
from meshup.model.text import amount
from meshup.views import report as shown
from meshup.views.markdown import COMMENT, code, plain, table


def markdown(found: Report) -> str:
    """Give headings and tables; records are folded, and the last of them are cut when it grows too long."""
    lines = [f"### {plain(shown.looked(found))} {plain(shown.where(found))}, as of {found.at}", ""]
    lines += table(shown.HEAD, [shown.cells(each, blind=found.is_blind) for each in found.releases])
    if found.unread:
        lines += ["", f"Counts are of {plain(shown.reach(found))}, so each is at least that."]
    for each in found.releases:
        if each.verdict.answer == "hold":
            lines += ["", f"**hold** {code(shown.release(each.release))}: {plain(each.verdict.because)}"]
    lines += [f"\n**unknown** {plain(each)}" for each in shown.missing(found)]
    rows = [shown.row_cells(row, found) for row in found.rows]
    head = [*lines, "", f"<details><summary>{amount(len(rows), 'record')}</summary>", ""]
    left = COMMENT - len("\n".join(head).encode()) - 500
    body = table(shown.ROWS, rows, room=max(left, 1), rest="`meshup report -o json` has them")
    return "\n".join([*head, *body, "", "</details>", "", f"Next: {plain(found.next) or 'nothing'}"])
