"""What no file of the project may say, and how its modules begin."""

from __future__ import annotations

import ast
import re
import tomllib

import pytest

from meshup import __version__
from tests.house.tree import ROOT, modules, texts

# Written in pieces, so that this file may be read by its own test.
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|HA" + r"CK|XX" + r"X)\b")
ELSEWHERE = re.compile(r"(?<![\w.~:*-])/(?:wo" + r"rk|ro" + r"ot|home/[a-z])(?:/|\b)")
VAGUE = {"util", "utils", "common", "misc", "base", "manager", "info", "handler", "data", "helpers"}
RECORDED = ("tests/cases/conformance/", "meshup/simulate/api/shapes/")


def test_nothing_is_left_for_later() -> None:
    found = [
        f"{path}:{number} {line.strip()[:80]}"
        for path, text in texts()
        if path not in ("pyproject.toml", "LICENSE") and not path.startswith(RECORDED)
        for number, line in enumerate(text.splitlines(), 1)
        if UNFINISHED.search(line)
    ]
    assert found == []


def test_no_path_of_one_machine_is_written_down() -> None:
    found = [
        f"{path}:{number} {line.strip()[:80]}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if ELSEWHERE.search(line)
    ]
    assert found == []


def test_no_module_has_a_vague_name() -> None:
    vague = [path for path, _ in modules() if VAGUE & set(path.removesuffix(".py").split("/"))]
    assert vague == []


def test_every_module_says_in_one_paragraph_what_it_is() -> None:
    silent = [path for path, tree in modules() if tree.body and not ast.get_docstring(tree)]
    assert silent == []


@pytest.mark.parametrize("most", [400])
def test_no_module_holds_two_ideas(most: int) -> None:
    """Past 350 lines, look for the second idea; tables and the licence of data aside, none passes 400."""
    long = {
        path: lines
        for path, lines in ((path, len((ROOT / path).read_text("utf-8").splitlines())) for path, _ in modules())
        if lines > most
    }
    assert long == {}


def test_the_changelogs_newest_version_is_the_packages() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    headings = re.findall(r"^## \[([^\]]+)\]", text, flags=re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert headings[1] == __version__


def test_every_ignored_rule_has_a_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    block = text[text.index("ignore = [") : text.index("]\n", text.index("ignore = ["))]
    lines = [each for each in block.splitlines()[1:] if each.strip()]
    assert [each for each in lines if "#" not in each] == []


def test_every_suppression_in_the_code_names_its_rule() -> None:
    bare = re.compile(r"#\s*noqa(?!:)|#\s*type:\s*ignore(?!\[)")
    found = [
        f"{path}:{number}"
        for path, text in texts()
        if path.endswith(".py") and path != "tests/house/test_text.py"
        for number, line in enumerate(text.splitlines(), 1)
        if bare.search(line)
    ]
    assert found == []


def test_the_package_needs_what_the_readers_python_has() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["requires-python"] == ">=3.11"
    assert project["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text("utf-8")
