"""What a step is: pure, from what was seen to what should be written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

from meshup.meshes.driver import Driver
from meshup.model.change import Change
from meshup.model.objects import Ref
from meshup.model.plan import Risk
from meshup.model.problem import Problem
from meshup.model.runbook import Runbook, Service, Stage
from meshup.model.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What one step of one stage (and wave) works on. services: opted-in members, frozen. params: checked."""

    book: Runbook
    stage: Stage
    wave: str
    services: tuple[Service, ...]
    snapshot: Snapshot
    driver: Driver
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One change before the server was asked about it.

    place: opening and closing changes surround the gates (arming and disarming a guard); rest is made once the gates hold
    that compare what is half-way. phase: groups the changes of
    one step into waves of their own ("workload", "namespace", "mesh"), "" = the stage's wave. after: name of the
    stage that must be done before the server can be asked, "" = now. one_way: name of the door, "" = way back. stays: no
    way back touches it, as what others keep in it would go too; nothing is destroyed by it, so nobody accepts it by name.
    beside: only made when something else of the wave changes (a probe of what was changed). settled: begins only once
    what the wave wrote before it has settled.
    """

    change: Change
    step: str
    summary: str
    service: str = ""
    risk: Risk = "low"
    place: Literal["opening", "main", "rest", "closing"] = "main"
    phase: str = ""
    after: str = ""
    one_way: str = ""
    stays: bool = False
    beside: bool = False
    settled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafted:
    """What a step gives. right: things already as they should be, one line each. guard: Lease to beat, by phase.

    together: its phases are legs of one way, and when one fails all of them go back.
    """

    drafts: tuple[Draft, ...] = ()
    problems: tuple[Problem, ...] = ()
    right: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    unjudged: tuple[tuple[str, str], ...] = ()
    guard: Mapping[str, Ref] = field(default_factory=dict)
    together: bool = False


class Step(Protocol):
    """A typed unit that yields changes. params: name -> (type, default, one-line meaning)."""

    kind: ClassVar[str]
    title: ClassVar[str]
    params: ClassVar[Mapping[str, tuple[type, Any, str]]]
    needs: ClassVar[frozenset[str]]

    def draft(self, scope: Scope) -> Drafted:
        """Give the changes that make it so. Pure; never raises for what the cluster is like: that is a Problem."""
        ...
