"""Entries of a run's journal: a closed set, appended before the act; status and resume are folds over them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from meshup.model.plan import PlannedGate
from meshup.model.scene import Witness
from meshup.model.verdict import Judged, Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The run begins. plan: its digest. epoch: of the lock at that time. kind: Plan.kind. at: RFC 3339 UTC (all).

    through: the last place it was asked to perform, "" = all; a resume goes no further unless it is asked to.
    gates: those it will ask, where its plan goes when it is over, so that their verdicts can be made again; else empty.
    """

    at: str
    run: str
    plan: str
    plan_kind: str
    user: str
    epoch: int
    cluster_uid: str
    host: str = ""
    on_behalf_of: str = ""
    through: str = ""
    gates: tuple[PlannedGate, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A change may have happened from here on. inverse: in wire form, None = none. uid: of the object, "" = absent."""

    at: str
    change: str
    object: str
    epoch: int
    uid: str = ""
    precondition: Mapping[str, Any] = field(default_factory=dict)
    inverse: Mapping[str, Any] | None = None
    service: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A change has happened. wrote: false when nothing had to be sent."""

    at: str
    change: str
    uid: str = ""
    resource_version: str = ""
    wrote: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A change was refused; nothing of it took effect."""

    at: str
    change: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A change was left out, or its service let go of, because of its owner's record. pin: NAMESPACE/NAME. why: in words."""

    at: str
    place: str
    change: str
    pin: str
    why: str
    service: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A gate's reading before the changes of its place; deltas start there, also after a resume."""

    at: str
    place: str
    gate: str
    reading: Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A gate answered. place: "STAGE[/WAVE]"."""

    at: str
    place: str
    judged: Judged


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """What the failing objects of a place showed, read before they were taken back. It decides nothing."""

    at: str
    place: str
    witnesses: tuple[Witness, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """A wave or stage ended: how is done, undone, undoing (its undo began), held, or disarmed (its guard was taken away)."""

    at: str
    place: str
    how: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """A person let a stage begin. plan: digest it is for. until: when the approval ends."""

    at: str
    place: str
    user: str
    plan: str
    until: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenOver:
    """Another process went on with the run. through: as in Started."""

    at: str
    epoch: int
    user: str
    host: str = ""
    through: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """The run stopped here. exit: the code. next: the command to go on."""

    at: str
    exit: int
    why: str
    next: str
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """Everything that was asked for is done. through: the --through it was asked for, "" = all."""

    at: str
    through: str = ""


Entry: TypeAlias = (
    Started
    | Intent
    | Done
    | Failed
    | Skipped
    | Looked
    | Judgement
    | Captured
    | Reached
    | Approved
    | TakenOver
    | Stopped
    | Finished
)
