"""Findings as SARIF 2.1.0, for code scanning: each with its line in the runbook."""

from __future__ import annotations

import json
from collections.abc import Sequence

from meshup import __version__
from meshup.model.problem import Problem


def sarif(problems: Sequence[Problem]) -> str:
    """Give one run with one result per finding; rules are the codes that occur."""
    codes = sorted({each.code for each in problems})
    results = []
    for each in problems:
        result: dict[str, object] = {
            "ruleId": each.code,
            "level": "error" if each.severity == "error" else "warning",
            "message": {"text": f"{each.what}. {each.fix}"},
        }
        if each.at is not None and each.at.file:
            region = {"startLine": max(1, each.at.line), "startColumn": max(1, each.at.column)}
            result["locations"] = [{"physicalLocation": {"artifactLocation": {"uri": each.at.file}, "region": region}}]
        results.append(result)
    driver = {"name": "meshup", "version": __version__, "rules": [{"id": code} for code in codes]}
    document = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)
