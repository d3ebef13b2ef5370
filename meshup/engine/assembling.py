"""A plan made of stages that are at hand, as every way back is: sealed, with what its objects look like now as its basis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC
from typing import Any

from meshup.engine.plan import basis
from meshup.engine.planfile import sealed
from meshup.engine.session import Session
from meshup.model.plan import Plan, PlannedGate, PlannedStage
from meshup.model.problem import Problem
from meshup.model.runbook import Runbook
from meshup.model.snapshot import Snapshot


def gate_of(
    session: Session, kind: str, place: str, *, services: tuple[str, ...] = (), params: Mapping[str, Any] | None = None
) -> PlannedGate:
    """Plan a gate with its own usual parameters and patience. params: those of these that the gate knows are set."""
    gate = session.gates[kind]
    usual = {name: value for name, (_, value, _) in gate.params.items() if value is not ...}
    found = {**usual, **{name: value for name, value in (params or {}).items() if name in gate.params}}
    return PlannedGate(
        id=f"{place}/{kind}",
        kind=kind,
        title=gate.title,
        params=found,
        patience=gate.patience,
        services=services,
    )


def assembled(
    book: Runbook,
    snapshot: Snapshot,
    stages: Sequence[PlannedStage],
    *,
    kind: str,
    revision: str = "",
    release: str = "",
    pin: Mapping[str, Any] | None = None,
    blocked: Sequence[Problem] = (),
    notes: Sequence[str] = (),
    takes_back: str = "",
) -> Plan:
    """Make a sealed plan of stages that are at hand, with what its objects look like now as its basis."""
    made = Plan(
        id="",
        kind=kind,
        runbook=book.name,
        runbook_digest=book.digest,
        lock_digest=book.lock_digest,
        cluster_uid=snapshot.cluster_uid,
        context=snapshot.context,
        user=snapshot.identity.user,
        driver=book.mesh.driver,
        release=release,
        revision=revision,
        taken_at=snapshot.taken_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        stages=tuple(stages),
        basis=(),
        book=book,
        blocked=tuple(blocked),
        notes=tuple(notes),
        pin=pin,
        takes_back=takes_back,
    )
    return sealed(replace(made, basis=basis(tuple(made.changes()), snapshot)))
