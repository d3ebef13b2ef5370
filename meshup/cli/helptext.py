"""The texts of `meshup`, `meshup --help` and `meshup --version`: plain strings, before any framework is imported."""

from __future__ import annotations

from meshup import __version__
from meshup.cli.commands import COMMANDS, FIRST_FIVE


def version() -> str:
    """Give the line of `--version`."""
    return f"meshup {__version__}"


def welcome(prog: str) -> str:
    """Give what `meshup` alone says: what it is, two examples, the five first commands."""
    lines = [
        f"{prog} puts a service mesh under services that other teams own: a runbook, a plan, gates, and a way back.",
        "",
        "Try it without a cluster:",
        f"  {prog} rehearse --scenario shop",
        "On the cluster of your kubeconfig (read-only):",
        f"  {prog} init && {prog} plan",
        "",
        "First commands:",
        *_listed(FIRST_FIVE),
        "",
        f"All commands: {prog} --help",
    ]
    return "\n".join(lines)


def help_page(prog: str) -> str:
    """Give the page of `--help`: an example first, then every command, flags that mean the same everywhere, codes."""
    lines = [
        f"Example:  {prog} plan --out release.plan.json && {prog} apply release.plan.json --through ingress",
        "",
        f"Usage:    {prog} COMMAND [ARGUMENT] [FLAGS]        {prog} COMMAND --help",
        "",
        "Commands:",
        *_listed(tuple(name for name, command in COMMANDS.items() if not command.hidden)),
        "",
        "Flags, the same everywhere:",
        "  -f, --filename FILE    the runbook (default meshup.yaml)",
        "  --context, --kubeconfig, -n/--namespace, --as, --as-group    as in kubectl",
        "  -o, --output FORMAT    what stdout carries: text, json, and events or md where it says so",
        "  --report FORMAT=FILE   the same result in further files; repeatable",
        "  -y, --yes              perform what plan shows; answers nothing else",
        "  --timeout TIME         how long the caller wants to wait, such as 30m",
        "  --color auto|always|never, --plain, -v    how much, and how, is shown",
        "",
        "Exit codes: 0 done  1 unexpected  2 usage  3 gate held  4 undone  5 waiting  6 refused  7 unreachable",
        f"            8 deadline  9 rollback failed  130 interrupted      {prog} explain exit-codes",
    ]
    return "\n".join(lines)


def _listed(names: tuple[str, ...]) -> list[str]:
    wide = max(map(len, COMMANDS))
    return [f"  {name:<{wide}}  {COMMANDS[name].does}" for name in names]
