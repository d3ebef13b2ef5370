"""What a gate is: something that reads, and something that judges what was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Protocol

from meshup.cluster.ports import Reader
from meshup.meshes.driver import Driver
from meshup.model.clock import Clock
from meshup.model.journal import Approved
from meshup.model.runbook import Runbook, Service
from meshup.model.verdict import Patience, Reading, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Eyes:
    """What a gate may look through while it observes.

    services: what this gate is about, in order. place: "STAGE[/WAVE]". approvals: those recorded for this run.
    revision: what the services should run now ("" = out of the mesh, in an undo). first: the reading taken before the
    wave's changes began, None when there was none; deltas start there. since: when the gates began to be asked, None in
    that first look; what was sampled earlier says nothing of the changes. moved: the wave has changes; without any there is
    no before, and what was sampled ahead of the first look is evidence too. memory: what a gate keeps from look to look while
    it is waited for; what it judges by stands in its readings alone.
    """

    cluster: Reader
    driver: Driver
    clock: Clock
    book: Runbook
    services: tuple[Service, ...]
    place: str
    revision: str
    plan_digest: str = ""
    approvals: tuple[Approved, ...] = ()
    first: Reading | None = None
    since: datetime | None = None
    moved: bool = True
    memory: dict[str, Any] = field(default_factory=dict)


class Blind(Exception):
    """A gate could not read: the reason becomes `Reading.blind`, and the verdict unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a gate judges by. params: as the plan holds them (checked at load)."""

    params: Mapping[str, Any] = field(default_factory=dict)
    patience: Patience = Patience()


class Gate(Protocol):
    """A health condition.

    kind: its name in runbooks. title: a sentence that is true on pass. reads: what it looks at, for `explain`.
    params: name -> (type, default, one-line meaning); a default of ... means required. needs: driver capabilities. One that has
    `halfway` is asked while rollouts are held half-way, where the wave holds them. One that has `handed_on(older, newer, terms)`
    gives the newer of two neighbouring readings with what only the older one holds, where that is left out to save room.
    """

    kind: ClassVar[str]
    title: ClassVar[str]
    reads: ClassVar[str]
    params: ClassVar[Mapping[str, tuple[type, Any, str]]]
    needs: ClassVar[frozenset[str]]
    patience: ClassVar[Patience]

    def observe(self, eyes: Eyes, terms: Terms) -> Mapping[str, Any]:
        """Read the cluster once and give JSON values. Raises Blind with the reason when it can't."""
        ...

    def judge(self, readings: Sequence[Reading], terms: Terms) -> Verdict:
        """Decide from the readings alone, oldest first. Never raises; thin evidence is UNKNOWN."""
        ...
