"""The entry point: finds the command, imports it alone, and turns every ending into one exit code."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence

from meshup.cli.commands import COMMANDS
from meshup.cli.helptext import help_page, version, welcome

VALUE_FLAGS = frozenset({"--context", "--kubeconfig", "-n", "--namespace", "--as", "--as-group", "-f", "--filename"})
VALUE_FLAGS |= {"-o", "--output", "--report", "--timeout", "--color"}


def prog_name(invoked: str) -> str:
    """Give the name that help and hints use: `kubectl meshup` when called as a kubectl plugin."""
    return "kubectl meshup" if os.path.basename(invoked).startswith("kubectl") else "meshup"


def split(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """Give the command's name and its arguments; flags that stand before the name go behind it. "" = no command."""
    leading: list[str] = []
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        flag = rest.pop(0)
        leading.append(flag)
        if flag in VALUE_FLAGS and rest:
            leading.append(rest.pop(0))
    if not rest:
        return "", leading
    return rest[0], [*rest[1:], *leading]


def quick(prog: str, arguments: Sequence[str]) -> str | None:
    """Give the text of a call that needs no framework, None when a command must be run."""
    if not arguments:
        return welcome(prog)
    if arguments[0] in ("--help", "-h", "help") and len(arguments) == 1:
        return help_page(prog)
    if arguments[0] in ("--version", "version") and len(arguments) == 1:
        return version()
    return None


def run() -> None:
    """Run the command line and exit with its code. The only function that ends the process."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for the life of the process
    if sys.stdout is None:
        sys.stderr.write("error[MU1006] stdout is closed, so an answer would be lost\n")
        sys.stderr.write("cluster   not contacted                                          exit 2\n")
        sys.stderr.write("fix       leave stdout open, or send it to /dev/null\n")
        sys.exit(2)
    # Lists of a cluster's objects are big and have no cycles: looking for some after every 700 objects doubles the time,
    # and a plan of 1,000 objects reads 200,000 parts of them.
    gc.set_threshold(1_000_000, 50, 100)
    code = main(sys.argv[1:], prog=prog_name(sys.argv[0]))
    try:
        sys.stdout.flush()
    except OSError:
        from meshup.cli.boundary import stdout_gone

        code = stdout_gone(code)
    try:
        sys.stderr.flush()
    except OSError:
        # What could not be told is dropped; kept, it would end the process with 120 instead of the command's code.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    # Background beats are daemons, and everything that had to be stored is stored; taking a large cluster's objects
    # apart one by one would only make the caller wait.
    os._exit(code)


def main(arguments: Sequence[str], *, prog: str = "meshup") -> int:
    """Run one command and give its exit code (DESIGN section 8). Never raises."""
    text = quick(prog, arguments)
    if text is not None:
        return _say(text)
    from meshup.cli.boundary import bounded

    name, rest = split(arguments)
    return bounded(lambda: _dispatch(name, rest, prog), arguments)


def _say(text: str) -> int:
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except OSError:
        from meshup.cli.boundary import stdout_gone

        return stdout_gone(0)
    return 0


def _dispatch(name: str, rest: list[str], prog: str) -> int:
    from meshup.cli.boundary import no_such_command

    if name not in COMMANDS:
        no_such_command(name, rest, prog)
    import importlib

    import typer

    module = importlib.import_module(f"meshup.cli.{COMMANDS[name].module}")
    if hasattr(module, "app"):
        app: typer.Typer = module.app
    else:
        app = typer.Typer(
            add_completion=False, rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]}
        )
        app.command(help=module.command.__doc__)(module.command)
    command = typer.main.get_command(app)
    # Not command.main(): it would end the process with 1, silently, when what reads stdout goes away.
    with command.make_context(f"{prog} {name}", rest) as context:
        result = command.invoke(context)
    return result if isinstance(result, int) else 0
