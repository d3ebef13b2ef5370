"""How a run is shown when it ended: the last screen, the document, further reports; the exit code is the outcome's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshup.cli.screen import Screen
    from meshup.model.events import Outcome

FORMATS = ("json", "md", "junit", "github", "dotenv")


def show(outcome: Outcome, *, screen: Screen, output: str, further: Sequence[tuple[str, str]]) -> int:
    """Write the answer and the reports; give the exit code.

    What can't be written is said on stderr and hides neither how the run ended nor its exit code: 0 becomes 1 only.
    """
    from meshup.cli import reports
    from meshup.cli.boundary import not_written, stdout_gone
    from meshup.views.ci import dotenv, github
    from meshup.views.junit import junit
    from meshup.views.run import ending, outcome_document, summary_markdown

    document = outcome_document(outcome)
    code = outcome.exit
    try:
        if output == "json":
            screen.out(json.dumps(document, ensure_ascii=False, indent=2))
        elif output == "events":
            screen.out(json.dumps({**document, "event": "ended", "at": ""}, ensure_ascii=False))
        else:
            screen.out(ending(outcome, width=screen.width))
    except OSError:
        screen.err(ending(outcome, width=screen.width))
        code = stdout_gone(code)
    try:
        reports.write(
            further,
            {
                "json": lambda: json.dumps(document, indent=2),
                "md": lambda: summary_markdown(outcome),
                "junit": lambda: junit(outcome.judgements, name=f"meshup {outcome.plan}"),
                "github": lambda: github(outcome),
                "dotenv": lambda: dotenv(outcome),
            },
        )
    except OSError as failed:
        return not_written(failed, code)
    return code
