"""A rollout from the first install to the end of an upgrade, so that all of a runbook's gates can be wrong, and not the judge alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from meshup.engine import comparing
from meshup.engine.planning import driver_of, snapshot_for
from meshup.engine.rehearse import rehearse
from meshup.engine.session import Session
from meshup.engine.upgrade import derive
from meshup.model.events import Outcome
from meshup.model.runbook import GateSpec, Runbook, Stage
from meshup.model.verdict import Answer, Patience

NEW = "1.31.0"
SOAK_S, KEEP_S = 300.0, 600.0
CANARY = GateSpec(
    kind="canary",
    params={"metrics": ["errors", "connection-failures", "latency"], "age-gap": 86400.0},
    patience=Patience(limit_s=3600, every_s=30, in_a_row=1),
)
"""Without what takes longest to be sure of (restarts, memory); pods of the old release are hours older here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """How one rollout ended. word: through, stopped (a gate failed) or held (anything else). why: "" when it went through."""

    word: str
    why: str
    seconds: float


def play(around: Session, book: Runbook, *, ready: Callable[[], None] = lambda: None) -> Played:
    """Apply a runbook and then the upgrade that is derived from it, each wave of which a canary gate judges.

    The cluster must be one in memory. ready: called between the two.
    """
    began = around.clock.elapsed()
    outcome = rehearse(around, book, back=False).outcome
    if outcome.exit == 0:
        ready()
        driver = driver_of(around, book)
        seen = snapshot_for(around, driver)
        upgrade = derive(
            replace(book, cluster_uid=seen.cluster_uid), seen, driver, to=NEW, soak_s=SOAK_S, keep_s=KEEP_S
        )
        outcome = rehearse(around, judged(upgrade.book), back=False).outcome
    return Played(word=_word(outcome), why=outcome.why, seconds=around.clock.elapsed() - began)


def judged(book: Runbook) -> Runbook:
    """Give the same runbook with every wave that moves services held half-way and compared."""
    return replace(book, stages=tuple(_held(each) for each in book.stages))


def _held(stage: Stage) -> Stage:
    if not any(each.kind == "enrol" for each in stage.steps):
        return stage
    gates = (CANARY, *comparing.gates_of(stage.gates, hold=False))
    return replace(stage, steps=comparing.steps_of(stage, hold=True), gates=gates)


def _word(outcome: Outcome) -> str:
    if outcome.exit == 0:
        return "through"
    here = [each.judged.verdict.answer for each in outcome.judgements if each.place == outcome.stopped]
    return "stopped" if Answer.FAIL in here else "held"
