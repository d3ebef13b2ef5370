"""What becomes of exports of the ledger, as values for the views."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from meshup.model.ledger import Pin

STAY_S = 400 * 86400.0
MOST = 5000
"""How long pins that are over stay, and how many of them, unless the platform owner says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """An export that was written. path: "" = to stdout. new: records that it added. lines: of the whole file.

    kept: why its head could not be kept in the cluster, "" = it was.
    """

    path: str
    cluster: str
    head: str
    lines: int
    new: int
    at: str
    kept: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """An export whose every line holds. at: when it was sealed last. records: readings of records in it."""

    path: str
    cluster: str
    head: str
    lines: int
    records: int
    at: str
    known: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A pin that is over and may go. line: hash of the line that holds it as it is now."""

    pin: Pin
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Which pins go. going: oldest first. left: pins that would be due but stay, and why. over, open: how many there are.

    resting: pins that would be due, and the release whose verdict rests on each: they stay, or a hold would be lifted.
    stay_s, most: pins that are over stay that long, and no more than so many. window_s: how long a rollback counts.
    missing: the rights that whoever asks lacks to let them go.
    """

    path: str
    going: tuple[Due, ...]
    left: tuple[tuple[Pin, str], ...]
    resting: tuple[tuple[Pin, str], ...]
    over: int
    open: int
    stay_s: float
    most: int
    window_s: float
    at: datetime
    missing: tuple[str, ...] = ()
