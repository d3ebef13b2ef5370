"""A run's own log: what is stored before and after each act, and what the watcher is told of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC

from meshup.engine.fold import Folding, RunState
from meshup.engine.session import Session
from meshup.journal.store import JournalStore
from meshup.model.events import ChangeEnded, ChangeStarted, GateAnswered, Noted, PlaceEnded
from meshup.model.journal import (
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
    Stopped,
)
from meshup.model.plan import PlannedChange
from meshup.model.scene import Witness
from meshup.model.text import amount
from meshup.model.verdict import Answer, Judged, Reading
from meshup.model.wire import dump


class RunLog:
    """Appends entries to the store and keeps the fold at hand. Dones wait for the next append, at most one group."""

    def __init__(self, session: Session, store: JournalStore, entries: Sequence[Entry], *, epoch: int) -> None:
        self.session, self.store, self.epoch = session, store, epoch
        self._waiting: list[Entry] = []
        self._folding: Folding | None = None
        for each in entries:
            self._take(each)

    @property
    def state(self) -> RunState:
        """The fold over everything, stored or waiting to be."""
        if self._folding is None:
            raise ValueError("a journal begins with its start")
        return self._folding.state

    def _take(self, entry: Entry) -> None:
        if self._folding is None:
            self._folding = Folding(entry)
        else:
            self._folding.add(entry)

    def _later(self, entry: Entry) -> None:
        """Keep an entry for the next append; the fold knows it at once."""
        self._waiting.append(entry)
        self._take(entry)

    def now(self) -> str:
        """Give the time of an entry."""
        return self.session.clock.now().astimezone(UTC).isoformat().replace("+00:00", "Z")

    def append(self, *entries: Entry) -> None:
        """Store entries, those that waited first. Returns when they are certainly stored."""
        batch = [*self._waiting, *entries]
        if not batch:
            return
        self.store.append(batch)
        self._waiting = []
        for each in entries:
            self._take(each)

    def intents(self, place: str, changes: Sequence[PlannedChange]) -> None:
        """Store the intents of a group, together with the ends of the group before."""
        self.append(*(self._intent(each) for each in changes))

    def started(self, place: str, changes: Sequence[PlannedChange]) -> None:
        """Tell that changes, whose intents are stored, are being sent now."""
        for each in changes:
            self.session.watcher.tell(
                ChangeStarted(
                    at=self.session.clock.now(), place=place, change=each.id, summary=each.summary, service=each.service
                )
            )

    def not_begun(self, changes: Sequence[PlannedChange]) -> None:
        """Note that changes, whose intents were stored ahead, were never sent."""
        for each in changes:
            if each.id not in self.state.done:
                why = "not begun: what came before it stopped the wave"
                self._later(Failed(at=self.now(), change=each.id, why=why))

    def _intent(self, planned: PlannedChange) -> Intent:
        change = planned.change
        inverse = planned.inverse
        return Intent(
            at=self.now(),
            change=planned.id,
            object=str(change.on),
            epoch=self.epoch,
            uid=getattr(change, "uid", ""),
            inverse=dump(inverse) if inverse is not None else None,
            service=planned.service,
        )

    def done(self, place: str, planned: PlannedChange, *, uid: str, resource_version: str, wrote: bool) -> None:
        """Note that a change is done; stored with the next group or by `flush`."""
        self._later(Done(at=self.now(), change=planned.id, uid=uid, resource_version=resource_version, wrote=wrote))
        self.session.watcher.tell(
            ChangeEnded(
                at=self.session.clock.now(),
                place=place,
                change=planned.id,
                summary=planned.summary,
                wrote=wrote,
                service=planned.service,
            )
        )

    def failed(self, place: str, planned: PlannedChange, why: str) -> None:
        """Store that a change was refused."""
        self.append(Failed(at=self.now(), change=planned.id, why=why))
        self.session.watcher.tell(
            ChangeEnded(
                at=self.session.clock.now(),
                place=place,
                change=planned.id,
                summary=planned.summary,
                wrote=False,
                service=planned.service,
                why=why,
            )
        )

    def skipped(
        self,
        place: str,
        changes: Sequence[PlannedChange],
        *,
        pin: str,
        why: str,
        service: str = "",
        record: str = "MeshPin",
    ) -> None:
        """Store at once that changes are left out, or let go of after they were made, because of an owner's record.

        service: whose they are, also where the place has no change of it; "" = they belong to no service.
        """
        ids = [each.id for each in changes] or [""]
        self.append(
            *(Skipped(at=self.now(), place=place, change=each, pin=pin, why=why, service=service) for each in ids)
        )
        what = service or ", ".join(dict.fromkeys(str(each.change.on) for each in changes))
        self.session.watcher.tell(
            Noted(at=self.session.clock.now(), word="skip", text=f"{place}: {what} left alone: {why} ({record} {pin})")
        )

    def flush(self) -> None:
        """Store what waits."""
        self.append()

    def looked(self, place: str, gate: str, reading: Reading) -> None:
        """Keep a first reading; stored with the next append."""
        self._later(Looked(at=self.now(), place=place, gate=gate, reading=reading))

    def judged(self, place: str, judged: Judged) -> Judgement:
        """Keep a gate's answer with its evidence: stored at once when it stops the wave, else with what comes next."""
        entry = Judgement(at=self.now(), place=place, judged=judged)
        self._later(entry)
        if judged.verdict.answer > Answer.SKIPPED:
            self.flush()
        self.session.watcher.tell(GateAnswered(at=self.session.clock.now(), judgement=entry))
        return entry

    def captured(self, place: str, witnesses: tuple[Witness, ...]) -> None:
        """Keep what failing objects showed; stored with the next append, which is that the way back began."""
        if witnesses:
            self._later(Captured(at=self.now(), place=place, witnesses=witnesses))
            text = f"{place}: kept what {amount(len(witnesses), 'object')} showed, before anything is taken back"
            self.session.watcher.tell(Noted(at=self.session.clock.now(), word="seen", text=text))

    def reached(self, place: str, how: str, why: str = "") -> None:
        """Store how a place ended."""
        entry = Reached(at=self.now(), place=place, how=how, why=why)
        self.append(entry)
        self.session.watcher.tell(PlaceEnded(at=self.session.clock.now(), reached=entry))

    def disarmed(self, place: str) -> None:
        """Store that a place's opening was taken away again before its changes began."""
        self.append(Reached(at=self.now(), place=place, how="disarmed"))

    def stopped(self, *, code: int, why: str, next_command: str, place: str) -> None:
        """Store that the run stops here."""
        self.append(Stopped(at=self.now(), exit=code, why=why, next=next_command, place=place))

    def finished(self, *, through: str) -> None:
        """Store that everything asked for is done."""
        self.append(Finished(at=self.now(), through=through))
