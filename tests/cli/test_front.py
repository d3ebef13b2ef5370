"""Rules of the front: fast texts, flags before the command, one exit code per ending."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from meshup.cli.bundle import scrub
from meshup.cli.commands import COMMANDS
from meshup.cli.connect import Interrupt
from meshup.cli.main import main, prog_name, split
from meshup.cli.screen import wants_color

HEAVY = (
    "typer",
    "click",
    "rich",
    "kubernetes",
    "requests",
    "urllib3",
    "pydantic",
    "yaml",
    "numpy",
    "jinja2",
    "ssl",
    "asyncio",
)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], []])
def test_help_and_version_import_no_framework(arguments: list[str]) -> None:
    code = (
        f"import sys; sys.argv = ['meshup', *{arguments!r}]\nfrom meshup.cli.main import run\n"
        "try: run()\nexcept SystemExit: pass\n"
        f"sys.stderr.write(' '.join(sorted(set(sys.modules) & set({HEAVY!r}))))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, cwd=".")
    assert done.stderr == ""
    assert done.stdout


def test_flags_before_the_command_mean_the_same() -> None:
    assert split(["--context", "prod", "plan", "-o", "json"]) == ("plan", ["-o", "json", "--context", "prod"])
    assert split(["--plain"]) == ("", ["--plain"])


def test_the_name_on_the_screen_is_the_one_that_was_called() -> None:
    assert prog_name("/somewhere/bin/kubectl-meshup") == "kubectl meshup"
    assert prog_name("/somewhere/bin/meshup") == "meshup"


@pytest.mark.parametrize(
    "arguments", [["aply"], ["plan", "--no-such-flag"], ["explain", "MU0000"], ["completion", "tcsh"]]
)
def test_a_wrong_command_line_is_exit_2_with_a_next_command(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert "fix       meshup" in said.err
    assert "Traceback" not in said.err + said.out


def test_a_typo_gets_the_nearest_command(capsys: pytest.CaptureFixture[str]) -> None:
    main(["aply"])
    assert 'did you mean "apply"?' in capsys.readouterr().err


def test_every_command_of_the_list_has_a_help_page_that_begins_with_an_example(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, command in COMMANDS.items():
        if command.hidden:
            continue
        assert main([name, "--help"]) == 0, name
        assert "Example:" in capsys.readouterr().out, name


@pytest.mark.parametrize(
    ("choice", "environ", "terminal", "colored"),
    [
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": "", "FORCE_COLOR": "1"}, False, True),
        ("auto", {"CLICOLOR_FORCE": "1", "TERM": "dumb"}, False, True),
        ("auto", {"TERM": "dumb"}, True, False),
        ("auto", {"TERM": "xterm"}, True, True),
        ("auto", {}, False, False),
    ],
)
def test_colour_follows_flag_then_no_color_then_force_then_terminal(
    choice: str, environ: dict[str, str], terminal: bool, colored: bool
) -> None:
    assert wants_color(choice, environ, terminal=terminal) is colored


def test_a_report_file_carries_no_secret() -> None:
    text = scrub(
        "token: abc123\nAuthorization: Bearer xyz\npassword=hunter2 eyJhbGciOiJSUzI1NiIsImtpZCI6.eyJhIjoxfQ.c2ln"
    )
    for secret in ("abc123", "xyz", "hunter2", "eyJhbGci"):
        assert secret not in text


def test_a_rollback_of_a_run_without_its_id_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rollback", "--run", "--yes"]) == 2
    assert "--run wants the id of a run, or newest" in capsys.readouterr().err


def test_who_listens_for_signals_keeps_nobody_who_listened_before() -> None:
    both = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(each) for each in both]
    try:
        # Each that kept the two handlers before it would double the text of the next one: no end at the hundredth.
        for _ in range(100):
            last = Interrupt().listen()
        assert len(repr(last)) < 100
    finally:
        for each, handler in zip(both, before, strict=True):
            signal.signal(each, handler)
