"""One wave: opening, gates before, changes, gates after, closing; and its way back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from meshup.cluster.errors import ApiError, Away, Temporary, Unauthorized
from meshup.cluster.ports import Writer
from meshup.engine.drift import not_so, read_all
from meshup.engine.guard import REVERTED
from meshup.engine.handover import Handover
from meshup.engine.ledger import mark
from meshup.engine.log import RunLog
from meshup.engine.session import Session
from meshup.engine.undo import as_kubectl
from meshup.engine.wait import Pause, look, wait_for
from meshup.engine.writing import Trouble, Writing
from meshup.gates.gate import Eyes, Terms
from meshup.gates.ledger import LedgerEnforced
from meshup.gates.on_hold import NotOnHold
from meshup.gates.people import Soak
from meshup.journal.approvals import approvals
from meshup.model.change import Delete, leads_pods, moves_pods
from meshup.model.events import PlaceStarted
from meshup.model.journal import Judgement
from meshup.model.objects import Ref, dig
from meshup.model.plan import Plan, PlannedChange, PlannedGate, PlannedWave
from meshup.model.problem import DeadlinePassed, RollbackFailed, Waiting
from meshup.model.runbook import Service
from meshup.model.text import amount
from meshup.model.verdict import Answer, Judged, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Why a wave did not go on. judgement: the answer that stopped it. before: its changes had not begun."""

    judgement: Judgement
    before: bool


class NobodyLeft(Exception):
    """Every service a gate is about was taken out by its owner."""


class WaveRun:
    """Perform or undo one wave of a plan. place: "STAGE[/WAVE]"."""

    def __init__(
        self,
        session: Session,
        plan: Plan,
        *,
        wave: PlannedWave,
        place: str,
        log: RunLog,
        cluster: Writer,
        pause: Pause,
        guard_beat: Callable[[Ref | None], None],
    ) -> None:
        self._session, self._plan, self._wave, self._place, self._log = session, plan, wave, place, log
        self._cluster, self._pause, self._guard_beat = cluster, pause, guard_beat
        self._handover = Handover(session, plan, wave=wave, place=place, log=log)
        self._writing = Writing(session, plan, wave=wave, place=place, log=log, cluster=cluster, pause=pause)
        self._services = {each.id: each for each in plan.book.services}
        self._back_only = bool(plan.takes_back)

    def perform(self) -> Held | None:
        """Carry the wave through; None when it is done, else what held it. The way back is the caller's decision."""
        wave = self._wave
        count = len(wave.writes())
        self._session.watcher.tell(
            PlaceStarted(at=self._session.clock.now(), place=self._place, changes=count, services=wave.services)
        )
        self._await_owners()
        begun = any(each.id in self._touched() for each in wave.changes)
        try:
            if not self._is_closing():
                self._writing.in_order(wave.opening, back=self._back_only)
            self._guard_beat(wave.guard)
            held = None if begun or not wave.changes else self._before()
            if held is not None:
                return held
            self._first_looks()
            self._write_changes()
        except Trouble as trouble:
            return Held(judgement=trouble.judgement, before=False)
        held = self._let_go_on()
        if held is None and not self._is_closing():
            held = self._gates(wave.gates, before=False)
        if held is not None:
            return held
        try:
            self._close()
        except Trouble as trouble:
            return Held(judgement=trouble.judgement, before=False)
        self._guard_beat(None)
        self._log.reached(self._place, "done")
        return None

    def _let_go_on(self) -> Held | None:
        """Ask what compares while rollouts are held half-way, then let them go on; one that went on is not asked again."""
        rest = self._wave.rest
        if not rest:
            return None
        if not any(each.id in self._touched() for each in rest):
            held = self._gates(self._wave.halfway, before=False, enough=False)
            if held is not None:
                return held
        try:
            self._writing.in_window(rest)
        except Trouble as trouble:
            return Held(judgement=trouble.judgement, before=False)
        return None

    def _before(self) -> Held | None:
        """Ask the gates that must hold before the changes; nothing stays armed while nobody is here to wait for them."""
        try:
            return self._gates(self._wave.before, before=True)
        except (Waiting, DeadlinePassed) as left:
            if not isinstance(left, ApiError):
                self.disarm()
            raise

    def _close(self) -> None:
        """Take away what surrounds the changes; a guard is disarmed first, and only one that did not act was in time.

        The guard marks its Lease before it acts, and only while the Lease is as it read it, so after the disarming
        either there is a mark or there never will be one. Raises Trouble when there is one.
        """
        closing, guard = self._wave.closing, self._wave.guard
        if guard is None or not closing:
            self._writing.in_order(closing)
            return
        self._writing.in_order(closing[:1])
        found = self._session.cluster.find(guard)
        acted = str(dig(found, "metadata", "annotations", REVERTED) or "")
        if acted:
            because = f"the guard heard nothing and put permissive back at {acted}"
            raise Trouble(self._writing.judgement(closing[0], str(guard), because))
        self._writing.in_order(closing[1:])

    def _write_changes(self) -> None:
        shared = [each for each in self._wave.changes if not each.service]
        own = [each for each in self._wave.changes if each.service]
        if self._back_only:
            self._go_back(self._wave.changes)
        else:
            self._writing.in_order(shared)
            self._writing.in_window(own)

    def _go_back(self, back: Sequence[PlannedChange]) -> None:
        """Take changes back: first what decides what pods are made with, then each service's, then what they share."""
        lead = [each for each in back if not each.service and leads_pods(each.change)]
        self._writing.in_order(lead, back=True)
        self._writing.in_window([each for each in back if each.service], back=True)
        self._writing.in_order([each for each in back if not each.service and each not in lead], back=True)

    def not_back(self, why: str) -> RollbackFailed:
        """Make the error of a plan that takes a run back and can't be carried through."""
        return self._failed(why)

    def _is_closing(self) -> bool:
        """Tell whether an earlier process had its gates' pass already and was taking away what surrounds the changes.

        With a guard only when its disarming, which is the first of it, has certainly happened: before, it may have
        put things back.
        """
        closing = self._wave.closing
        if not closing:
            return False
        if self._wave.guard is not None:
            return closing[0].id in self._log.state.done
        touched = self._touched()
        return any(each.id in touched for each in closing)

    def is_cut_off(self) -> bool:
        """Tell whether an earlier process left the wave between arming its guard and disarming it."""
        touched = self._touched()
        if self._is_closing():
            return False
        return self._wave.guard is not None and any(
            each.id in touched for each in (*self._wave.opening, *self._wave.changes)
        )

    def _await_owners(self) -> None:
        """Raise Waiting (MU3104) when the wave requires all its services and some are not opted in."""
        named = next((each for each in self._plan.book.waves if each.name == self._wave.name), None)
        if named is None or named.require != "all" or not self._wave.waiting:
            return
        out = self._plan.left_out()
        said = {each: out[each][1] if each in out else "" for each in self._wave.waiting}
        silent = [each for each, words in said.items() if not words]
        owners = {self._services[each].owner or "unknown" for each in silent if each in self._services}
        parts = [f"{each}: {words}" for each, words in said.items() if words]
        if silent:
            parts.append(f"not opted in: {', '.join(silent)}; their owners: {', '.join(sorted(owners))}")
        raise Waiting(
            f"{self._place} requires all its services, and {amount(len(said), 'of them is', 'of them are')} not in",
            code="MU3104",
            why="; ".join(parts),
            fix="when they are: meshup plan, then meshup apply; or take them out of the wave, or its require: all",
            cluster="what came before it stays; the lock is free",
        )

    def undo(self, why: str) -> None:
        """Take back what was done, verify it, and store that. Raises RollbackFailed (MU3391) when that fails."""
        if self._log.state.places.get(self._place) != "undoing":
            self._log.reached(self._place, "undoing", why)
        self._guard_beat(self._wave.guard)
        back = self._to_take_back()
        try:
            self._go_back(back)
            self._writing.in_order(self._closing_of_opened(), back=True)
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
        """Take the opening's objects away when the wave's changes never began; it is armed anew when the wave is."""
        closing = self._closing_of_opened()
        self._writing.in_order(closing, back=True)
        self._guard_beat(None)
        if closing:
            self._log.disarmed(self._place)

    def _touched(self) -> frozenset[str]:
        """Give the ids of changes that took effect, or may have."""
        state = self._log.state
        return frozenset({*state.done, *(each.change for each in state.open)})

    def _closing_of_opened(self) -> tuple[PlannedChange, ...]:
        """Give what takes away the opening's objects that are there; one that was only intended is not."""
        touched = self._touched()
        opened = {each.change.on for each in self._wave.opening if each.id in touched}
        closing = [each for each in self._wave.closing if each.change.on in opened]
        there = read_all(self._session.cluster, [each.change.on for each in closing])
        return tuple(
            each
            for each in closing
            if each.change.on in there
            and (not isinstance(each.change, Delete) or each.change.uid or self._writing.made(each.change.on))
        )

    def _to_take_back(self) -> list[PlannedChange]:
        """Give the way back of every change that took effect, or may have, latest first."""
        touched, left = self._touched(), self._handover.left()
        back = [
            self._back(each)
            for each in reversed(self._wave.changes)
            if each.id in touched
            and each.inverse is not None
            and not (each.service in left and moves_pods(each.change))
        ]
        return [each for each in back if not isinstance(each.change, Delete) or each.change.uid]

    def _back(self, planned: PlannedChange) -> PlannedChange:
        inverse = planned.inverse
        if isinstance(inverse, Delete) and not inverse.uid:
            inverse = replace(inverse, uid=self._writing.made(planned.change.on))
        summary = f"take back: {planned.summary}"
        return replace(
            planned, id=f"undo:{planned.id}", change=inverse or planned.change, inverse=planned.change, summary=summary
        )

    def _about(self, gate: PlannedGate) -> tuple[Service, ...]:
        """Give the services a gate is about now: those whose owners took them out meanwhile are not. Raises NobodyLeft.

        A wave that the plan found without anybody in it, opted out or pinned, has nothing to judge: one owner's word may
        not hold up everybody else.
        """
        named = gate.services or self._wave.services
        if not named and not self._wave.changes and self._has_members():
            raise NobodyLeft
        left = self._handover.left()
        chosen = tuple(self._services[each] for each in named if each in self._services and each not in left)
        if named and left and not chosen:
            raise NobodyLeft
        return chosen

    def _has_members(self) -> bool:
        return any(each.name == self._wave.name and each.services for each in self._plan.book.waves)

    def _eyes(self, gate: PlannedGate, *, since: datetime | None = None) -> Eyes:
        return Eyes(
            cluster=self._session.cluster,
            driver=self._session.drivers[self._plan.driver],
            clock=self._session.clock,
            book=self._plan.book,
            services=self._about(gate),
            place=self._place,
            revision=self._plan.revision,
            plan_digest=self._plan.digest,
            first=self._log.state.looked.get((self._place, gate.id)),
            since=since,
            moved=bool(self._wave.changes),
        )

    def _fresh(self, gate: PlannedGate) -> Callable[[Eyes], Eyes]:
        if gate.kind != "approval":
            return lambda eyes: replace(eyes, services=self._about(gate))
        return lambda eyes: replace(eyes, approvals=approvals(self._session.cluster, self._plan.digest))

    def _first_looks(self) -> None:
        for gate in (*self._wave.halfway, *self._wave.gates):
            if gate.waived or gate.kind == Soak.kind or (self._place, gate.id) in self._log.state.looked:
                continue
            terms = Terms(params=gate.params, patience=gate.patience)
            try:
                eyes = self._eyes(gate)
            except NobodyLeft:
                return
            self._log.looked(self._place, gate.id, look(self._session.gates[gate.kind], eyes, terms))

    def _gates(self, gates: Sequence[PlannedGate], *, before: bool, enough: bool = True) -> Held | None:
        """Ask gates in order; what did not hold, or None. enough: no others follow that could pass where these are waived."""
        answers: list[Answer] = []
        began = self._session.clock.now()
        for gate in gates:
            try:
                judged = self._ask(gate, since=began)
            except NobodyLeft:
                # Nothing of the wave is in force that it could be judged by, nor anything that it could harm.
                return None
            if gate.kind == LedgerEnforced.kind and judged.verdict.answer is Answer.PASS:
                mark(self._cluster, self._session.clock)
            entry = self._log.judged(self._place, judged)
            if gate.kind != NotOnHold.kind:
                # That a release may spread says nothing of this wave: it neither makes up for skips nor is one.
                answers.append(judged.verdict.answer)
            if judged.verdict.answer > Answer.SKIPPED:
                return Held(judgement=entry, before=before)
        if enough and answers and Answer.PASS not in answers:
            verdict = Verdict(answer=Answer.UNKNOWN, because="every gate is waived: skips alone are no evidence")
            judged = Judged(gate=f"{self._place}/gates", kind="gates", verdict=verdict, readings=(), waited_s=0.0)
            return Held(judgement=self._log.judged(self._place, judged), before=before)
        return None

    def _ask(self, gate: PlannedGate, *, since: datetime) -> Judged:
        """Ask a gate, and again without the services whose owners took them out while it was asked."""
        if gate.kind == Soak.kind and not gate.waived:
            self._start_soak(gate)
        while True:
            eyes = self._eyes(gate, since=since)
            judged = wait_for(
                self._session,
                self._session.gates[gate.kind],
                gate,
                eyes,
                self._pause,
                fresh=self._fresh(gate),
                began_before_s=self._waited_before(gate),
            )
            if judged.verdict.answer <= Answer.SKIPPED or self._about(gate) == eyes.services:
                return judged

    def _start_soak(self, gate: PlannedGate) -> None:
        """Record when a soak began, which is after the wave's changes; a later process judges it from there."""
        if (self._place, gate.id) not in self._log.state.looked:
            terms = Terms(params=gate.params, patience=gate.patience)
            self._log.looked(self._place, gate.id, look(self._session.gates[gate.kind], self._eyes(gate), terms))
            self._log.flush()

    def _waited_before(self, gate: PlannedGate) -> float:
        """Give the seconds since the recorded start of a soak that an earlier process began."""
        first = self._log.state.looked.get((self._place, gate.id))
        if gate.kind != Soak.kind or first is None:
            return 0.0
        return max(0.0, (self._session.clock.now() - first.at).total_seconds())

    def _not_back(self, back: Sequence[PlannedChange]) -> str:
        """Read back what was taken back; "" when every planned field has its old value again."""
        left = self._handover.left()
        kept = [each.change for each in back if not (each.service in left and moves_pods(each.change))]
        return not_so(self._session.cluster, kept)

    def _failed(self, why: str) -> RollbackFailed:
        done = self._log.state.done
        commands = tuple(as_kubectl(each.change) for each in self._to_take_back() if each.id not in done)
        return RollbackFailed(
            f"the way back of {self._place} failed",
            code="MU3391",
            why=why,
            details=commands[:20],
            fix=f"{self._plan.again}      tries the way back again"
            + ("; the lines above do the same with kubectl" if commands else ""),
            cluster=f"{self._place} is partly back; everything is in the journal",
        )
