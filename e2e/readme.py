"""The parts of README.md that are made from the program: `python e2e/readme.py` writes them, a test compares them."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"
PART = re.compile(r"(<!-- made: (?P<name>[a-z-]+) -->\n)(?P<body>.*?)(<!-- end -->)", re.DOTALL)


def flags() -> Mapping[str, tuple[str, tuple[str, ...]]]:
    """Give each flag (`--out`, `-o, --output`) with its meaning and the commands that take it."""
    found: dict[str, tuple[str, list[str]]] = {}
    for command, param in parameters():
        if param.param_type_name != "option" or param.name == "help":
            continue
        names = ", ".join(sorted((*param.opts, *param.secondary_opts), key=len))
        found.setdefault(names, (param.help or "", []))[1].append(command)
    return {name: (meaning, tuple(commands)) for name, (meaning, commands) in sorted(found.items())}


def parameters() -> Iterator[tuple[str, object]]:
    """Give (command, parameter) for every command and subcommand that people see."""
    import typer

    from meshup.cli.commands import COMMANDS

    for name, command in COMMANDS.items():
        if command.hidden:
            continue
        module = importlib.import_module(f"meshup.cli.{command.module}")
        app = getattr(module, "app", None)
        if app is None:
            app = typer.Typer(add_completion=False)
            app.command()(module.command)
        yield from _below(name, typer.main.get_command(app))


def _below(name: str, command: object) -> Iterator[tuple[str, object]]:
    for sub, each in getattr(command, "commands", {}).items():
        yield from _below(f"{name} {sub}", each)
    if not getattr(command, "commands", {}) or getattr(command, "invoke_without_command", False):
        for param in command.params:
            yield name, param


def cell(text: str) -> str:
    """Give text for a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Give a Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(each) + " |" for each in rows]) + "\n"


def _help() -> str:
    from meshup.cli.helptext import help_page

    return f"```\n{help_page('meshup')}\n```\n"


def _flags() -> str:
    rows = []
    every = len({command for command, _ in parameters()})
    for name, (meaning, commands) in flags().items():
        where = "nearly all" if len(commands) > every // 2 else ", ".join(commands)
        rows.append((f"`{name}`", cell(meaning), where))
    return table(("flag", "meaning", "commands"), rows)


def _gates() -> str:
    from meshup.cli.kinds import gates

    rows = [(f"`{name}`", cell(gate.title), cell(str(gate.reads))) for name, gate in gates().items()]
    return table(("gate", "holds when", "reads"), rows)


def _steps() -> str:
    from meshup.cli.kinds import steps

    return table(("step", "does"), [(f"`{name}`", cell(step.title)) for name, step in steps().items()])


def _checks() -> str:
    from meshup.cli.kinds import checks

    return table(("check", "holds when"), [(f"`{name}`", cell(title)) for name, (title, _) in checks().items()])


def _exits() -> str:
    from meshup.cli.words import EXITS

    return table(("code", "meaning"), [(str(int(code)), cell(text)) for code, text in EXITS.items()])


def _errors() -> str:
    from meshup.cli.words import words

    rows = [
        (f"`{word.name}`", cell(word.lines[0]).split(". ")[0].rstrip(".") + ".")
        for word in sorted(words().values(), key=lambda each: each.name)
        if word.sort == "error code"
    ]
    return table(("code", "what happened (`meshup explain CODE` says what to do)"), rows)


def _pipeline(system: str) -> str:
    """Give the pipeline of the shipped runbook with one of its stages; the others read alike."""
    from dataclasses import replace

    from meshup.cli.kinds import kinds
    from meshup.model.shipped import shipped
    from meshup.runbook.load import load
    from meshup.views.pipeline import pipeline

    book = load((shipped("runbooks") / "onboard-istio.yaml").read_bytes(), name="meshup.yaml", kinds=kinds()).runbook
    assert book is not None
    some = replace(book, stages=tuple(each for each in book.stages if each.name == "ingress"))
    return f"```yaml\n{pipeline(some, system=system, lock='meshup.lock')}```\n"


MADE: Mapping[str, Callable[[], str]] = {
    "help": _help,
    "github-actions": lambda: _pipeline("github"),
    "gitlab-ci": lambda: _pipeline("gitlab"),
    "flags": _flags,
    "gates": _gates,
    "steps": _steps,
    "checks": _checks,
    "exit-codes": _exits,
    "error-codes": _errors,
}


def remade(text: str) -> str:
    """Give the README with each made part as the program says it now. Raises KeyError for a part nobody makes."""
    return PART.sub(lambda part: part[1] + MADE[part["name"]]() + part[4], text)


if __name__ == "__main__":
    before = README.read_text("utf-8")
    after = remade(before)
    README.write_text(after, "utf-8")
    sys.stdout.write("README.md is as it was\n" if before == after else "README.md is written\n")
