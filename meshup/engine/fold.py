"""A journal folded to where its run stands; status and resume read nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from meshup.model.journal import (
    Approved,
    Done,
    Entry,
    Failed,
    Finished,
    Intent,
    Judgement,
    Looked,
    Reached,
    Started,
    Stopped,
    TakenOver,
)
from meshup.model.verdict import Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """Where a run stands.

    places: place -> done, undone, undoing, held, in the order they were reached last. done: change id -> Done of the
    current attempt; an undone place starts anew. open: intents without an end. inverses: those of every change that
    took effect, latest last, wherever its place stands. looked: (place, gate) -> first reading.
    """

    run: str
    plan: str
    plan_kind: str = ""
    user: str = ""
    epoch: int = 0
    cluster_uid: str = ""
    started_at: str = ""
    through: str = ""
    places: Mapping[str, str] = field(default_factory=dict)
    done: Mapping[str, Done] = field(default_factory=dict)
    made: Mapping[str, str] = field(default_factory=dict)
    open: tuple[Intent, ...] = ()
    intents: tuple[Intent, ...] = ()
    judgements: tuple[Judgement, ...] = ()
    looked: Mapping[tuple[str, str], Reading] = field(default_factory=dict)
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


def fold(entries: Sequence[Entry]) -> RunState:
    """Fold entries in order. Raises ValueError for a journal that does not begin with Started."""
    if not entries or not isinstance(entries[0], Started):
        raise ValueError("a journal begins with its start")
    first = entries[0]
    places: dict[str, str] = {}
    done: dict[str, Done] = {}
    made: dict[str, str] = {}
    open_: dict[str, Intent] = {}
    intents: list[Intent] = []
    judgements: list[Judgement] = []
    looked: dict[tuple[str, str], Reading] = {}
    approvals: list[Approved] = []
    stopped: Stopped | None = None
    finished: Finished | None = None
    user, epoch, through = first.user, first.epoch, first.through
    for entry in entries:
        match entry:
            case Started():
                pass
            case TakenOver():
                user, epoch, through = entry.user, entry.epoch, entry.through
                stopped = finished = None
            case Intent():
                open_[entry.change] = entry
                intents.append(entry)
            case Done():
                open_.pop(entry.change, None)
                done[entry.change] = entry
                if entry.uid and not entry.change.startswith("undo:"):
                    made[entry.change] = entry.uid
            case Failed():
                open_.pop(entry.change, None)
            case Looked():
                looked.setdefault((entry.place, entry.gate), entry.reading)
            case Judgement():
                judgements.append(entry)
            case Reached():
                if entry.how != "disarmed":
                    places.pop(entry.place, None)
                    places[entry.place] = entry.how
                if entry.how in ("undone", "disarmed"):
                    done = {key: value for key, value in done.items() if place_of(key) != entry.place}
                    looked = {key: value for key, value in looked.items() if key[0] != entry.place}
            case Approved():
                approvals.append(entry)
            case Stopped():
                stopped = entry
            case Finished():
                finished, stopped = entry, None
    return RunState(
        run=first.run,
        plan=first.plan,
        plan_kind=first.plan_kind,
        user=user,
        epoch=epoch,
        cluster_uid=first.cluster_uid,
        started_at=first.at,
        through=through,
        places=places,
        done=done,
        made=made,
        open=tuple(open_.values()),
        intents=tuple(intents),
        judgements=tuple(judgements),
        looked=looked,
        approvals=tuple(approvals),
        stopped=stopped,
        finished=finished,
    )
