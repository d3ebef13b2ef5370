"""The kinds of steps, gates, checks and drivers: built in, and added by plugins, which never replace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from meshup.model.problem import UsageError

if TYPE_CHECKING:
    from meshup.gates.gate import Gate
    from meshup.meshes.driver import Driver
    from meshup.runbook.kinds import Kinds
    from meshup.steps.step import Step


def _joined(group: str, built_in: Iterable[Any], key: str) -> dict[str, Any]:
    from importlib.metadata import entry_points

    found = {getattr(each, key): each for each in built_in}
    for point in entry_points(group=group):
        if point.value.startswith("meshup."):
            continue
        if point.name in found:
            raise UsageError(
                f'the plugin {point.value} would replace the built-in "{point.name}"',
                code="MU1010",
                fix=f"uninstall the package that brings {point.value}, or ask its authors for another name",
                cluster="not contacted",
            )
        found[point.name] = point.load()
    return found


@cache
def gates() -> Mapping[str, Gate]:
    """Give every gate by its kind."""
    from meshup.gates import BUILT_IN

    return _joined("meshup.gates", BUILT_IN, "kind")


@cache
def steps() -> Mapping[str, Step]:
    """Give every step by its kind."""
    from meshup.steps import BUILT_IN

    return _joined("meshup.steps", BUILT_IN, "kind")


@cache
def drivers() -> Mapping[str, Driver]:
    """Give every driver by the name of its mesh."""
    from meshup.meshes import BUILT_IN

    return _joined("meshup.meshes", BUILT_IN, "name")


def checks() -> Mapping[str, tuple[str, str]]:
    """Give every preflight check: id -> (title that is true when it holds, fix)."""
    from meshup.gates.preflight import CHECKS

    return {check.id: (check.title, check.fix) for check in CHECKS}


def kinds() -> Kinds:
    """Give what a runbook may name, with parameters, for loading and for the schema."""
    from meshup.runbook.kinds import Kinds

    return Kinds(
        steps={name: step.params for name, step in steps().items()},
        gates={name: gate.params for name, gate in gates().items()},
        drivers=tuple(drivers()),
        checks=tuple(checks()),
        gate_patience={name: gate.patience for name, gate in gates().items()},
    )
