"""One mistake anywhere in a shipped runbook is found within one line of it, or changes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from meshup.cli.kinds import kinds
from meshup.runbook.load import Loaded, load

SHIPPED = sorted((Path(__file__).resolve().parents[2] / "runbooks").glob("*.yaml"))
NOW = datetime(2026, 11, 1, tzinfo=UTC)
LEAST, SHARE = 500, 0.98
KEY = re.compile(r"(?<![\w\"/.-])([A-Za-z][\w-]*):(?=[ \n}])")
VALUE = re.compile(r"(?<=: )(?![\[{])(\"[^\"\n]*\"|[^\s,{}\[\]#\"][^,{}\[\]#\"\n]*?)(?=[,}\]]| *#|\n)")
REFERENCE = re.compile(r"(?<=- )[a-z]+/[a-z-]+(?=\n)")


@dataclass(frozen=True)
class Mistake:
    """One edit. line: where, from 1."""

    what: str
    line: int
    text: str


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _comment(text: str, at: int) -> bool:
    return "#" in text[text.rfind("\n", 0, at) + 1 : at]


def mistakes(text: str) -> Iterator[Mistake]:
    """Give every single mistake of the kinds that people make."""
    for found in KEY.finditer(text):
        start, end = found.span(1)
        if _comment(text, start):
            continue
        word, line = found[1], _line(text, start)
        for what, wrong in (("a letter left out", word[:-1]), ("a letter too many", word + "x"), ("no key", "")):
            yield Mistake(f"{what} in key {word}", line, text[:start] + wrong + text[end:])
        yield Mistake(f"no colon after {word}", line, text[:end] + text[end + 1 :])
    for found in VALUE.finditer(text):
        start, end = found.span(1)
        if _comment(text, start):
            continue
        line = _line(text, start)
        for what, wrong in (
            ("a list for", "[[1]]"),
            ("a block for", "{x: y}"),
            ("an alias for", "*x"),
            ("a tag on", f"!x {found[1]}"),
        ):
            yield Mistake(f"{what} value {found[1]}", line, text[:start] + wrong + text[end:])
    for found in REFERENCE.finditer(text):
        yield Mistake(
            f"unknown {found[0]}", _line(text, found.start()), text[: found.end()] + "x" + text[found.end() :]
        )
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        before, after = "".join(lines[: number - 1]), "".join(lines[number:])
        yield Mistake("a tab before", number, f"{before}\t{line}{after}")
        yield Mistake("the line twice", number, before + line + line + after)
        yield Mistake("one space more", number, f"{before} {line}{after}")
        for bracket in '}]"':
            if bracket in line.partition("#")[0]:
                head, _, tail = line.rpartition(bracket)
                yield Mistake(f"{bracket} left out", number, before + head + tail + after)


def _read(text: str) -> Loaded:
    return load(text.encode(), name="meshup.yaml", kinds=kinds(), now=NOW)


def _meaning(value: Any) -> Any:
    """Give a runbook without the places where things stand in the file."""
    if is_dataclass(value):
        return {each.name: _meaning(getattr(value, each.name)) for each in fields(value) if each.name != "at"}
    return [_meaning(each) for each in value] if isinstance(value, tuple) else value


def _found(mistake: Mistake, right: Loaded) -> bool:
    loaded = _read(mistake.text)
    wrong = [each for each in loaded.problems if each.severity == "error"]
    if not wrong:
        return _meaning(loaded.runbook) == _meaning(right.runbook)
    return any(each.at is not None and each.at.line and abs(each.at.line - mistake.line) <= 1 for each in wrong)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_a_mistake_is_found_where_it_was_made(path: Path) -> None:
    text = path.read_text("utf-8")
    right = _read(text)
    assert [each for each in right.problems if each.severity == "error"] == []
    made = list(mistakes(text))
    assert len(made) >= LEAST
    missed = [f"{path.name}:{each.line}: {each.what}" for each in made if not _found(each, right)]
    assert len(missed) <= (1 - SHARE) * len(made), f"{len(missed)} of {len(made)}\n" + "\n".join(missed)


def test_a_rule_on_a_metric_that_its_gate_does_not_compare_is_said_to_never_act():
    text = SHIPPED[0].read_text("utf-8")
    gate = '- {canary: {metrics: [errors], rules: ["when WHEN fail then hold"]}}'
    at = text.index("- {success-rate:")
    for when, said in (("cpu", ["MU1209"]), ("errors", []), ("any", [])):
        held = text[:at] + gate.replace("WHEN", when) + "\n" + " " * (at - text.rindex("\n", 0, at) - 1) + text[at:]
        found = load(held.encode(), name="other.yaml", kinds=kinds(), now=NOW).problems
        assert [each.code for each in found if each.severity == "error"] == said
        assert all(each.fix.endswith("then: meshup lint -f other.yaml") for each in found)
