"""What a runbook may name: kinds of steps, gates, checks and drivers, handed in by the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Table: TypeAlias = Mapping[str, tuple[Any, Any, str]]
"""Parameter name -> (type, default, one-line meaning); a default of ... means required."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kinds:
    """steps, gates: kind -> its parameters. gate_patience: kind -> the gate's own patience."""

    steps: Mapping[str, Table] = field(default_factory=dict)
    gates: Mapping[str, Table] = field(default_factory=dict)
    drivers: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    gate_patience: Mapping[str, Any] = field(default_factory=dict)
