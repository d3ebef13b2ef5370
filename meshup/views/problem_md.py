"""What lint found, as Markdown for a step summary."""

from __future__ import annotations

from collections.abc import Sequence

from meshup.model.problem import Problem
from meshup.views.markdown import COMMENT, table

HEAD = ("where", "code", "what", "fix")


def markdown(problems: Sequence[Problem], *, room: int = COMMENT) -> str:
    """Give one row per finding, in at most `room` bytes; "" when not even the heading fits."""
    title = f"### meshup lint: {len(problems)} findings" if problems else "### meshup lint: nothing to mend"
    if room < 1_000:
        return title if len(title) < room else ""
    rows = [(str(each.at or ""), each.code, each.what, each.fix) for each in problems]
    body = table(HEAD, rows, room=room - 500, rest="`meshup lint -o json` has them") if rows else []
    return "\n".join([title, "", *body]).rstrip()
