"""Findings as SARIF 2.1.0, for code scanning: each with its line in the runbook."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import quote

from meshup import __version__
from meshup.model.plan import Plan
from meshup.model.problem import Problem, Where
from meshup.model.text import clean

HELP = {
    "one-way": "there is no way back once it is done; meshup plan names it, and apply wants it accepted by name",
    "unjudged": "the gates of its wave can't see how it does, so they would not stop for it",
}
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(problems: Sequence[Problem], *, of: str = "lint", runbook: str = "meshup.yaml") -> str:
    """Give one run with one result per finding; rules are the codes that occur.

    of: which command; results of one command replace its earlier ones in code scanning, and leave those of others.
    runbook: where a finding is shown that has no place in a file, as code scanning refuses one without.
    """
    codes = sorted({each.code for each in problems})
    rules = [{"id": code, "help": {"text": HELP.get(code, f"meshup explain {code}")}} for code in codes]
    driver = {"name": "meshup", "version": __version__, "rules": rules}
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"meshup-{of}/"},
        "columnKind": "unicodeCodePoints",
        "results": [_result(each, codes, runbook) for each in problems],
    }
    document = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(document, indent=2, ensure_ascii=False)


def _result(each: Problem, codes: Sequence[str], runbook: str) -> dict[str, object]:
    at = each.at if each.at is not None and each.at.file else Where(file=runbook)
    named = f" ({each.at.object})" if each.at is not None and each.at.object else ""
    region = {"startLine": max(1, at.line), "startColumn": max(1, at.column)}
    place = {"artifactLocation": {"uri": _uri(at.file)}, "region": region}
    return {
        "ruleId": each.code,
        "ruleIndex": codes.index(each.code),
        "level": "error" if each.severity == "error" else "warning",
        "message": {"text": clean(f"{each.what}{named}. {each.fix}")},
        "locations": [{"physicalLocation": place}],
    }


def _uri(path: str) -> str:
    """Give a path as a reference: relative as it was given, so that it is below the root of the repository."""
    short = clean(path).removeprefix("./")
    return f"file://{quote(short)}" if short.startswith("/") else quote(short)


def findings_of(plan: Plan) -> tuple[Problem, ...]:
    """Give what a plan holds against its runbook: blocked, on hold, one-way, unjudged; at the line that is meant."""
    lines = {each.id: each.at for each in plan.book.services}
    lines |= {str(each.workload): each.at for each in plan.book.services}
    found = [_at_its_line(each, lines) for each in plan.blocked]
    if plan.held is not None:
        what = f"{plan.held.release} is on hold: {plan.held.because}"
        found.append(Problem(code="MU3121", what=what, fix=f"meshup report --version {plan.held.release}"))
    for each in plan.changes():
        if each.one_way and each.one_way not in plan.accepted_one_way:
            at = Where(file=plan.book.path, line=each.line) if each.line else None
            fix = f"accept it by name: --accept-one-way {each.one_way}"
            found.append(Problem(code="one-way", what=each.summary, fix=fix, at=at, severity="warning"))
    for service, why in plan.unjudged:
        fix = "the gates' limits are all that stops it; where they are not enough, add a gate: meshup explain gate"
        what = f"{service}: {why}"
        found.append(Problem(code="unjudged", what=what, fix=fix, at=lines.get(service), severity="warning"))
    return tuple(found)


def _at_its_line(problem: Problem, lines: Mapping[str, Where | None]) -> Problem:
    """Give a finding about an object the line of the service it is about, when the runbook has one."""
    if problem.at is None or problem.at.file:
        return problem
    line = lines.get(problem.at.object)
    return problem if line is None else replace(problem, what=f"{problem.what} ({problem.at.object})", at=line)
