"""A journal folded to where its run stands; status and resume read nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from meshup.model.journal import (
    Approved,
    Captured,
    Done,
    Entry,
    Failed,
    Finished,
    Intent,
    Judgement,
    Looked,
    Reached,
    Skipped,
    Started,
    Stopped,
    TakenOver,
)
from meshup.model.plan import PlannedGate
from meshup.model.scene import Witness
from meshup.model.verdict import Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """Where a run stands.

    places: place -> done, undone, undoing, held, in the order they were reached last. because: place -> why
    it got there. done: change id -> Done of the
    current attempt; an undone place starts anew. open: intents without an end. inverses: those of every change that
    took effect, latest last, wherever its place stands. looked: (place, gate) -> first reading. left: (place, service) ->
    why the run let go of it there. captured: place -> what its failing objects showed the last time. gates: as in Started.
    """

    run: str
    plan: str
    plan_kind: str = ""
    user: str = ""
    epoch: int = 0
    cluster_uid: str = ""
    started_at: str = ""
    through: str = ""
    gates: tuple[PlannedGate, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict)
    because: Mapping[str, str] = field(default_factory=dict)
    done: Mapping[str, Done] = field(default_factory=dict)
    made: Mapping[str, str] = field(default_factory=dict)
    open: tuple[Intent, ...] = ()
    judgements: Sequence[Judgement] = ()
    looked: Mapping[tuple[str, str], Reading] = field(default_factory=dict)
    left: Mapping[tuple[str, str], Skipped] = field(default_factory=dict)
    captured: Mapping[str, tuple[Witness, ...]] = field(default_factory=dict)
    approvals: tuple[Approved, ...] = ()
    stopped: Stopped | None = None
    finished: Finished | None = None

    @property
    def word(self) -> str:
        """The state in one word: finished, stopped, or running."""
        if self.finished is not None:
            return "finished"
        return "stopped" if self.stopped is not None else "running"


def place_of(change: str) -> str:
    """Give the place of a change's id: all but its last part, without the mark of a way back."""
    return change.removeprefix("undo:").rpartition("/")[0]


class Folding:
    """A fold that goes on: each entry is taken once, however long the journal is."""

    def __init__(self, first: Entry) -> None:
        if not isinstance(first, Started):
            raise ValueError("a journal begins with its start")
        self._first = first
        self._user, self._epoch, self._through = first.user, first.epoch, first.through
        self._places: dict[str, str] = {}
        self._because: dict[str, str] = {}
        self._done: dict[str, Done] = {}
        self._made: dict[str, str] = {}
        self._open: dict[str, Intent] = {}
        self._judgements: list[Judgement] = []
        self._looked: dict[tuple[str, str], Reading] = {}
        self._left: dict[tuple[str, str], Skipped] = {}
        self._captured: dict[str, tuple[Witness, ...]] = {}
        self._approvals: list[Approved] = []
        self._stopped: Stopped | None = None
        self._finished: Finished | None = None

    def add(self, entry: Entry) -> None:
        """Take the next entry."""
        match entry:
            case Started():
                pass
            case TakenOver():
                self._user, self._epoch, self._through = entry.user, entry.epoch, entry.through
                self._stopped = self._finished = None
            case Intent():
                self._open[entry.change] = entry
            case Done():
                self._open.pop(entry.change, None)
                self._done[entry.change] = entry
                if entry.uid and not entry.change.startswith("undo:"):
                    self._made[entry.change] = entry.uid
            case Failed():
                self._open.pop(entry.change, None)
            case Skipped():
                self._open.pop(entry.change, None)
                self._left[entry.place, entry.service] = entry
            case Looked():
                self._looked.setdefault((entry.place, entry.gate), entry.reading)
            case Judgement():
                self._judgements.append(entry)
            case Captured():
                self._captured[entry.place] = entry.witnesses
            case Reached():
                self._reach(entry)
            case Approved():
                self._approvals.append(entry)
            case Stopped():
                self._stopped = entry
            case Finished():
                self._finished, self._stopped = entry, None

    def _reach(self, entry: Reached) -> None:
        if entry.how != "disarmed":
            self._places.pop(entry.place, None)
            self._places[entry.place] = entry.how
            self._because[entry.place] = entry.why
        if entry.how in ("undone", "disarmed"):
            self._done = {key: value for key, value in self._done.items() if place_of(key) != entry.place}
            self._looked = {key: value for key, value in self._looked.items() if key[0] != entry.place}
            self._left = {key: value for key, value in self._left.items() if key[0] != entry.place}

    @property
    def state(self) -> RunState:
        """Give where the run stands now; what it holds goes on changing with the next entry."""
        first = self._first
        return RunState(
            run=first.run,
            plan=first.plan,
            plan_kind=first.plan_kind,
            user=self._user,
            epoch=self._epoch,
            cluster_uid=first.cluster_uid,
            started_at=first.at,
            through=self._through,
            gates=first.gates,
            places=self._places,
            because=self._because,
            done=self._done,
            made=self._made,
            open=tuple(self._open.values()),
            judgements=self._judgements,
            looked=self._looked,
            left=self._left,
            captured=self._captured,
            approvals=tuple(self._approvals),
            stopped=self._stopped,
            finished=self._finished,
        )


def fold(entries: Sequence[Entry]) -> RunState:
    """Fold entries in order. Raises ValueError for a journal that does not begin with Started."""
    if not entries:
        raise ValueError("a journal begins with its start")
    folding = Folding(entries[0])
    for entry in entries:
        folding.add(entry)
    return folding.state
