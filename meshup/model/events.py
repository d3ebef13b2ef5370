"""What happens during a run, as a closed set of values: the engine tells, views and streams show."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeAlias

from meshup.model.journal import Judgement, Reached
from meshup.model.scene import Failing, Witness


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """A run begins or goes on. how: started, resumed, taken-over."""

    at: datetime
    run: str
    plan: str
    how: str
    user: str
    epoch: int
    changes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceStarted:
    """A stage or wave begins. place: "STAGE[/WAVE]"."""

    at: datetime
    place: str
    changes: int
    services: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeStarted:
    """A change is about to be sent; its intent is stored."""

    at: datetime
    place: str
    change: str
    summary: str
    service: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeEnded:
    """A change took effect, was already so (wrote=False), or was refused (why not empty)."""

    at: datetime
    place: str
    change: str
    summary: str
    wrote: bool
    service: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """Something is waited for: object, reason, time so far, limit. gate: its id, "" for a rollout or the lock."""

    at: datetime
    place: str
    gate: str
    object: str
    because: str
    elapsed_s: float
    limit_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GateAnswered:
    """A gate came to its verdict."""

    at: datetime
    judgement: Judgement


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceEnded:
    """A wave or stage ended: done, undone, undoing, held."""

    at: datetime
    reached: Reached


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried:
    """A request is sent again. why: the first and last cause. wait_s: before it."""

    at: datetime
    request: str
    why: str
    tries: int
    wait_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """One line that a person should read: what was found right already, what is skipped and why, a record written."""

    at: datetime
    word: str
    text: str


Event: TypeAlias = (
    RunStarted | PlaceStarted | ChangeStarted | ChangeEnded | Waits | GateAnswered | PlaceEnded | Retried | Noted
)


class Watcher(Protocol):
    """Somebody who is told what happens, in order. Must not raise and must be quick."""

    def tell(self, event: Event) -> None:
        """Take one event."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReached:
    """How far one step came in one place. changes: planned ones; done: those in force; wrote: those that were sent.

    how: of the place: done, undone, undoing, held, or "" when the run stopped in it. Changes of a place that was taken
    back are not done.
    """

    place: str
    step: str
    changes: int
    done: int
    wrote: int
    how: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run (or rehearsal) ended; every format shows this one value.

    exit: code. stopped: place it stopped at, "" when it went through. why: the cause in one line. details: further
    lines, worst first. likely: a probable cause read from the cluster, marked as such, "" = none. next: commands to go
    on with, best first. kept: what happened to the cluster, one line. places: how each place ended, in order. steps: of the
    places that were reached. failing: the numbers that failed, the first harm first. witnesses: what the failing objects showed
    before they were taken back.
    """

    exit: int
    run: str
    plan: str
    kind: str
    stopped: str = ""
    why: str = ""
    code: str = ""
    details: tuple[str, ...] = ()
    likely: str = ""
    failing: tuple[Failing, ...] = ()
    witnesses: tuple[Witness, ...] = ()
    next: tuple[str, ...] = ()
    kept: str = ""
    places: tuple[tuple[str, str], ...] = ()
    judgements: tuple[Judgement, ...] = ()
    steps: tuple[StepReached, ...] = ()
    planned: int = 0
    written: int = 0
    already_right: int = 0
    requests: int = 0
    mutations: int = 0
    took_s: float = 0.0
    record: str = ""
    commands: tuple[str, ...] = field(default=())
