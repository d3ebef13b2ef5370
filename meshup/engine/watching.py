"""Callers watched while what they call restarts: look by look, until it is over or too many of their connections fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar

from meshup.cluster.errors import Forbidden
from meshup.engine.session import Session
from meshup.engine.wait import look
from meshup.gates import connecting
from meshup.gates.gate import Eyes, Terms
from meshup.model.events import Noted
from meshup.model.plan import Plan
from meshup.model.runbook import Service
from meshup.model.scene import Failing
from meshup.model.verdict import Answer, Judged, Patience, Reading, Verdict

EVERY_S = 5.0
"""Between looks: an outage of callers is seen within one of them, and a restart takes longer."""
BLIND_LOOKS = 3
"""So many in a row hold the wave, where the runbook holds what can't be seen."""


@dataclass(frozen=True, slots=True)
class Looking:
    """The watch as a gate that no runbook names: see connecting.py. budget: 0 to 1. holds: what can't be seen, both the runbook's."""

    budget: float
    holds: bool = False
    kind: ClassVar[str] = connecting.KIND
    title: ClassVar[str] = "callers open connections to what restarts"
    reads: ClassVar[str] = "upstream_cx_total, upstream_cx_connect_fail and ssl errors at callers and the gateway"
    params: ClassVar[Mapping[str, tuple[type, Any, str]]] = {}
    needs: ClassVar[frozenset[str]] = frozenset({"proxy-counters"})
    patience: ClassVar[Patience] = Patience(every_s=EVERY_S, in_a_row=1)

    def observe(self, eyes: Eyes, terms: Terms) -> Mapping[str, Any]:
        """Read the callers' counters."""
        del terms
        return connecting.observe(eyes)

    def judge(self, readings: Sequence[Reading], terms: Terms) -> Verdict:
        """Decide from the first look and the newest."""
        del terms
        found = connecting.judge(readings, self.budget)
        if not self.holds or not readings or not readings[-1].blind:
            return found
        return replace(found, because=f"{found.because}; the runbook holds what can't be seen (pacing.blind)")

    def failing(self, readings: Sequence[Reading], terms: Terms, found: Verdict) -> tuple[Failing, ...]:
        """Say what failed, and what each caller counted."""
        del terms
        return connecting.failing(readings, self.budget, found)


def looking(plan: Plan) -> Looking:
    """Give the watch by the terms of a plan."""
    pacing = plan.book.pacing
    return Looking(pacing.failed_connections, holds=pacing.blind == "hold")


class Watch:
    """Watches the callers of services that restart; where nothing counts connections, or nothing restarts, it never looks.

    place: "STAGE[/WAVE]".
    """

    def __init__(self, session: Session, plan: Plan, services: Sequence[Service], *, place: str) -> None:
        self._session, self._plan, self._place = session, plan, place
        self._gate = looking(plan)
        driver = session.drivers[plan.driver]
        self._eyes: Eyes | None = None
        # An owner's own rollback asks for no right beyond their namespace, and callers are elsewhere.
        if services and plan.pin is None and "proxy-counters" in driver.capabilities:
            self._eyes = Eyes(
                cluster=session.cluster,
                driver=driver,
                clock=session.clock,
                book=plan.book,
                services=tuple(services),
                place=place,
                revision=plan.revision,
            )
        self._first: Reading | None = None
        self._last_s, self._blind = float("-inf"), 0
        self._began: datetime = session.clock.now()

    def due(self) -> bool:
        """Tell whether it is time to look."""
        return self._eyes is not None and self._session.clock.elapsed() - self._last_s >= EVERY_S

    def look(self) -> Judged | None:
        """Look once; what stops the restart, None = nothing does. The first look that sees is what later ones are held to."""
        if self._eyes is None:
            return None
        self._last_s = self._session.clock.elapsed()
        try:
            reading = look(self._gate, self._eyes, Terms())
        except Forbidden as refused:
            reading = Reading(
                at=self._session.clock.now(), elapsed_s=self._last_s, blind=f"{refused.what}: {refused.why}"
            )
        if reading.blind:
            return self._is_blind(reading)
        self._blind = 0
        if self._first is None:
            self._first = reading
            return None
        readings = (self._first, reading)
        verdict = self._gate.judge(readings, Terms())
        return self._judged(verdict, readings) if verdict.answer is Answer.FAIL else None

    def _is_blind(self, reading: Reading) -> Judged | None:
        """Say it once until it sees again; hold only where the runbook says so, and not for a single look."""
        self._blind += 1
        if self._blind == 1:
            what = f"; held after {BLIND_LOOKS} looks" if self._gate.holds else "; the gates after it judge"
            text = f"{self._place}: callers can't be watched: {reading.blind}{what}"
            self._session.watcher.tell(Noted(at=self._session.clock.now(), word="blind", text=text))
        if not self._gate.holds or self._blind < BLIND_LOOKS:
            return None
        return self._judged(self._gate.judge((reading,), Terms()), (reading,))

    def _judged(self, verdict: Verdict, readings: tuple[Reading, ...]) -> Judged:
        waited = (self._session.clock.now() - self._began).total_seconds()
        return Judged(
            gate=f"{self._place}/{connecting.KIND}",
            kind=connecting.KIND,
            verdict=verdict,
            readings=readings,
            waited_s=round(waited, 3),
        )
