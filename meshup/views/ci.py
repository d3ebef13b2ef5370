"""What CI systems read beside the exit code: outputs for later steps, variables for later jobs, annotations."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from meshup.model.events import Outcome
from meshup.model.plan import Plan
from meshup.model.problem import Problem
from meshup.model.text import clean
from meshup.model.verdict import Answer
from meshup.views.run import worst

MOST_ANNOTATIONS = 10
"""So many of one sort does GitHub show for a step."""
MOST_TEXT = 1_000
_ODD = re.compile(r"[^A-Za-z0-9 ._/:;,=+@%-]")


def values_of_run(outcome: Outcome) -> dict[str, str]:
    """Give what later steps decide by; each is one line. exit: the code. next: the command that goes on, "" = none."""
    bad = worst(outcome)
    return {
        "changed": str(outcome.written > 0).lower(),
        "stage": outcome.stopped,
        "verdict": bad.judged.verdict.answer.word if bad else "pass" if outcome.judgements else "",
        "plan-id": outcome.plan,
        "run": outcome.run,
        "exit": str(outcome.exit),
        "next": clean(outcome.next[0]) if outcome.next else "",
    }


def values_of_plan(plan: Plan, *, ends: int) -> dict[str, str]:
    """Give what later steps decide by: is there anything to apply. ends: the exit code."""
    return {"changed": str(plan.changed).lower(), "plan-id": plan.id, "exit": str(ends)}


def dotenv(values: Mapping[str, str]) -> str:
    """Give MESHUP_KEY=value lines. What a shell could take for more than a letter becomes "_": some jobs evaluate them."""
    named = {f"MESHUP_{key.upper().replace('-', '_')}": _ODD.sub("_", value) for key, value in values.items()}
    return "\n".join(f"{key}={value}" for key, value in named.items())


def outputs(values: Mapping[str, str], *, mark: str) -> str:
    """Give the lines of GITHUB_OUTPUT. mark: a word that nobody could guess, so that no value ends before its end.

    Raises ValueError when a value holds the mark.
    """
    if any(mark in value for value in values.values()):
        raise ValueError("the mark occurs in a value")
    return "\n".join(f"{key}<<{mark}\n{value}\n{mark}" for key, value in values.items())


def run_annotations(outcome: Outcome) -> list[str]:
    """Give workflow commands: why it stopped, then the answers that are not good, worst first, ten in all."""
    bad = [each for each in outcome.judgements if each.judged.verdict.answer > Answer.SKIPPED]
    bad.sort(key=lambda each: -each.judged.verdict.answer)
    told = [("error", {"title": each.judged.gate}, each.judged.verdict.because) for each in bad]
    if outcome.exit and not bad:
        word = "notice" if outcome.exit == 5 else "error"
        told = [(word, {"title": f"meshup exit {outcome.exit}"}, f"{outcome.why} {outcome.code}".strip())]
    return _most([_command(*each) for each in told])


def problem_annotations(problems: Sequence[Problem]) -> list[str]:
    """Give workflow commands for findings, each at its line of the runbook, errors first, ten in all."""
    ordered = sorted(problems, key=lambda each: each.severity != "error")
    return _most([_command(_level(each), _place(each), f"{each.what}. {each.fix}") for each in ordered])


def _level(problem: Problem) -> str:
    return "error" if problem.severity == "error" else "warning"


def _place(problem: Problem) -> dict[str, str]:
    at = problem.at
    where = {"file": at.file, "line": str(max(1, at.line)), "col": str(max(1, at.column))} if at and at.file else {}
    return {**where, "title": problem.code}


def _most(commands: list[str]) -> list[str]:
    if len(commands) <= MOST_ANNOTATIONS:
        return commands
    return [*commands[: MOST_ANNOTATIONS - 1], _command("notice", {}, f"+{len(commands) - MOST_ANNOTATIONS + 1} more")]


def _command(word: str, properties: Mapping[str, str], text: str) -> str:
    """Give one workflow command, escaped as the runner unescapes it (actions/toolkit, core/src/command.ts)."""
    named = ",".join(f"{key}={_escaped(value, ':,')}" for key, value in properties.items())
    return f"::{word}{' ' + named if named else ''}::{_escaped(clean(text, limit=MOST_TEXT), '')}"


def _escaped(text: str, more: str) -> str:
    found = clean(text).replace("%", "%25")
    for each in more:
        found = found.replace(each, f"%{ord(each):02X}")
    return found
