"""What every call of the engine needs: a cluster, a clock, the kinds that exist, who asks, and who is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from meshup.cluster.ports import Writer
from meshup.engine.hearing import Hearing
from meshup.gates.gate import Gate
from meshup.journal.holder import Holder
from meshup.journal.lease import Terms
from meshup.meshes.driver import Driver
from meshup.model.clock import Clock
from meshup.model.events import Event, Watcher
from meshup.model.ledger import OnBehalfTrust
from meshup.model.problem import Interrupted
from meshup.model.snapshot import Identity
from meshup.steps.step import Step


class Silence:
    """A watcher that nobody reads."""

    def tell(self, event: Event) -> None:
        """Take one event and forget it."""


def never() -> bool:
    """Nobody interrupts."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One call's surroundings.

    interrupted: becomes true after SIGINT or SIGTERM; asked between writes and while waiting. wait_s: how long the
    caller wants to wait in all, 0 = as long as the plan says. journal_folder: where --journal keeps a copy, None =
    nowhere. on_behalf_trust: how far on_behalf_of can be trusted; "" = nobody is named, or is merely declared. fenced:
    gives the cluster with a check before each mutation. hearing: what wakes a wait when something moves, None = waits look
    at intervals alone, as on virtual time, which nothing wakes.
    """

    cluster: Writer
    clock: Clock
    drivers: Mapping[str, Driver]
    steps: Mapping[str, Step]
    gates: Mapping[str, Gate]
    identity: Identity
    holder: Holder
    fenced: Callable[[Callable[[], None]], Writer]
    watcher: Watcher = field(default_factory=Silence)
    interrupted: Callable[[], bool] = never
    wait_s: float = 0.0
    journal_folder: Path | None = None
    on_behalf_of: str = ""
    on_behalf_trust: OnBehalfTrust = ""
    lock_terms: Terms = Terms()
    hearing: Hearing | None = None

    def check_interrupt(self, *, next_command: str) -> None:
        """Raise Interrupted when the user asked to stop; called only where stopping is safe."""
        if self.interrupted():
            raise Interrupted(
                "stopped as asked",
                code="MU2321",
                why="the write that was under way was finished and journalled",
                fix=next_command,
                cluster="everything that was done is in the journal; nothing else was sent",
            )
