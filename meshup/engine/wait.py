"""Patience: the only place that sleeps. Asks a gate until it holds, fails, or its limit is reached."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

from meshup.cluster.clock import SimulatorClock
from meshup.cluster.errors import ApiError
from meshup.engine.session import Session
from meshup.gates.gate import Blind, Eyes, Gate, Terms
from meshup.model.clock import Clock
from meshup.model.duration import span
from meshup.model.events import Waits
from meshup.model.kept import fitting, in_order
from meshup.model.objects import Object, Ref
from meshup.model.plan import PlannedGate
from meshup.model.problem import DeadlinePassed, MeshupError, Unreachable, Waiting
from meshup.model.rollout import rollout
from meshup.model.verdict import Answer, Judged, Patience, Reading, Verdict

SLICE_S = 5.0
LOOK_S = 5.0
HEARTBEAT_S = 30.0
MOST_READINGS = 60
ASKS_PEOPLE = frozenset({"approval"})
MAY_BE_LEFT = ASKS_PEOPLE | {"soak"}


class Pause:
    """Sleep in slices, so that leases are beaten and an interrupt is seen. began: when the caller's patience began."""

    def __init__(self, session: Session, *, beat: Callable[[], None], next_command: str) -> None:
        self._session, self._beat, self.next_command = session, beat, next_command
        self._began = session.clock.elapsed()

    def sleep(self, seconds: float) -> None:
        """Return after that many seconds. Raises Interrupted, and what `beat` raises."""
        left = seconds
        while left > 0:
            self._session.check_interrupt(next_command=self.next_command)
            piece = min(left, SLICE_S)
            self._session.clock.sleep(piece)
            left -= piece
            self._beat()
        self._session.check_interrupt(next_command=self.next_command)

    def beside(self, seconds: float) -> None:
        """Sleep, at most that long, while somebody else is watched: a shared virtual time is left to them."""
        clock = self._session.clock
        if not isinstance(clock, SimulatorClock):
            self.sleep(seconds)
            return
        self._session.check_interrupt(next_command=self.next_command)
        clock.wait_beside(seconds)
        self._session.check_interrupt(next_command=self.next_command)

    @contextlib.contextmanager
    def hearing(self, refs: Collection[Ref]) -> Iterator[None]:
        """Hear of these objects within the block, where there is something to hear with."""
        ears = self._session.hearing
        if ears is not None:
            ears.expect(refs)
        try:
            yield
        finally:
            if ears is not None:
                ears.forget(refs)

    def until_rest(self, refs: Collection[Ref], *, every_s: float) -> frozenset[Ref] | None:
        """Return when it is time to look at objects that roll out, and give at which; None = at all of them.

        While a watch stands: as soon as it says that some have come to rest, or after LOOK_S, as the watch is only the
        hurry and a list the truth. Else after every_s. Raises Interrupted, and what `beat` raises.
        """
        ears, clock = self._session.hearing, self._session.clock
        if ears is None or not ears.hears(refs):
            self.sleep(every_s)
            return None
        until = clock.elapsed() + LOOK_S
        while clock.elapsed() < until:
            self._session.check_interrupt(next_command=self.next_command)
            rested = frozenset(ref for ref, heard in ears.taken(refs).items() if _at_rest(heard))
            if rested:
                return rested
            ears.stirred.wait(min(SLICE_S, until - clock.elapsed()))
            self._beat()
        return None

    def caller_left(self) -> float:
        """Give the seconds the caller still wants to wait; infinite without --timeout."""
        if not self._session.wait_s:
            return float("inf")
        return self._session.wait_s - (self._session.clock.elapsed() - self._began)


def _at_rest(heard: Object | None) -> bool:
    if heard is None:
        return True
    state = rollout(heard)
    return state.done or state.hopeless


def performed(program: Iterator[float], clock: Clock) -> None:
    """Run a program of a pod to its end; it yields the seconds to wait. Raises what it raises."""
    for seconds in program:
        clock.sleep(seconds)


def look(gate: Gate, eyes: Eyes, terms: Terms) -> Reading:
    """Take one reading. What the gate or the cluster could not tell becomes `blind`; it never stops the run here.

    Raises Unreachable when the credentials no longer work: that is no matter of the gate.
    """
    at, elapsed = eyes.clock.now(), eyes.clock.elapsed()
    try:
        data = in_order(gate.observe(eyes, terms))
    except Blind as blind:
        return Reading(at=at, elapsed_s=elapsed, blind=str(blind) or "the gate could not read")
    except Unreachable:
        raise
    except ApiError as failed:
        return Reading(at=at, elapsed_s=elapsed, blind=f"{failed.what}: {failed.why}" if failed.why else failed.what)
    except MeshupError:
        raise
    except Exception as bug:  # noqa: BLE001 - a gate, perhaps a plugin's, that breaks must hold the wave, not crash the run
        return Reading(
            at=at,
            elapsed_s=elapsed,
            blind=f"gate {gate.kind} of {type(gate).__module__} broke: {type(bug).__name__}: {bug}",
        )
    return Reading(at=at, elapsed_s=elapsed, data=data)


def ask(gate: Gate, readings: Sequence[Reading], terms: Terms) -> Verdict:
    """Let a gate judge; the newest reading must not be blind for anything but unknown."""
    if readings and readings[-1].blind:
        return Verdict(answer=Answer.UNKNOWN, because=readings[-1].blind)
    try:
        return gate.judge(readings, terms)
    except Exception as bug:  # noqa: BLE001 - the same: thin or odd evidence is unknown
        return Verdict(
            answer=Answer.UNKNOWN,
            because=f"gate {gate.kind} of {type(gate).__module__} broke: {type(bug).__name__}: {bug}",
        )


def wait_for(
    session: Session,
    gate: Gate,
    planned: PlannedGate,
    eyes: Eyes,
    pause: Pause,
    *,
    began_before_s: float = 0.0,
    fresh: Callable[[Eyes], Eyes] = lambda eyes: eyes,
) -> Judged:
    """Ask a gate with its patience and give its last answer with the readings it was made from.

    fresh: brings approvals, and whom the gate is about, up to date before each look; when that changes it begins anew.
    began_before_s: how long it was waited for in an earlier process, so that a soak is judged from its start.
    A pass counts when it came in_a_row times. Fail and hopeless end it at once; at the limit the last answer stands,
    and one that would still have been counting up is unknown. Raises Waiting (MU3101) for a soak that goes on longer
    than the caller wants to wait, and for an approval that is not there: without --timeout nobody waits for a person.
    """
    if planned.waived:
        verdict = Verdict(answer=Answer.SKIPPED, because=f"waived in the runbook: {planned.waived}")
        return Judged(gate=planned.id, kind=planned.kind, verdict=verdict, readings=(), waited_s=0.0)
    terms = Terms(params=planned.params, patience=planned.patience)
    patience = planned.patience
    start = session.clock.elapsed() - began_before_s
    readings: list[Reading] = [eyes.first] if eyes.first is not None else []
    handed_on = _handing_on(gate, terms)
    # What such a gate is told between two scrapes is no look: none is taken sooner than the patience says, at the limit either.
    spaced = handed_on is not None
    passes, said, said_at = 0, "", -HEARTBEAT_S
    while True:
        seen = fresh(eyes)
        if seen.services != eyes.services and planned.kind not in MAY_BE_LEFT:
            # Somebody took a service out: readings with it and without it can't be compared, so evidence begins anew.
            eyes, readings, passes = replace(seen, first=None, memory={}), [], 0
            seen = eyes
            start = session.clock.elapsed()
        readings.append(look(gate, seen, terms))
        readings = fitting(_recent(readings, patience, first=eyes.first), count=MOST_READINGS, handed_on=handed_on)
        verdict = ask(gate, readings, terms)
        waited = session.clock.elapsed() - start
        passes = passes + 1 if verdict.answer is Answer.PASS else 0
        if passes >= patience.in_a_row or verdict.answer is Answer.FAIL or verdict.hopeless:
            return _judged(planned, verdict, readings, waited, passes=passes)
        over = waited + 1e-6 >= patience.limit_s or (spaced and patience.limit_s - waited < patience.every_s)
        if planned.kind in ASKS_PEOPLE and verdict.answer is Answer.UNKNOWN and (over or not session.wait_s):
            raise _left(planned, verdict.because, waited, place=eyes.place, again=pause.next_command)
        if over:
            final = at_the_limit(verdict, passes, patience)
            return _judged(planned, final, readings, waited, passes=passes, over=True)
        text = verdict.because if not passes else f"{verdict.because} ({passes} of {patience.in_a_row} in a row)"
        if text != said or waited - said_at >= HEARTBEAT_S:
            session.watcher.tell(
                Waits(
                    at=session.clock.now(),
                    place=eyes.place,
                    gate=planned.id,
                    object=verdict.object,
                    because=f"{planned.kind}: {text}",
                    elapsed_s=waited,
                    limit_s=patience.limit_s,
                )
            )
            said, said_at = text, waited
        step = min(patience.every_s, max(patience.limit_s - waited, 0.1))
        if pause.caller_left() < step:
            raise _left(planned, text, waited, place=eyes.place, again=pause.next_command)
        pause.sleep(step)


def _recent(readings: list[Reading], patience: Patience, *, first: Reading | None) -> list[Reading]:
    """Keep the first reading and those of the window, so that evidence stays small."""
    newest = readings[-1].elapsed_s
    horizon = newest - patience.window_s - patience.every_s if patience.window_s else float("-inf")
    return [each for each in readings if each is first or each.elapsed_s >= horizon]


def _handing_on(gate: Gate, terms: Terms) -> Callable[[Reading, Reading], Reading] | None:
    """Give how a gate hands on what a reading that is left out holds alone, None where readings hold nothing so."""
    method = getattr(gate, "handed_on", None)
    return None if method is None else lambda older, newer: method(older, newer, terms)


def at_the_limit(verdict: Verdict, passes: int, patience: Patience) -> Verdict:
    """Give what an answer becomes when the limit is reached: a pass that was still being counted is unknown."""
    if verdict.answer is Answer.PASS:
        because = f"{verdict.because}, but only {passes} of {patience.in_a_row} times in a row within {patience.limit_s:.0f} s"
        return replace(verdict, answer=Answer.UNKNOWN, because=because)
    return replace(verdict, because=f"{verdict.because}; its limit of {patience.limit_s:.0f} s is reached")


def _judged(
    planned: PlannedGate,
    verdict: Verdict,
    readings: Sequence[Reading],
    waited: float,
    *,
    passes: int,
    over: bool = False,
) -> Judged:
    return Judged(
        gate=planned.id,
        kind=planned.kind,
        verdict=verdict,
        readings=tuple(readings),
        waited_s=round(waited, 3),
        passes=passes,
        over=over,
    )


def _left(planned: PlannedGate, because: str, waited: float, *, place: str, again: str) -> MeshupError:
    text = f"{planned.kind}: {because}"
    limit = span(planned.patience.limit_s)
    if planned.kind in ASKS_PEOPLE:
        return Waiting(
            text,
            code="MU3101",
            why=f"waited {span(waited)} of {limit}" if waited >= 1 else f"it may take {limit}; --timeout waits for it",
            fix=f"a second person: meshup approve {place}      then: {again}",
            cluster="the wave holds in place; the lock is free",
        )
    why = f"waited {span(waited)} of {limit}, and --timeout is over"
    if planned.kind in MAY_BE_LEFT:
        return Waiting(text, code="MU3101", why=why, fix=again, cluster="the wave holds in place; the lock is free")
    return DeadlinePassed(text, code="MU3102", why=why, fix=again, cluster="the wave holds in place; the lock is free")


class Looking:
    """The sleeps of a view that looks again and again. limit_s: in all, 0 = no limit."""

    def __init__(self, session: Session, *, limit_s: float) -> None:
        self._session, self._limit_s = session, limit_s
        self._began = session.clock.elapsed()

    def again(self, every_s: float) -> bool:
        """Sleep once; false when the limit would be passed. Raises Interrupted."""
        self._session.check_interrupt(next_command="meshup status")
        if self._limit_s and self._session.clock.elapsed() - self._began + every_s > self._limit_s:
            return False
        self._session.clock.sleep(every_s)
        return True
