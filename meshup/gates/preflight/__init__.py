"""preflight: everything that is cheaper to know before the first write, all findings at once."""

from __future__ import annotations

from meshup.gates.preflight.checks import CHECKS
from meshup.gates.preflight.gate import Preflight

__all__ = ["CHECKS", "Preflight"]
