"""A plan as Markdown for a review: tables, folded details, cut to the size of a comment with a note of what was cut."""

from __future__ import annotations

from meshup.model.plan import Plan
from meshup.views.markdown import COMMENT, code, items, plain, table
from meshup.views.plan import stage_rows, totals_line

AGAINST = 20
STAGES = ("stage", "changes", "waits for", "risk", "way back")
REST = "`meshup show` of the saved plan has them"


def markdown(plan: Plan, *, room: int = COMMENT) -> str:
    """Show a plan for a pull request in at most `room` bytes: what does not fit is left out by rows, and counted."""
    head = [f"### meshup plan {code(plan.id)} of {plain(plan.runbook)}", ""]
    head += table(STAGES, stage_rows(plan), room=room // 3, rest=REST)
    head += ["", plain(totals_line(plan)), ""]
    if plan.held is not None:
        against = "; ".join(plan.held.names[:AGAINST])
        head += [f"- **on hold** {plain(plan.held.release)}: {plain(plan.held.because)}. {plain(against)}"]
    told = [f"- **blocked** {plain(each.what)}; {plain(each.fix)}" for each in plan.blocked]
    told += [f"- **one-way** {plain(door)}" for door in plan.one_way]
    told += [f"- **unjudged** {plain(service)}: {plain(why)}" for service, why in plan.unjudged]
    head += items([*told, *(f"- {plain(note)}" for note in plan.notes)], room=room // 3, rest=REST)
    head += ["", "<details><summary>every change</summary>", ""]
    left = room - sum(len(each.encode()) + 1 for each in head) - 500
    rows = [(each.id, each.summary, each.known) for each in plan.changes()]
    return "\n".join([*head, *table(("change", "what", "known"), rows, room=max(left, 1), rest=REST), "", "</details>"])
