"""How a run is shown when it ended: the last screen, the document, further reports; the exit code is the outcome's."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from meshup.cli.asking import unasked
from meshup.model.problem import MeshupError, Problem

if TYPE_CHECKING:
    from meshup.cli.reports import Asked
    from meshup.cli.screen import Screen
    from meshup.model.events import Outcome

FORMATS = ("json", "md", "junit", "github", "dotenv")


def show(outcome: Outcome, *, screen: Screen, output: str, further: Sequence[Asked]) -> int:
    """Write the answer and the reports; give the exit code.

    What can't be written is said on stderr and hides neither how the run ended nor its exit code: 0 becomes 1 only.
    """
    from meshup.cli.boundary import not_written, stdout_gone
    from meshup.views.run import ending, outcome_document

    if not screen.interactive:
        outcome = replace(outcome, next=tuple(map(unasked, outcome.next)))
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
        _report(outcome, screen=screen, further=further)
    except OSError as failed:
        return not_written(failed, code)
    return code


@contextlib.contextmanager
def told(screen: Screen, further: Sequence[Asked], *, ends: int = 0) -> Iterator[None]:
    """Let the reports say it too when an error ends a command before there is a run; the error goes on its way.

    ends: the exit code when it is not the error's own, 0 = it is.
    """
    from meshup.cli.boundary import not_written
    from meshup.engine.ending import of_error

    try:
        yield
    except MeshupError as stopped:
        try:
            outcome = of_error(stopped)
            problems = stopped.problems or (
                Problem(code=stopped.code, what=outcome.why, fix=stopped.fix, at=stopped.at),
            )
            _report(replace(outcome, exit=ends or outcome.exit), screen=screen, further=further, problems=problems)
        except OSError as failed:
            not_written(failed, int(stopped.exit))
        raise


def _report(outcome: Outcome, *, screen: Screen, further: Sequence[Asked], problems: Sequence[Problem] = ()) -> None:
    """Write the reports. problems: what an error before any run found, each at its line. Raises OSError."""
    if not further:
        return
    from meshup.cli import reports
    from meshup.views import ci
    from meshup.views.junit import junit
    from meshup.views.run import outcome_document
    from meshup.views.run_md import markdown
    from meshup.views.sarif import sarif

    values = ci.values_of_run(outcome)
    reports.write(
        further,
        {
            "json": lambda: json.dumps(outcome_document(outcome), indent=2),
            "md": lambda: markdown(outcome),
            "junit": lambda: junit(outcome),
            "dotenv": lambda: ci.dotenv(values),
            "sarif": lambda: sarif(problems, of="plan"),
        },
        github=reports.GitHub(
            summary=lambda room: markdown(outcome, room=room),
            values=values,
            annotations=ci.problem_annotations(problems) if problems else ci.run_annotations(outcome),
        ),
        screen=screen,
    )
