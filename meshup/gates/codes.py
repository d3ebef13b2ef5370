"""Gates answer with verdicts, not with codes; the codes of a gate that does not hold belong to the engine."""

from __future__ import annotations

from collections.abc import Mapping

CODES: Mapping[str, str] = {}
