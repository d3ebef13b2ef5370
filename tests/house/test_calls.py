"""Who may sleep, print, end the process and read the wall clock: one place each."""

from __future__ import annotations

import ast

from tests.house.tree import modules

CLOCKS = {"meshup/cluster/clock.py", "meshup/simulate/clock.py"}
SLEEPER = "meshup/engine/wait.py"
SLOW_LINK = "meshup/simulate/http.py"
"""Holds back answers when a measurement asks for a slow link."""


def named(node: ast.expr) -> str:
    """Give the dotted text of a call's function."""
    return ast.unparse(node)


def calls() -> list[tuple[str, int, str]]:
    """Give (file, line, function's text) of every call in the package."""
    return [
        (path, node.lineno, named(node.func))
        for path, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    ]


def test_only_the_clocks_call_the_systems_sleep() -> None:
    found = [
        f"{path}:{line} {name}"
        for path, line, name in calls()
        if name in ("time.sleep", "sleep", "asyncio.sleep") and path not in CLOCKS | {SLOW_LINK}
    ]
    assert found == []


def test_only_the_waiter_sleeps() -> None:
    """Elsewhere a pause of engine/wait.py is asked to, which hears Ctrl-C and renews what must be renewed."""
    found = [
        f"{path}:{line} {name}"
        for path, line, name in calls()
        if name.endswith(".sleep")
        and path not in CLOCKS | {SLEEPER, SLOW_LINK}
        and not name.endswith(("pause.sleep", "_pause.sleep"))
    ]
    assert found == []


def test_only_the_command_line_writes_to_the_terminal() -> None:
    found = [
        f"{path}:{line} {name}"
        for path, line, name in calls()
        if (name in ("print", "input") or name.startswith(("sys.stdout", "sys.stderr", "sys.__std")))
        and not path.startswith("meshup/cli/")
    ]
    assert found == []


def test_only_the_command_line_ends_the_process() -> None:
    found = [
        f"{path}:{line} {name}"
        for path, line, name in calls()
        if name in ("sys.exit", "os._exit", "exit", "quit") and not path.startswith("meshup/cli/")
    ]
    assert found == []


def test_the_wall_clock_is_an_argument() -> None:
    """A clock is handed in. The one exception: how long a plugin's credential lives is real time, even beside a
    simulator, and its reader takes another clock as an argument."""
    direct = {"time.time", "datetime.now", "datetime.datetime.now", "datetime.utcnow", "dt.datetime.now"}
    found = [f"{path}:{line} {name}" for path, line, name in calls() if name in direct and path not in CLOCKS]
    assert [each for each in found if not each.startswith("meshup/cluster/credentials.py:")] == []
    assert len(found) <= 1


def test_chance_is_seeded_or_handed_in() -> None:
    found = [
        f"{path}:{line} {name}"
        for path, line, name in calls()
        if name.startswith("random.") and name not in ("random.Random", "random.SystemRandom")
    ]
    assert found == []
