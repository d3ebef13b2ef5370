"""A runbook tried against a release that is bad in a known way: which gate caught it, and what it cost users."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Suffered:
    """What users had from pods of bad releases so far. failed, slowed: because of the release, not those that fail anyway."""

    requests: int = 0
    failed: int = 0
    slowed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How a runbook fared against a bad release.

    bad: (release, kind, its values as text), one per declaration. gate: kind of the gate that stopped the run, "" = a limit
    of the run itself did. place: where, "" = it was not caught. at: what users had suffered when it was. in_all: when the
    wave was back, or watched_s after the end of the run. because: what stopped it.
    """

    bad: tuple[tuple[str, str, str], ...]
    at: Suffered
    in_all: Suffered
    gate: str = ""
    place: str = ""
    because: str = ""
    watched_s: float = 0.0

    @property
    def is_caught(self) -> bool:
        """Tell whether something of the runbook stopped the release."""
        return bool(self.place)
