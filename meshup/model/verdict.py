"""Verdicts, readings and patience: how a gate's evidence becomes a decision that can be made again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any


class Answer(IntEnum):
    """Ordered best to worst, so the worst answer of a stage is the maximum."""

    PASS = 0
    SKIPPED = 1
    UNKNOWN = 2
    FAIL = 3

    @property
    def word(self) -> str:
        """The word people and programs read: pass, skipped, unknown, fail."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long and how often a gate is asked, and how much it must see. Data: the plan shows it.

    limit_s: at the limit an answer that is not pass stops the run. every_s: between readings. in_a_row: passes needed.
    least: the least evidence (requests, connections, pods: the gate says of what); 0 = the gate's own floor.
    window_s: length of the window a rate is taken over, 0 = since the gate began.
    """

    limit_s: float = 600.0
    every_s: float = 10.0
    in_a_row: int = 3
    least: int = 0
    window_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One look of a gate at the cluster. data: JSON values only. blind: why nothing could be read, "" when it could."""

    at: datetime
    elapsed_s: float
    data: Mapping[str, Any] = field(default_factory=dict)
    blind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a gate says of its readings.

    because: one line with the values and the bound. object: the object to look at when it does not pass.
    names: who is meant (services, callers), for people. missing: how much evidence is missing, 0 when enough.
    hopeless: true when waiting longer cannot help (a wrong image, a refused quota): the wait ends at once.
    """

    answer: Answer
    because: str
    object: str = ""
    names: tuple[str, ...] = ()
    missing: int = 0
    hopeless: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A verdict with what it was made from; kept in the journal so that it can be made again.

    gate: id of the planned gate. readings: those that the last judgement used (trimmed to the window, and to what a journal
    keeps). passes: how often it had passed in a row by then. over: its limit was reached, which the verdict says.
    """

    gate: str
    kind: str
    verdict: Verdict
    readings: tuple[Reading, ...]
    waited_s: float
    passes: int = 0
    over: bool = False
