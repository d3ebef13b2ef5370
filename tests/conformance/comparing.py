"""Recorded answers against those of a server now, field by field, and the line that says how many differ."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

TARGET = "conformance"
"""Name of the property in which a test says which server it asked."""
DIFFERENCES = "differences"


def differences(case: dict[str, Any], answers: list[Any]) -> list[str]:
    """Give a line for each field that is not as recorded."""
    found: list[str] = []
    for number, (step, answer) in enumerate(zip(case["steps"], answers, strict=True)):
        _compare(step["answer"], answer, f"step {number}", found)
    return found


def _compare(wanted: object, got: object, at: str, into: list[str]) -> None:
    if isinstance(wanted, dict) and isinstance(got, dict):
        for key in {**wanted, **got}:
            if key not in wanted:
                into.append(f"{at}.{key}: not there, got {json.dumps(got[key])[:300]}")
            elif key not in got:
                into.append(f"{at}.{key}: missing, wanted {json.dumps(wanted[key])[:300]}")
            else:
                _compare(wanted[key], got[key], f"{at}.{key}", into)
    elif isinstance(wanted, list) and isinstance(got, list) and len(wanted) == len(got):
        for number, (left, right) in enumerate(zip(wanted, got, strict=True)):
            _compare(left, right, f"{at}[{number}]", into)
    elif wanted != got:
        into.append(f"{at}: wanted {json.dumps(wanted)[:400]}, got {json.dumps(got)[:400]}")


def closing_lines(stats: Mapping[str, Iterable[Any]]) -> list[str]:
    """Give a line per server: how many cases it was asked and how many fields differed. stats: pytest's reports."""
    cases: dict[str, int] = {}
    found: dict[str, int] = {}
    for report in (each for several in stats.values() for each in several):
        said = dict(getattr(report, "user_properties", ())) if getattr(report, "when", "") == "call" else {}
        if TARGET in said:
            cases[said[TARGET]] = cases.get(said[TARGET], 0) + 1
            found[said[TARGET]] = found.get(said[TARGET], 0) + int(said.get(DIFFERENCES, 1))
    return [f"conformance: {cases[each]} cases, {found[each]} differences, on {each}" for each in sorted(cases)]
