"""Run against self-service rollback: each writes its flag, then reads the other's (RELIABILITY section 3).

The run journals an intent, then reads the pins; the owner records the pin, then reads the open intents. Whichever came
later sees the other: the run lets go of the service, the owner waits until it has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from meshup.engine.history import newest_run
from meshup.engine.log import RunLog
from meshup.engine.opted import out_words
from meshup.engine.pinning import held, in_words, name_of, staying_out
from meshup.engine.running import asked
from meshup.engine.session import Session
from meshup.engine.wait import Pause
from meshup.journal.ledger import is_open, pins
from meshup.journal.optin import KIND
from meshup.model.change import Delete, moves_pods
from meshup.model.events import Noted, Waits
from meshup.model.journal import Intent
from meshup.model.ledger import Pin
from meshup.model.objects import Object, Ref
from meshup.model.optin import OptInRecord
from meshup.model.plan import Plan, PlannedChange, PlannedWave
from meshup.model.runbook import Service
from meshup.model.snapshot import Identity, Snapshot

LOOK_EVERY_S = 5.0
"""How often a run that waits looks for pins on what it has begun."""
YIELD_S = 30.0
"""How long an owner waits for a run to yield; a run that is dead or stuck does not keep them from their service."""
ASK_EVERY_S = 2.0


class Taken(Exception):
    """The service belongs to its owner's rollback now; that the run lets go of it is journalled."""


class Handover:
    """The run's side, for one wave. place: "STAGE[/WAVE]"."""

    def __init__(self, session: Session, plan: Plan, *, wave: PlannedWave, place: str, log: RunLog) -> None:
        self._session, self._plan, self._wave, self._place, self._log = session, plan, wave, place, log
        self._services = {each.id: each for each in plan.book.services}
        self._looked_at = self._heard_at = float("-inf")

    def held(self, services: Iterable[str]) -> Mapping[str, Pin]:
        """Give service id -> pin that holds it elsewhere, read now."""
        known = [self._services[each] for each in dict.fromkeys(services) if each in self._services]
        return held(self._session.cluster, known, self._plan)

    def leave(self, changes: Sequence[PlannedChange], pin: Pin, *, service: str) -> None:
        """Journal that a service is let go of, or what belongs to no service left out (service="")."""
        self._log.skipped(self._place, changes, service=service, pin=name_of(pin), why=in_words(pin))

    def took(self, unit: Sequence[PlannedChange]) -> bool:
        """Let go of a unit's service when its owner has it, and tell whether that was so."""
        service = unit[0].service
        pin = self.held([service]).get(service)
        if pin is not None:
            self.leave(unit, pin, service=service)
        return pin is not None

    def check(self, unit: Sequence[PlannedChange], *, back: bool) -> None:
        """Raise Taken when the owner of a unit's service has it now, or opted it out, which is journalled then.

        Called right before a write, so what is left alone has not been moved. back: a way back is no joining.
        """
        if self.took(unit) or (not back and self._stays_out(unit)):
            raise Taken

    def _stays_out(self, unit: Sequence[PlannedChange]) -> bool:
        """Let go of a unit whose owner opted the service out after the plan was made, and tell whether that was so."""
        service = self._services.get(unit[0].service)
        if service is None:
            return False
        word = staying_out(self._session.cluster, [service], self._plan).get(service.id)
        if word is not None:
            self._leave_out(unit, word)
        return word is not None

    def _leave_out(self, changes: Sequence[PlannedChange], word: OptInRecord) -> None:
        name = f"{word.namespace}/{word.name}"
        self._log.skipped(self._place, changes, service=word.id, pin=name, why=out_words(word), record=KIND)

    def claimed(self, units: Mapping[int, Sequence[PlannedChange]], *, back: bool) -> frozenset[int]:
        """Let go of the units whose owners pinned them meanwhile; looks at most every LOOK_EVERY_S. back: as in `is_ours`.

        What is journalled for them ends here, so that the owner, who waits for that, goes on.
        """
        now = self._session.clock.elapsed()
        if now - self._looked_at < LOOK_EVERY_S:
            return frozenset()
        self._looked_at = now
        theirs = {number: unit for number, unit in units.items() if not is_ours(unit, back=back)}
        found = self.held(unit[0].service for unit in theirs.values())
        taken = {number: unit for number, unit in theirs.items() if unit[0].service in found}
        for unit in taken.values():
            self.leave(unit, found[unit[0].service], service=unit[0].service)
        return frozenset(taken)

    def left(self) -> frozenset[str]:
        """Give the services of the wave that are let go of, those whose owners' records are found now included."""
        before = {service for place, service in self._log.state.left if place == self._place and service}
        for name, pin in self.held(self._wave.services).items():
            if name not in before:
                self.leave(self._changes_of(name), pin, service=name)
                before.add(name)
        for name, word in self._stay_elsewhere(before).items():
            self._leave_out(self._changes_of(name), word)
            before.add(name)
        return frozenset(before)

    def _changes_of(self, service: str) -> list[PlannedChange]:
        return [each for each in self._wave.changes if each.service == service]

    def _stay_elsewhere(self, left: Collection[str]) -> Mapping[str, OptInRecord]:
        """Give those who opted out and are not where the plan wants them: no patience brings them there.

        One that opted out and is there all the same is judged like any other, and so is everybody where strict mode is
        switched: it may reach them too. Looks at most every LOOK_EVERY_S.
        """
        now = self._session.clock.elapsed()
        if self._wave.guard is not None or now - self._heard_at < LOOK_EVERY_S:
            return {}
        self._heard_at = now
        asked = [self._services[each] for each in self._wave.services if each in self._services and each not in left]
        found = staying_out(self._session.cluster, asked, self._plan)
        return {
            each.id: found[each.id]
            for each in asked
            if each.id in found and self._revision_of(each) != self._plan.revision
        }

    def _revision_of(self, service: Service) -> str:
        """Give the revision that a workload's template asks for now, "" = none."""
        workload = self._session.cluster.find(service.workload)
        seen = self._bare({service.workload: workload} if workload is not None else {})
        return asked(service, seen, self._session.drivers[self._plan.driver])

    def _bare(self, objects: Mapping[Ref, Object]) -> Snapshot:
        """Give a snapshot of these objects alone, for questions that need no more."""
        return Snapshot(
            cluster_uid=self._plan.cluster_uid,
            server_version="",
            identity=Identity(user=""),
            taken_at=self._session.clock.now(),
            objects=objects,
        )

    def spared(self, group: list[PlannedChange]) -> list[PlannedChange]:
        """Give a group without deletes that would take a revision away from a pin; called when its intents are stored."""
        parts = [each.change for each in self._wave.changes if isinstance(each.change, Delete)]
        taken = [each for each in group if isinstance(each.change, Delete)]
        if self._plan.takes_back or not taken:
            return group
        seen = self._bare({each.on: each.before for each in parts})
        leaving = self._session.drivers[self._plan.driver].installed(seen)
        every = pins(self._session.cluster) if leaving else ()
        pin = next((each for each in every if is_open(each) and each.to_revision in leaving), None)
        if pin is None:
            return group
        self.leave(taken, pin, service="")
        return [each for each in group if each not in taken]


def is_ours(unit: Sequence[PlannedChange], *, back: bool) -> bool:
    """Tell whether a unit is none of its owner's business.

    A way back leaves alone where pods run, and nothing else: a policy that was strict is lifted for a pinned service too.
    """
    return back and not any(moves_pods(each.change) for each in unit)


def await_yield(session: Session, pin: Pin, *, pause: Pause) -> str:
    """Wait, as the owner, until no run has an open intent on the service, at most YIELD_S; name the run that did not yield.

    A run that yields does so within seconds; one that does not is dead, frozen or cut off. The owner goes on then:
    what that run may still send holds a resourceVersion that the owner's own write makes old. Raises Interrupted.
    """
    began = session.clock.elapsed()
    while True:
        run, found = _open_intents(session, pin)
        if not found:
            return ""
        waited = session.clock.elapsed() - began
        if waited >= YIELD_S:
            text = f"run {run} did not yield {pin.service} within {YIELD_S:.0f} s; it leaves it alone when it goes on"
            session.watcher.tell(Noted(at=session.clock.now(), word="note", text=text))
            return run
        session.watcher.tell(
            Waits(
                at=session.clock.now(),
                place="rollback",
                gate="",
                object=found[0].object,
                because=f"run {run} has begun to change it and lets go of it at its next change",
                elapsed_s=waited,
                limit_s=YIELD_S,
            )
        )
        pause.beside(min(ASK_EVERY_S, max(0.1, YIELD_S - waited)))


def _open_intents(session: Session, pin: Pin) -> tuple[str, list[Intent]]:
    """Give what the newest run may be doing to the service, or to a control plane that it takes away."""
    found = newest_run(session)
    if found is None:
        return "", []
    state = found[0]
    mine = f"{pin.namespace}/{pin.service}"
    return state.run, [each for each in state.open if each.service == mine or (not each.service and _deletes(each))]


def _deletes(intent: Intent) -> bool:
    """Tell whether a change takes something away: its inverse makes it."""
    return (intent.inverse or {}).get("type") == "Create"
