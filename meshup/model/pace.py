"""How many connections the restart of a service makes its callers open anew, and where that number is from."""

from __future__ import annotations

from dataclasses import dataclass

ASSUMED = 10.0
"""Connections a pod where nothing measures them: a handful of callers with a small pool each (ours to tune)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconnects:
    """per_pod: connections that end with one of its pods, and are opened anew. pods: when it was counted.

    source: what counted them, for people; "" = nobody did, and per_pod is ASSUMED.
    """

    service: str
    per_pod: float = ASSUMED
    pods: int = 0
    source: str = ""

    @property
    def measured(self) -> bool:
        """Tell whether somebody counted."""
        return bool(self.source)
