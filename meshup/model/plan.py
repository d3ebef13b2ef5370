"""A plan: ordered changes and gates, computed from runbook and snapshot; what apply performs and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from meshup.model.change import Change
from meshup.model.objects import Ref
from meshup.model.pace import Reconnects
from meshup.model.problem import Problem
from meshup.model.runbook import Runbook
from meshup.model.verdict import Patience

Risk = Literal["none", "low", "medium", "high"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedChange:
    """One change in its place.

    id: "STAGE[/WAVE]/NUMBER", stable between runs of the planner on equal input. step: kind of the step it came from.
    service: id of the service it is for, "" = none. known: "server" (dry run), "after:STAGE" (the server can't say
    yet), "not checked" (no right to ask). inverse: derived at plan time, None with one_way "" means nothing to undo.
    one_way: name of the door, "" when there is a way back. fields: dotted paths it means to own, for drift.
    summary: one line for people. batch: changes of one service form a unit; they may overlap with other services.
    settled: it begins only once what was written before it has settled; on the way back, what follows it then.
    """

    id: str
    step: str
    change: Change
    inverse: Change | None
    known: str
    summary: str
    risk: Risk = "low"
    service: str = ""
    one_way: str = ""
    fields: tuple[str, ...] = ()
    line: int = 0
    settled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedGate:
    """One gate in its place. params: as in the runbook, checked. services: ids it judges. waived: reason or ""."""

    id: str
    kind: str
    title: str
    params: Mapping[str, Any]
    patience: Patience
    services: tuple[str, ...] = ()
    waived: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedWave:
    """The unit that is performed and undone together: opening, before, changes, halfway, rest, gates, closing, in that order.

    name: "" in a stage without waves; phases of one step (strict per workload, namespace, mesh) are waves too.
    opening: changes made first, such as arming the guard. before: gates that must hold before `changes` begin.
    halfway: gates that are asked while `changes` hold rollouts half-way. rest: lets those go on once they hold; what takes
    `changes` back takes these back too.
    gates: must hold after them. closing: changes made once they hold, and when the wave is undone (disarming).
    services: ids that move; membership is frozen here. waiting: ids left out because they are not opted in.
    guard: the Lease that is beaten while the wave is between opening and closing. settle: patience of each service's
    own rollout inside the wave.
    """

    name: str
    changes: tuple[PlannedChange, ...]
    gates: tuple[PlannedGate, ...]
    opening: tuple[PlannedChange, ...] = ()
    before: tuple[PlannedGate, ...] = ()
    closing: tuple[PlannedChange, ...] = ()
    services: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    guard: Ref | None = None
    halfway: tuple[PlannedGate, ...] = ()
    rest: tuple[PlannedChange, ...] = ()
    settle: Patience = Patience(limit_s=300.0, every_s=0.5, in_a_row=1)

    def writes(self) -> tuple[PlannedChange, ...]:
        """Give everything it writes, in order."""
        return (*self.opening, *self.changes, *self.rest, *self.closing)

    def asks(self) -> tuple[PlannedGate, ...]:
        """Give every gate it is asked, in order."""
        return (*self.before, *self.halfway, *self.gates)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStage:
    """One stage. on_fail: undo (the wave goes back) or hold. together: its waves are legs of one way: all go back."""

    name: str
    waves: tuple[PlannedWave, ...]
    on_fail: str = "undo"
    notes: tuple[str, ...] = ()
    together: bool = False

    def place(self, wave: PlannedWave) -> str:
        """Name the place of one of its waves: STAGE/WAVE, or STAGE where the wave has no name."""
        return f"{self.name}/{wave.name}" if wave.name else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What a planned field looked like. uid: "" = the object was absent. fields: dotted path -> value, None = absent.

    managers: dotted path -> field manager that held it.
    """

    on: Ref
    uid: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    managers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnHold:
    """Why a release may not spread now. names: one line per record against it. places: waves that would be refused."""

    release: str
    because: str
    names: tuple[str, ...] = ()
    places: tuple[str, ...] = ()


LeftOut = Literal["pinned", "opted out", "not yet"]
LEFT_OUT: Mapping[LeftOut, str] = {
    "pinned": "is left out",
    "opted out": "stays out",
    "not yet": "is left out for now",
}
"""How a note of a plan begins, after the service's id, that says why no wave moves it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A service that no wave moves. how: by what. why: in words."""

    service: str
    how: LeftOut
    why: str

    @property
    def note(self) -> str:
        """Say it as a note of the plan."""
        return f"{self.service} {LEFT_OUT[self.how]}: {self.why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The whole plan.

    id: first 8 hex digits of the digest over everything but id, digest and taken_at. book: the whole runbook, so that
    whoever resumes needs nothing but a kubeconfig. kind: apply, rollback-service,
    rollback-stage, rollback-run. basis: of every object it touches. blocked: findings that keep a stage from starting.
    unjudged: services without evidence, with the reason. permissions: "verb group/resource namespace" it needs.
    pin: body of the MeshPin that is written before the act, for rollback-service. takes_back: id of the run that a
    rollback-stage or rollback-run undoes. held: the release is on hold as the plan was made; apply judges it anew.
    reconnects: of the services that restart, where the runbook paces by new connections; empty = it does not. left:
    services that no wave moves; each has a note too.
    """

    id: str
    kind: str
    runbook: str
    runbook_digest: str
    lock_digest: str
    cluster_uid: str
    context: str
    user: str
    driver: str
    release: str
    revision: str
    taken_at: str
    stages: tuple[PlannedStage, ...]
    basis: tuple[Basis, ...]
    book: Runbook
    blocked: tuple[Problem, ...] = ()
    unjudged: tuple[tuple[str, str], ...] = ()
    permissions: tuple[str, ...] = ()
    one_way: tuple[str, ...] = ()
    accepted_one_way: tuple[str, ...] = ()
    cost: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    pin: Mapping[str, Any] | None = None
    takes_back: str = ""
    held: OnHold | None = None
    reconnects: tuple[Reconnects, ...] = ()
    left: tuple[Left, ...] = ()
    digest: str = ""

    def changes(self) -> Iterator[PlannedChange]:
        """Yield every change in order."""
        for stage in self.stages:
            for wave in stage.waves:
                yield from wave.writes()

    def asks(self) -> Iterator[PlannedGate]:
        """Yield every gate in order."""
        for stage in self.stages:
            for wave in stage.waves:
                yield from wave.asks()

    def left_out(self) -> Mapping[str, tuple[LeftOut, str]]:
        """Give service id -> by what no wave moves it, and that in words; of several the first of LEFT_OUT."""
        order = tuple(LEFT_OUT)
        found = sorted(self.left, key=lambda each: order.index(each.how), reverse=True)
        return {each.service: (each.how, each.why) for each in found}

    @property
    def again(self) -> str:
        """Give the command that goes on with its run."""
        if self.pin is None:
            return "meshup apply --resume"
        namespace, service = self.pin["metadata"]["namespace"], self.pin["spec"]["service"]
        return f"meshup rollback {namespace}/{service} --resume"

    @property
    def changed(self) -> bool:
        """Tell whether performing it would write anything to what the runbook is about."""
        return next(self.changes(), None) is not None
