"""What the README and `explain` say is what the program has: every flag, gate, step, check, exit code and error code."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from types import ModuleType

import pytest

from meshup.cli.kinds import checks, gates, steps
from meshup.cli.words import EXITS, words
from meshup.model.problem import Exit
from tests.house.tree import ROOT, modules

CODE = re.compile(r"MU\d{4}")


def _maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("meshup_readme", ROOT / "e2e" / "readme.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    """The script that makes parts of the README."""
    return _maker()


@pytest.fixture(scope="module")
def readme() -> str:
    """The README's text."""
    return (ROOT / "README.md").read_text("utf-8")


def used() -> dict[str, str]:
    """Give each error code that the source raises or reports, with one place; the tables of explanations aside."""
    found: dict[str, str] = {}
    for path, tree in modules():
        if path.endswith("/codes.py"):
            continue
        told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
                for code in CODE.findall(node.value):
                    found.setdefault(code, f"{path}:{node.lineno}")
    return found


def explained() -> set[str]:
    """Give each error code that has an explanation."""
    return {name for name, word in words().items() if word.sort == "error code"}


def test_every_made_part_is_there_and_fresh(maker: ModuleType, readme: str) -> None:
    there = [part["name"] for part in maker.PART.finditer(readme)]
    assert sorted(there) == sorted(maker.MADE), "each part once"
    assert maker.remade(readme) == readme, "python e2e/readme.py writes it"


def test_the_help_in_the_readme_is_the_help(maker: ModuleType, readme: str) -> None:
    from meshup.cli.helptext import help_page

    assert help_page("meshup") in readme


def test_every_error_code_in_the_source_is_explained() -> None:
    assert {code: at for code, at in used().items() if code not in explained()} == {}


def test_every_explained_error_code_is_in_the_source() -> None:
    assert explained() - set(used()) == set()


def test_no_error_code_is_explained_twice() -> None:
    import importlib

    from meshup.cli.words import CODE_MODULES

    seen: dict[str, str] = {}
    for package in CODE_MODULES:
        for code in importlib.import_module(f"meshup.{package}.codes").CODES:
            assert code not in seen, f"{code} is explained in {seen[code]} and in {package}"
            seen[code] = package


def test_an_explanation_says_what_to_do() -> None:
    short = [name for name, word in words().items() if word.sort == "error code" and len(" ".join(word.lines)) < 60]
    assert short == []


def test_every_exit_code_is_explained(readme: str) -> None:
    assert set(EXITS) == set(Exit)
    assert {f"exit-{int(code)}" for code in Exit} <= set(words())
    assert [code for code in Exit if f"| {int(code)} |" not in readme] == []


@pytest.mark.parametrize("kind", ["gates", "steps", "checks"])
def test_every_kind_is_in_the_readme_and_explained(kind: str, readme: str) -> None:
    names = {"gates": gates, "steps": steps, "checks": checks}[kind]()
    assert names
    assert [name for name in names if f"`{name}`" not in readme] == []
    assert [name for name in names if name not in words()] == []


def test_every_flag_is_in_the_readme_with_its_meaning(maker: ModuleType, readme: str) -> None:
    flags = maker.flags()
    assert flags
    assert [name for name in flags if f"`{name}`" not in readme] == []
    assert [name for name, (meaning, _) in flags.items() if len(meaning) < 8] == []


def test_one_flag_has_one_meaning_everywhere(maker: ModuleType) -> None:
    meanings: dict[str, set[str]] = {}
    for _, param in maker.parameters():
        if param.param_type_name == "option" and param.name != "help":
            for name in param.opts:
                if name.startswith("--"):
                    meanings.setdefault(name, set()).add(", ".join(sorted(param.opts)))
    assert {name: forms for name, forms in meanings.items() if len(forms) > 1} == {}
