"""Where things stand, as values for every view: a run, the services, the pins, and what a rehearsal showed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from meshup.model.events import Outcome
from meshup.model.holds import HoldAt
from meshup.model.journal import Judgement
from meshup.model.ledger import Pin, Running
from meshup.model.plan import Plan
from meshup.model.scene import Failing, Witness
from meshup.model.trial import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceStanding:
    """One planned wave or stage. how: done, undone, undoing, held, running, cut off, or "" = not begun. done, changes: counts."""

    place: str
    how: str
    changes: int
    done: int
    services: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    verdict: str = ""
    because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStanding:
    """The newest run. word: running, stopped, finished, or cut off: its process was killed. open: intents without an end, "CHANGE  OBJECT".

    through: the last place it was asked to perform, "" = all. failing, likely, witnesses: of the place it stopped at, as in
    Outcome.
    """

    run: str
    plan: str
    kind: str
    word: str
    user: str
    started_at: str
    places: tuple[PlaceStanding, ...]
    open: tuple[str, ...] = ()
    exit: int = 0
    why: str = ""
    next: str = ""
    judgements: tuple[Judgement, ...] = ()
    failing: tuple[Failing, ...] = ()
    likely: str = ""
    witnesses: tuple[Witness, ...] = ()
    through: str = ""

    @property
    def left(self) -> tuple[str, ...]:
        """The places that are not done, in order."""
        return tuple(each.place for each in self.places if each.how != "done")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStanding:
    """One service. wanted: release the runbook says. opted_in: "who, when", "" = not. pinned: "RELEASE until DATE".

    word: what its owner said beyond the runbook: that it stays out, or not to move before a day; "" = nothing.
    """

    running: Running
    wave: str
    wanted: str
    opted_in: str = ""
    word: str = ""
    pinned: str = ""
    overdue: bool = False

    @property
    def is_right(self) -> bool:
        """Tell whether every pod runs what is wanted."""
        return bool(self.running.releases) and all(release == self.wanted for release, _ in self.running.releases)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """All that `status` shows. release: the runbook's. holder: who has the lock, "" = nobody. revisions: (revision, release) installed.

    holds: the runbook's, None = there is none. by: the newest run's runbook, where wishes are told by it and not by the file at hand.
    """

    at: datetime
    cluster_uid: str
    context: str
    server: str
    user: str
    run: RunStanding | None
    services: tuple[ServiceStanding, ...]
    pins: tuple[Pin, ...]
    revisions: tuple[tuple[str, str], ...] = ()
    holder: str = ""
    next: str = ""
    release: str = ""
    holds: HoldAt | None = None
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What playing a runbook in memory showed. back: how the way back of the whole run ended, None = not tried.

    left: differences to the first state after the way back, one line each; empty = it works. virtual_s: seconds that
    passed in there. approved: places whose approval was given by the rehearsal itself. trial: how it fared against a bad
    release, None = there was none.
    """

    plan: Plan
    outcome: Outcome
    back: Outcome | None
    left: tuple[str, ...]
    virtual_s: float
    approved: tuple[str, ...] = ()
    requests: int = 0
    trial: Trial | None = None

    @property
    def exit(self) -> int:
        """The exit code that `apply` would give."""
        return self.outcome.exit

    @property
    def way_back_works(self) -> bool:
        """Tell whether the way back ended well and left nothing."""
        return self.back is not None and self.back.exit == 0 and not self.left
