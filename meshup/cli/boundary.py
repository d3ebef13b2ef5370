"""The one place where endings meet: errors of ours, of the command line, of the system, and bugs."""

from __future__ import annotations

import contextlib
import difflib
import errno
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from meshup.cli.commands import COMMANDS
from meshup.model.problem import Exit, MeshupError, UsageError
from meshup.model.text import harmless

SIGPIPE_CODE = 0
WRITES = frozenset({"apply", "approve", "ledger", "opt-in", "opt-out", "releases", "rollback", "unpin"})


def bounded(action: Callable[[], int], arguments: Sequence[str]) -> int:
    """Run an action and give its exit code; whatever ends it is shown as one error. Never raises."""
    import typer

    try:
        return action()
    except MeshupError as stopped:
        return show(stopped, arguments)
    except typer.Exit as ended:
        return ended.exit_code
    except _complaint() as wrong:
        return show(_usage(wrong), arguments)
    except (KeyboardInterrupt, typer.Abort):
        _write_err("stopped   interrupted before anything was changed" + " " * 20 + "exit 130")
        return int(Exit.INTERRUPTED)
    except BrokenPipeError:
        return stdout_gone(SIGPIPE_CODE)
    except OSError as failed:
        return show(_system(failed, wrote=bool(WRITES.intersection(arguments))), arguments)
    except RecursionError as failed:
        return _bug(failed, arguments)
    except Exception as failed:  # noqa: BLE001 - the boundary: a bug becomes one line and a report file
        return _bug(failed, arguments)


def show(stopped: MeshupError, arguments: Sequence[str]) -> int:
    """Write an error where it belongs (stdout carries it only for -o json) and give its exit code."""
    from meshup.views.problem import error, error_document

    if _wants_json(arguments):
        import json

        from meshup.cli.screen import is_heard

        text = harmless(json.dumps(error_document(stopped), ensure_ascii=False), heard=is_heard(os.environ))
        try:
            sys.stdout.write(text + "\n")
        except OSError:
            _write_err(error(stopped))
    else:
        _write_err(error(stopped))
    plain_errors = "--detailed-exitcode" in arguments
    return int(Exit.UNEXPECTED) if plain_errors else int(stopped.exit)


def stdout_gone(code: int) -> int:
    """Close a stdout that nobody reads, without a second complaint at exit, and keep the code of the command.

    A full disk is an error of its own: the answer was lost, so 0 becomes 1.
    """
    kind = sys.exc_info()[1]
    with contextlib.suppress(OSError):
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())
    # A command that ended with an error of its own has told it; the flush at the end must not tell it again.
    if isinstance(kind, OSError) and kind.errno != errno.EPIPE and code == int(Exit.DONE):
        _write_err(
            f"error[MU1006] stdout could not be written: {kind.strerror}\n"
            "cluster   what was done before stands" + " " * 35 + "exit 1\n"
            "fix       free some room or redirect to another place"
        )
        return int(Exit.UNEXPECTED)
    return code


def no_such_command(name: str, rest: Sequence[str], prog: str) -> NoReturn:
    """Refuse a command that does not exist, with the nearest that does."""
    if not name:
        raise UsageError(
            f"no command was given beside {' '.join(rest)}",
            code="MU1001",
            fix=f"{prog} --help",
            cluster="not contacted",
        )
    near = difflib.get_close_matches(name, [each for each, command in COMMANDS.items() if not command.hidden], n=1)
    raise UsageError(
        f'there is no command "{printable(name)}"',
        code="MU1001",
        fix=f"{prog} {near[0]} --help" if near else f"{prog} --help",
        why=f'did you mean "{near[0]}"?' if near else "",
        cluster="not contacted",
    )


def printable(text: str) -> str:
    """Give text without control characters, for words that came from the command line."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)[:200]


def _complaint() -> type[Exception]:
    """Give the class of what the framework says of a command line; it lives in click or in typer's own copy of it."""
    import typer

    named = (each for each in typer.BadParameter.__mro__ if each.__name__ == "ClickException")
    return next(named, typer.BadParameter)


def _usage(wrong: Exception) -> UsageError:
    formatted = getattr(wrong, "format_message", None)
    message = formatted() if formatted is not None else str(wrong)
    context = getattr(wrong, "ctx", None)
    command = context.command_path if context is not None else "meshup"
    listed = getattr(getattr(context, "command", None), "list_commands", None)
    if listed is not None and type(wrong).__name__ == "NoArgsIsHelpError":
        message = f"{command} needs one of: {', '.join(listed(context))}"
    return UsageError(printable(message.rstrip(".")), code="MU1001", fix=f"{command} --help", cluster="not contacted")


def not_written(failed: OSError, code: int) -> int:
    """Say that a report of a run was lost; how the run ended was said before and keeps its code, only 0 becomes 1."""
    from meshup.views.problem import error

    _write_err(error(_system(failed, wrote=True)))
    return code or int(Exit.UNEXPECTED)


def _system(failed: OSError, *, wrote: bool) -> MeshupError:
    """Make the error of a file or stream that could not be used. wrote: the command may have changed the cluster."""
    where = f" {printable(str(failed.filename))}" if failed.filename else ""
    why = failed.strerror or str(failed)
    cluster = "what was done before stands; meshup status shows it" if wrote else ""
    if failed.errno in (errno.ENOSPC, errno.EDQUOT):
        return UsageError(
            f"the disk is full:{where or ' the answer'} could not be written",
            code="MU1006",
            why=why,
            fix="free some room, then run the same command again",
            cluster=cluster,
        )
    return UsageError(
        f"the file{where} could not be used: {why}",
        code="MU1005",
        fix="correct the path or its permissions",
        cluster=cluster,
    )


def _bug(failed: BaseException, arguments: Sequence[str]) -> int:
    from meshup.cli.bundle import write

    path = write(failed, arguments)
    _write_err(
        f"error[MU9001] unexpected {type(failed).__name__}: {printable(str(failed))}\n"
        f"why       this is a bug of meshup; what happened is in {path}\n"
        "cluster   what was journalled is safe; meshup status shows it" + " " * 16 + "exit 1\n"
        "fix       send that file with a report; meshup apply --resume goes on if a run was under way"
    )
    return int(Exit.UNEXPECTED)


def _wants_json(arguments: Sequence[str]) -> bool:
    for number, each in enumerate(arguments):
        if each in ("-o", "--output"):
            return arguments[number + 1 : number + 2] in (["json"], ["events"], ("json",), ("events",))
        if each in ("-ojson", "-oevents", "-o=json", "-o=events", "--output=json", "--output=events"):
            return True
    return False


def _write_err(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        from meshup.cli.screen import is_heard

        text = harmless(text, heard=is_heard(os.environ))
        encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
        sys.stderr.write(text.encode(encoding, "replace").decode(encoding, "replace") + "\n")
        sys.stderr.flush()
