"""The writes of one wave: in groups for what is shared, in a sliding window for services, each settled."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence

from meshup.cluster.errors import ApiError, Away, Temporary, Unauthorized
from meshup.cluster.ports import Writer
from meshup.engine.handover import Handover, Taken, is_ours
from meshup.engine.log import RunLog
from meshup.engine.marks import Stamp
from meshup.engine.send import nothing, send
from meshup.engine.session import Session
from meshup.engine.settle import Settled, gone, settled, to_settle
from meshup.engine.wait import HEARTBEAT_S, Pause
from meshup.engine.watching import Watch
from meshup.journal.home import RUN
from meshup.model.change import Delete, Handoff, moves_pods
from meshup.model.events import Noted, Waits
from meshup.model.fields import steps
from meshup.model.journal import Judgement
from meshup.model.objects import Ref, annotated, dig
from meshup.model.pace import ASSUMED
from meshup.model.plan import Plan, PlannedChange, PlannedWave
from meshup.model.problem import Interrupted, MeshupError, Refused, Waiting
from meshup.model.verdict import Answer, Judged, Verdict

GROUP = 16
CAUSES_S = 5.0


class Trouble(Exception):
    """Changes of a wave could not be carried through; the judgement that says why is stored already."""

    def __init__(self, judgement: Judgement) -> None:
        super().__init__(judgement.judged.verdict.because)
        self.judgement = judgement


class Writing:
    """Writes changes of one wave, intents first. place: "STAGE[/WAVE]"."""

    def __init__(
        self, session: Session, plan: Plan, *, wave: PlannedWave, place: str, log: RunLog, cluster: Writer, pause: Pause
    ) -> None:
        self._session, self._plan, self._wave, self._place, self._log = session, plan, wave, place, log
        self._cluster, self._pause = cluster, pause
        self._handover = Handover(session, plan, wave=wave, place=place, log=log)
        self._said: dict[str, tuple[str, float]] = {}
        self._causes_at = float("-inf")
        self._yielded_at = float("-inf")

    def in_order(self, changes: Sequence[PlannedChange], *, back: bool = False) -> None:
        """Send changes in order, in groups of one step, each step settled before the next. Raises Trouble."""
        state = self._log.state
        left = [each for each in changes if each.id not in state.done]
        if left:
            # What an earlier process made may not be served yet, and it was cut off before it had waited for that.
            made = [each for each in changes if each.id in state.done]
            apart = bool(made) and parted(made[-1], left[0], back=back)
            going = {each.change.on for each in left if isinstance(each.change, Delete)}
            served = [
                each.change
                for each in made
                if each.change.on.kind == "CustomResourceDefinition" or (apart and each.change.on not in going)
            ]
            self._settle(to_settle(served))
        at = 0
        for group in groups(left, back=back):
            self._session.check_interrupt(next_command=self._plan.again)
            self._log.intents(self._place, group)
            kept = group if back else self._handover.spared(group)
            self._log.started(self._place, kept)
            for number, each in enumerate(kept):
                try:
                    self._send(each, back=back)
                except (Trouble, Refused):
                    self._log.not_begun(kept[number + 1 :])
                    raise
            at += len(group)
            definitions = group[-1].change.on.kind == "CustomResourceDefinition"
            if definitions or (at < len(left) and ends_before(group[-1], left[at], back=back)):
                self._log.flush()
                self._settle(to_settle([each.change for each in left[:at] if each.step == group[-1].step]))
        self._log.flush()
        self._settle(to_settle([each.change for each in changes]))
        self._await_gone_of(changes)

    def in_window(self, changes: Iterable[PlannedChange], *, back: bool = False) -> None:
        """Move services, at most in_flight at once; the next begins as soon as one has settled. Raises Trouble."""
        units = by_service(changes)
        index, ahead, next_start = 0, 0, 0.0
        begun: dict[int, tuple[Ref, ...]] = {}
        started: dict[int, float] = {}
        left: set[int] = set()
        most = self._plan.book.pacing.in_flight
        every_s = self._wave.settle.every_s
        clock = self._session.clock
        watch = self._watch([] if back else units)
        self._heed(watch)
        try:
            with self._pause.hearing(to_settle([each.change for unit in units for each in unit])):
                while index < len(units) or begun:
                    while index < len(units) and len(begun) < most and clock.elapsed() >= next_start:
                        self._session.check_interrupt(next_command=self._plan.again)
                        if index >= ahead:
                            ahead = self._write_ahead(units, index, free=most - len(begun))
                        refs = () if index in left else self._begin(units[index], back=back)
                        if refs:
                            begun[index], started[index] = refs, clock.elapsed()
                        next_start = clock.elapsed() + self._pace(units[index][0].service, refs)
                        index += 1
                    waiting = {number: units[number] for number in (*begun, *range(index, ahead))}
                    for number in self._handover.claimed(waiting, back=back):
                        left.add(number)
                        begun.pop(number, None)
                    moving = [ref for refs in begun.values() for ref in refs]
                    rested: frozenset[Ref] | None = None
                    if begun and (len(begun) >= most or index >= len(units)):
                        rested = self._pause.until_rest(moving, every_s=every_s)
                    elif index < len(units) and clock.elapsed() < next_start:
                        self._pause.sleep(min(every_s, max(0.1, next_start - clock.elapsed())))
                    self._look_at(begun, started, units, rested)
                    if watch.due() or not (begun or index < len(units)):
                        self._heed(watch)
        except (Trouble, Interrupted):
            for number in range(index, ahead):
                if number not in left:
                    self._log.not_begun(units[number])
            raise
        finally:
            with contextlib.suppress(MeshupError):
                self._log.flush()
        self._await_gone_of([each for unit in units for each in unit])

    def _watch(self, units: Sequence[list[PlannedChange]]) -> Watch:
        """Give a watch on the callers of what moves. A way back is watched by nobody: it goes on whatever they say."""
        moved = {unit[0].service for unit in units if any(moves_pods(each.change) for each in unit)}
        services = [each for each in self._plan.book.services if each.id in moved]
        return Watch(self._session, self._plan, services, place=self._place)

    def _heed(self, watch: Watch) -> None:
        """Look at callers once. Raises Trouble when their connections fail, or can't be seen and the runbook holds that."""
        judged = watch.look()
        if judged is not None:
            raise Trouble(self._log.judged(self._place, judged))

    def _await_gone_of(self, changes: Sequence[PlannedChange]) -> None:
        """Wait for what was deleted; what was left out is not waited for."""
        done = self._log.state.done
        self._await_gone([each for each in changes if isinstance(each.change, Delete) and each.id in done])

    def _write_ahead(self, units: Sequence[list[PlannedChange]], index: int, *, free: int) -> int:
        """Store the intents of the units that begin now and of the next one, in one append; give where they end."""
        done = self._log.state.done
        group: list[PlannedChange] = []
        at = index
        while at < len(units) and at <= index + free and (not group or len(group) + len(units[at]) <= GROUP):
            group += [each for each in units[at] if each.id not in done]
            at += 1
        if group:
            self._log.intents(self._place, group)
        return at

    def made(self, on: Ref) -> str:
        """Give the UID of what this run made under that name, "" when it made nothing there."""
        found = self._session.cluster.find(on)
        if found is not None and annotated(found).get(RUN) == self._log.state.run:
            # It may have been made again on a way back, so what is there goes before what is on record.
            return str(dig(found, "metadata", "uid") or "")
        made = self._log.state.made
        return next((made[each.id] for each in self._plan.changes() if each.change.on == on and each.id in made), "")

    def _begin(self, unit: list[PlannedChange], *, back: bool) -> tuple[Ref, ...]:
        state = self._log.state
        left = [each for each in unit if each.id not in state.done]
        if left:
            self._log.started(self._place, left)
            ours = is_ours(left, back=back)
            try:
                for each in left:
                    self._send(
                        each, back=back, may_write=nothing if ours else lambda: self._handover.check(left, back=back)
                    )
            except Taken:
                return ()
            except Refused:
                # Its owner may have been first, between the look at the pins and the write.
                if ours or not self._handover.took(left):
                    raise
                return ()
        return to_settle([each.change for each in unit])

    def _send(self, planned: PlannedChange, *, back: bool, may_write: Callable[[], None] = nothing) -> None:
        stamp = Stamp(run=self._log.state.run, change=planned.id, epoch=self._log.epoch)
        made = self.made(planned.change.on) if isinstance(planned.change, Delete) and not planned.change.uid else ""
        try:
            sent = send(self._cluster, planned.change, stamp, made_uid=made, back=back, may_write=may_write)
        except (Temporary, Away, Unauthorized):
            raise
        except MeshupError as refused:
            why = f"{refused.what}: {refused.why}" if refused.why else refused.what
            self._log.failed(self._place, planned, why)
            if not isinstance(refused, ApiError):
                raise
            raise Trouble(self.judgement(planned, str(planned.change.on), why)) from refused
        if isinstance(planned.change, Handoff):
            self._await_handoff(planned, planned.change)
        self._log.done(self._place, planned, uid=sent.uid, resource_version=sent.resource_version, wrote=sent.wrote)

    def _await_handoff(self, planned: PlannedChange, change: Handoff) -> None:
        """Show what somebody else must do and wait until it is so. Raises Waiting (MU3103)."""
        text = f"{change.to}: {change.what}"
        self._session.watcher.tell(Noted(at=self._session.clock.now(), word="handoff", text=text))
        limit, began = self._wave.settle.limit_s, self._session.clock.elapsed()
        while change.until:
            found = self._cluster.find(change.on)
            wrong = [key for key, value in change.until.items() if str(dig(found, *path_of(key))) != value]
            if not wrong:
                return
            waited = self._session.clock.elapsed() - began
            if waited >= limit or self._pause.caller_left() <= 0:
                self._log.failed(self._place, planned, "not done yet by the one it was handed to")
                raise Waiting(
                    f"{change.on} is not as agreed yet: {', '.join(wrong)}",
                    code="MU3103",
                    why=f"{change.to} does this: {change.what}",
                    fix=self._plan.again,
                    cluster="nothing of it was written by meshup; the lock is free",
                )
            self._tell_wait(str(change.on), f"{change.to} to do: {change.what}", waited, limit)
            self._pause.sleep(min(30.0, max(1.0, limit - waited)))

    def _pace(self, service: str, refs: tuple[Ref, ...]) -> float:
        """Give the seconds until the next service may begin, so that new connections stay below the runbook's rate.

        The restart of one pod makes its callers open anew what they hold to it: the plan says how many, counted or assumed.
        """
        rate = self._plan.book.pacing.new_connections_per_s
        if not rate or not refs:
            return 0.0
        told = next((each for each in self._plan.reconnects if each.service == service), None)
        return sum(self._replicas(ref) for ref in refs) * (told.per_pod if told is not None else ASSUMED) / rate

    def _replicas(self, ref: Ref) -> int:
        found = self._cluster.find(ref)
        return int(dig(found, "spec", "replicas") or dig(found, "status", "desiredNumberScheduled") or 1)

    def _look_at(
        self,
        begun: dict[int, tuple[Ref, ...]],
        started: dict[int, float],
        units: list[list[PlannedChange]],
        rested: frozenset[Ref] | None,
    ) -> None:
        """Take units that have settled out of `begun`. rested: look only at units of these; None = at all.

        When causes are due it looks at all, whatever was heard: who hears much must not go without the truth.
        """
        causes = self._causes_due()
        chosen = {index: refs for index, refs in begun.items() if rested is None or causes or rested & set(refs)}
        refs_now = [ref for refs in chosen.values() for ref in refs]
        seen = settled(self._session.cluster, refs_now, causes=causes)
        for index, refs in chosen.items():
            moving = [seen[ref] for ref in refs if not seen[ref].done]
            if moving:
                waited = self._session.clock.elapsed() - started[index]
                if self._is_over(moving, waited) and self._handover.took(units[index]):
                    del begun[index]
                    continue
                self._still(moving, waited, units[index][0])
            else:
                del begun[index]

    def _is_over(self, moving: Sequence[Settled], waited: float) -> bool:
        return waited >= self._wave.settle.limit_s or any(each.hopeless for each in moving)

    def _settle(self, refs: tuple[Ref, ...]) -> None:
        began = self._session.clock.elapsed()
        while refs:
            found = settled(self._session.cluster, refs, causes=self._causes_due())
            moving = [each for each in found.values() if not each.done]
            if not moving:
                return
            self._still(moving, self._session.clock.elapsed() - began, None)
            self._pause.sleep(self._wave.settle.every_s)

    def _causes_due(self) -> bool:
        """Tell whether to look at pods for causes now: every CAUSES_S, so that what is hopeless ends within 10 s."""
        now = self._session.clock.elapsed()
        if now - self._causes_at < CAUSES_S:
            return False
        self._causes_at = now
        return True

    def _still(self, moving: Sequence[Settled], waited: float, planned: PlannedChange | None) -> None:
        """Say what is waited for; raise Trouble when waiting is hopeless or its limit is reached."""
        limit = self._wave.settle.limit_s
        worst = next((each for each in moving if each.hopeless), moving[0])
        if self._is_over(moving, waited):
            text = worst.because if worst.hopeless else f"{worst.because}; its limit of {limit:.0f} s is reached"
            raise Trouble(self.judgement(planned, worst.object, text, waited_s=waited))
        self._tell_wait(worst.object, worst.because, waited, limit)

    def _tell_wait(self, name: str, because: str, waited: float, limit: float) -> None:
        """Tell a change of state, and that it still waits at least every HEARTBEAT_S."""
        before, at = self._said.get(name, ("", 0.0))
        now = self._session.clock.elapsed()
        if before == because and now - at < HEARTBEAT_S:
            return
        self._said[name] = (because, now)
        self._session.watcher.tell(
            Waits(
                at=self._session.clock.now(),
                place=self._place,
                gate="",
                object=name,
                because=because,
                elapsed_s=waited,
                limit_s=limit,
            )
        )

    def _await_gone(self, changes: Sequence[PlannedChange]) -> None:
        began = self._session.clock.elapsed()
        ours = {each.change.on: each for each in changes}
        while True:
            still = [
                ref
                for ref in gone(self._session.cluster, [each.change for each in changes])
                if self._is_the_one(ref, ours[ref])
            ]
            if not still:
                return
            waited = self._session.clock.elapsed() - began
            if waited >= self._wave.settle.limit_s:
                text = f"it is still there, {waited:.0f} s after it was deleted"
                raise Trouble(self.judgement(ours[still[0]], str(still[0]), text, waited_s=waited))
            self._tell_wait(str(still[0]), "is on its way out", waited, self._wave.settle.limit_s)
            self._pause.sleep(self._wave.settle.every_s)

    def _is_the_one(self, ref: Ref, planned: PlannedChange) -> bool:
        found = self._session.cluster.find(ref)
        uid = getattr(planned.change, "uid", "") or self.made(ref)
        return found is not None and dig(found, "metadata", "uid") == uid

    def judgement(self, planned: PlannedChange | None, name: str, text: str, *, waited_s: float = 0.0) -> Judgement:
        """Store and give the answer for a write or rollout that could not be carried through."""
        names = (planned.service,) if planned is not None and planned.service else ()
        because = text if text.startswith(name) else f"{name}: {text}"
        verdict = Verdict(answer=Answer.FAIL, because=because, object=name, names=names, hopeless=True)
        judged = Judged(
            gate=f"{self._place}/rollout", kind="rollout", verdict=verdict, readings=(), waited_s=round(waited_s, 3)
        )
        return self._log.judged(self._place, judged)


def parted(last: PlannedChange, following: PlannedChange, *, back: bool) -> bool:
    """Tell whether one change begins only once the other has settled; on the way back the order is the other way round."""
    return (last if back else following).settled


def ends_before(last: PlannedChange, following: PlannedChange, *, back: bool) -> bool:
    """Tell whether what follows another change waits until that has settled."""
    return last.step != following.step or parted(last, following, back=back)


def groups(changes: Sequence[PlannedChange], *, back: bool = False) -> Iterable[list[PlannedChange]]:
    """Split into groups of one step, at most GROUP long; definitions end with the last of them."""
    group: list[PlannedChange] = []
    for each in changes:
        last = group[-1] if group else None
        defined = last is not None and last.change.on.kind == "CustomResourceDefinition" != each.change.on.kind
        if last is not None and (len(group) >= GROUP or ends_before(last, each, back=back) or defined):
            yield group
            group = []
        group.append(each)
    if group:
        yield group


def by_service(changes: Iterable[PlannedChange]) -> list[list[PlannedChange]]:
    """Group changes into units that move together, in order of their first."""
    found: dict[str, list[PlannedChange]] = {}
    for each in changes:
        found.setdefault(each.service or each.id, []).append(each)
    return list(found.values())


def path_of(key: str) -> tuple[str | int, ...]:
    """Read a dotted path or a JSON pointer; digits are list indexes."""
    parts = steps(key) if key.startswith("/") else tuple(key.split("."))
    return tuple(int(each) if each.isdigit() else each for each in parts)
