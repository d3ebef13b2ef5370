"""Widening a release: which waves do, and what speaks against it now. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from meshup.engine.running import running
from meshup.gates.on_hold import NotOnHold
from meshup.journal.ledger import recorded
from meshup.journal.release import KIND
from meshup.journal.release import from_body as release_from_body
from meshup.meshes.driver import Driver
from meshup.model.against import in_words, with_block
from meshup.model.change import Delete
from meshup.model.held import Held
from meshup.model.holds import ReleaseVerdict, verdicts, went_back
from meshup.model.plan import OnHold, PlannedChange, PlannedStage
from meshup.model.release import Release, state_of
from meshup.model.runbook import GateSpec, Runbook, Stage
from meshup.model.snapshot import Snapshot

WIDENS = frozenset({"install-control-plane", "enrol"})
"""Steps that put a release, or a service on it, where it was not."""


def widens(changes: Iterable[PlannedChange]) -> bool:
    """Tell whether changes install a release or move services onto it; its record alone does not."""
    return any(
        each.step in WIDENS and not isinstance(each.change, Delete) and each.change.on.kind != KIND for each in changes
    )


def asked_before(stage: Stage, changes: Sequence[PlannedChange]) -> tuple[GateSpec, ...]:
    """Give the gates that are asked before a wave's changes: the stage's own, and first whether the release may spread."""
    if not widens(changes) or any(each.kind == NotOnHold.kind for each in stage.before):
        return stage.before
    return (GateSpec(kind=NotOnHold.kind, params={}, patience=NotOnHold.patience), *stage.before)


def on_hold(stages: Iterable[PlannedStage], book: Runbook, snapshot: Snapshot, driver: Driver) -> OnHold | None:
    """Say which waves would be refused now, and why; None when the release may spread or no wave widens it.

    Judged from the same records as the gate, which apply asks anew before each wave.
    """
    places = tuple(
        stage.place(wave)
        for stage in stages
        for wave in stage.waves
        if any(gate.kind == NotOnHold.kind and not gate.waived for gate in wave.before)
    )
    if not places:
        return None
    release = book.mesh.release
    judged, away = against(release, book, snapshot, driver)
    if judged is None or judged.answer != "hold":
        return None
    return OnHold(release=release, because=judged.because, names=tuple(map(in_words, away)), places=places)


def against(
    release: str, book: Runbook, snapshot: Snapshot, driver: Driver
) -> tuple[ReleaseVerdict | None, tuple[Held, ...]]:
    """Judge whether a release may spread, and give the records against it. None = nothing is known against it, or for it."""
    at, now = book.hold_at, snapshot.taken_at
    pins, _ = recorded(snapshot.pins)
    away, record = went_back(pins, now=now, at=at).get(release, ()), record_of(snapshot, release)
    found = None
    if away:
        runs, states = running(book.services, snapshot, driver), {release: state_of(record)}
        found = verdicts(pins, runs, now=now, at=at, states=states).get(release)
    return with_block(found, record, at=at), away


def record_of(snapshot: Snapshot, release: str) -> Release | None:
    """Give the record of a release; None when there is none that can be read."""
    for each in snapshot.of(KIND):
        try:
            found = release_from_body(each)
        except (ValueError, TypeError, AttributeError):
            continue
        if found.version == release:
            return found
    return None
