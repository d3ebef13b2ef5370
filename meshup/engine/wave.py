"""One wave: opening, gates before, changes, gates after, closing; and its way back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from meshup.cluster.errors import ApiError, Away, Temporary, Unauthorized
from meshup.cluster.ports import Writer
from meshup.engine.log import RunLog
from meshup.engine.send import RUN
from meshup.engine.session import Session
from meshup.engine.wait import Pause, look, wait_for
from meshup.gates.gate import Eyes, Terms
from meshup.journal.approvals import approvals
from meshup.model.change import Delete
from meshup.model.events import PlaceStarted
from meshup.model.fields import steps
from meshup.model.journal import Judgement
from meshup.model.objects import Ref, annotated, dig
from meshup.model.plan import Plan, PlannedChange, PlannedGate, PlannedWave
from meshup.model.problem import RollbackFailed
from meshup.model.verdict import Answer, Judged, Verdict

GROUP = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Why a wave did not go on. judgement: the answer that stopped it. before: nothing of the wave's changes was made."""

    judgement: Judgement
    before: bool


class Trouble(Exception):
    """Changes of a wave could not be carried through: its judgement is stored already."""

    def __init__(self, judgement: Judgement) -> None:
        super().__init__(judgement.judged.verdict.because)
        self.judgement = judgement


class WaveRun:
    """Perform or undo one wave of a plan. place: "STAGE[/WAVE]"."""

    def __init__(
        self,
        session: Session,
        plan: Plan,
        wave: PlannedWave,
        place: str,
        log: RunLog,
        cluster: Writer,
        pause: Pause,
        *,
        guard_beat: Callable[[Ref | None], None],
    ) -> None:
        self._session, self._plan, self._wave, self._place, self._log = session, plan, wave, place, log
        self._cluster, self._pause, self._guard_beat = cluster, pause, guard_beat
        self._services = {each.id: each for each in plan.book.services}

    def perform(self) -> Held | None:
        """Carry the wave through; None when it is done, else what held it. The way back is the caller's decision."""
        count = len(self._wave.opening) + len(self._wave.changes) + len(self._wave.closing)
        self._session.watcher.tell(
            PlaceStarted(at=self._session.clock.now(), place=self._place, changes=count, services=self._wave.services)
        )
        try:
            self._write(self._wave.opening)
            self._guard_beat(self._wave.guard)
            held = self._gates(self._wave.before, before=True)
            if held is not None:
                return held
            self._first_looks()
            self._move()
        except Trouble as trouble:
            return Held(judgement=trouble.judgement, before=False)
        held = self._gates(self._wave.gates, before=False)
        if held is not None:
            return held
        self._write(self._wave.closing)
        self._guard_beat(None)
        self._log.reached(self._place, "done")
        return None

    def undo(self, why: str) -> None:
        """Take back what was done, verify it, and store that. Raises RollbackFailed (MU3391) when that fails."""
        self._log.reached(self._place, "undoing", why)
        self._guard_beat(self._wave.guard)
        back = self._to_take_back()
        try:
            self._window(self._units(back), back=True)
            self._write(self._closing_of_opened(), back=True)
            wrong = self._not_back(back)
        except Trouble as trouble:
            raise self._failed(str(trouble)) from trouble
        except (Temporary, Away, Unauthorized):
            raise
        except ApiError as refused:
            raise self._failed(f"{refused.what}: {refused.why}") from refused
        if wrong:
            raise self._failed(wrong)
        self._guard_beat(None)
        self._log.reached(self._place, "undone", why)

    def disarm(self) -> None:
        """Take the opening's objects away when the wave's changes never began."""
        self._write(self._closing_of_opened(), back=True)
        self._guard_beat(None)

    def _closing_of_opened(self) -> tuple[PlannedChange, ...]:
        opened = {each.change.on for each in self._wave.opening if each.id in self._log.state.done}
        return tuple(each for each in self._wave.closing if each.change.on in opened)

    def _to_take_back(self) -> list[PlannedChange]:
        """Give the way back of every change that took effect, or may have, latest first."""
        state = self._log.state
        touched = {*state.done, *(each.change for each in state.open)}
        return [
            self._back(each) for each in reversed(self._wave.changes) if each.id in touched and each.inverse is not None
        ]

    def _back(self, planned: PlannedChange) -> PlannedChange:
        inverse = planned.inverse
        if inverse is None:
            raise ValueError(planned.id)
        if isinstance(inverse, Delete):
            inverse = replace(inverse, uid=self._made(planned.change.on))
        text = f"back: {planned.summary}"
        return replace(planned, id=f"undo:{planned.id}", change=inverse, inverse=planned.change, summary=text)

    def _made(self, on: Ref) -> str:
        made = self._log.state.made
        for each in self._plan.changes():
            if each.change.on == on and each.id in made:
                return made[each.id]
        found = self._session.cluster.find(on)
        if found is not None and annotated(found).get(RUN) == self._log.state.run:
            return str(dig(found, "metadata", "uid") or "")
        return ""

    # -- gates -------------------------------------------------------------------------------------------------------

    def _eyes(self, gate: PlannedGate) -> Eyes:
        chosen = tuple(
            self._services[each] for each in (gate.services or self._wave.services) if each in self._services
        )
        return Eyes(
            cluster=self._session.cluster,
            driver=self._session.drivers[self._plan.driver],
            clock=self._session.clock,
            book=self._plan.book,
            services=chosen,
            place=self._place,
            revision=self._plan.revision,
            plan_digest=self._plan.digest,
            first=self._log.state.looked.get((self._place, gate.id)),
        )

    def _fresh(self, gate: PlannedGate) -> Callable[[Eyes], Eyes]:
        if gate.kind != "approval":
            return lambda eyes: eyes
        return lambda eyes: replace(eyes, approvals=approvals(self._session.cluster, self._plan.digest))

    def _first_looks(self) -> None:
        for gate in self._wave.gates:
            if gate.waived or (self._place, gate.id) in self._log.state.looked:
                continue
            terms = Terms(params=gate.params, patience=gate.patience)
            self._log.looked(self._place, gate.id, look(self._session.gates[gate.kind], self._eyes(gate), terms))

    def _gates(self, gates: Sequence[PlannedGate], *, before: bool) -> Held | None:
        for gate in gates:
            judged = wait_for(
                self._session,
                self._session.gates[gate.kind],
                gate,
                self._eyes(gate),
                self._pause,
                fresh=self._fresh(gate),
                began_before_s=self._waited_before(gate),
            )
            entry = self._log.judged(self._place, judged)
            if judged.verdict.answer > Answer.SKIPPED:
                return Held(judgement=entry, before=before)
        skipped = [each for each in self._log.state.judgements if each.place == self._place]
        if gates and skipped and all(each.judged.verdict.answer is Answer.SKIPPED for each in skipped[-len(gates) :]):
            verdict = Verdict(answer=Answer.UNKNOWN, because="every gate is waived: skips alone are no evidence")
            judged = Judged(gate=f"{self._place}/gates", kind="gates", verdict=verdict, readings=(), waited_s=0.0)
            return Held(judgement=self._log.judged(self._place, judged), before=before)
        return None

    def _waited_before(self, gate: PlannedGate) -> float:
        """Seconds since the recorded start of a soak, when an earlier process began it."""
        first = self._log.state.looked.get((self._place, gate.id))
        if gate.kind != "soak" or first is None:
            return 0.0
        return max(0.0, (self._session.clock.now() - first.at).total_seconds())

    # -- writing -----------------------------------------------------------------------------------------------------

    def _move(self) -> None:
        shared = [each for each in self._wave.changes if not each.service]
        own = [each for each in self._wave.changes if each.service]
        self._write(shared)
        self._window(self._units(own), back=False)

    def _write(self, changes: Sequence[PlannedChange], *, back: bool = False) -> None:
        """Send changes in order, in groups, and settle after each step's."""
        state = self._log.state
        commands = tuple(as_kubectl(each.change) for each in self._to_take_back() if each.id not in state.done)
        return RollbackFailed(
            f"the way back of {self._place} failed",
            code="MU3391",
            why=why,
            details=commands[:20],
            fix="meshup apply --resume tries the way back again; the lines above are the same as kubectl commands",
            cluster=f"{self._place} is partly back; everything is in the journal",
        )


CONNECTIONS_PER_POD = 10.0
"""New connections that the restart of one pod is taken to cause; to be replaced by a measurement per service."""


def _groups(changes: Sequence[PlannedChange]) -> Iterable[list[PlannedChange]]:
    """Split into groups of one step, at most GROUP long."""
    group: list[PlannedChange] = []
    for each in changes:
        if group and (
            len(group) >= GROUP
            or group[-1].step != each.step
            or each.change.on.kind != group[-1].change.on.kind == "CustomResourceDefinition"
        ):
            yield group
            group = []
        group.append(each)
    if group:
        yield group


def _path(key: str) -> tuple[str | int, ...]:
    """Read a dotted path or a JSON pointer; digits are list indexes."""
    parts = steps(key) if key.startswith("/") else tuple(key.split("."))
    return tuple(int(each) if each.isdigit() else each for each in parts)
