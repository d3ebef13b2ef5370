"""An error or a finding as the user reads it: what, where with a caret, why, the cluster, the next command last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from meshup.model.problem import MeshupError, Problem, Where
from meshup.views.table import amount

SHOWN_PROBLEMS = 50


def source_lines(at: Where, hint: str) -> list[str]:
    """Give the place, the source line and a caret below the first character meant."""
    lines = [f"  {at}"]
    if at.source and at.line:
        margin = f"  {at.line} | "
        text = at.source.expandtabs(1).rstrip()
        room = 140
        start = max(0, at.column - 1 - room // 2) if len(text) > room else 0
        shown = text[start : start + room]
        lines.append(margin + shown)
        width = max(1, min(at.width, len(shown) - (at.column - 1 - start) or 1))
        caret = " " * (at.column - 1 - start) + "^" * width
        lines.append(f"  {' ' * len(str(at.line))} | {caret}{' ' + hint if hint else ''}")
    elif hint:
        lines.append(f"  {hint}")
    return lines


def finding(problem: Problem) -> str:
    """Show one finding without its fix's heading being lost: code, sentence, place, why, fix."""
    lines = [f"{problem.severity}[{problem.code}] {problem.what}"]
    if problem.at is not None:
        lines += source_lines(problem.at, problem.hint)
    elif problem.hint:
        lines.append(f"  {problem.hint}")
    if problem.why:
        lines.append(f"why       {problem.why}")
    return "\n".join(lines)


def findings(problems: Sequence[Problem]) -> str:
    """Show all findings, each with its own fix unless the next one says the same."""
    blocks: list[str] = []
    for number, problem in enumerate(problems[:SHOWN_PROBLEMS]):
        text = finding(problem)
        following = problems[number + 1] if number + 1 < len(problems) else None
        if following is None or following.fix != problem.fix:
            text += f"\nfix       {problem.fix}"
        blocks.append(text)
    if len(problems) > SHOWN_PROBLEMS:
        blocks.append(f"+{len(problems) - SHOWN_PROBLEMS} more; -o json shows all")
    return "\n".join(blocks)


def error(stopped: MeshupError) -> str:
    """Show what stopped a command: what, where, why, what happened to the cluster, the next command."""
    if stopped.problems:
        return _several(stopped)
    lines = [f"error[{stopped.code}] {stopped.what}"]
    if stopped.at is not None:
        lines += source_lines(stopped.at, "")
    lines += [f"  {line}" for line in stopped.details]
    if stopped.why:
        lines.append(f"why       {stopped.why}")
    lines.append(_ended(f"cluster   {stopped.cluster or 'nothing was changed'}", int(stopped.exit)))
    lines.append(f"fix       {stopped.fix}")
    return "\n".join(lines)


def _several(stopped: MeshupError) -> str:
    lines = [findings(stopped.problems)]
    wrong = sum(each.severity == "error" for each in stopped.problems)
    if len(stopped.problems) > 1:
        lines.append(f"found     {amount(wrong, 'error')}, {amount(len(stopped.problems) - wrong, 'warning')}")
    lines.append(_ended(f"cluster   {stopped.cluster or 'not contacted'}", int(stopped.exit)))
    lines.append(f"fix       {stopped.fix}")
    return "\n".join(lines)


def _ended(line: str, code: int) -> str:
    return f"{line:<71} exit {code}" if len(line) < 71 else f"{line}   exit {code}"


def error_document(stopped: MeshupError) -> dict[str, Any]:
    """Give an error as its JSON document."""
    return {
        "schema": "meshup.dev/error/v1",
        "exit": int(stopped.exit),
        "code": stopped.code,
        "what": stopped.what,
        "at": str(stopped.at) if stopped.at else None,
        "why": stopped.why,
        "details": list(stopped.details),
        "cluster": stopped.cluster or "nothing was changed",
        "fix": stopped.fix,
        "problems": [problem_document(each) for each in stopped.problems],
    }


def problem_document(problem: Problem) -> dict[str, Any]:
    """Give one finding as JSON."""
    at = problem.at
    return {
        "code": problem.code,
        "severity": problem.severity,
        "what": problem.what,
        "file": at.file if at else "",
        "line": at.line if at else 0,
        "column": at.column if at else 0,
        "object": at.object if at else "",
        "why": problem.why,
        "hint": problem.hint,
        "fix": problem.fix,
    }
