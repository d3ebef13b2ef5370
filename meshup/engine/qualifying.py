"""A release goes from candidate to supported by evidence: which run's critical users ran it, and that its gates held."""

from __future__ import annotations

from collections import Counter

from meshup.cluster.errors import Forbidden
from meshup.engine.fold import RunState, fold
from meshup.engine.holding import Run
from meshup.engine.log import RunLog
from meshup.engine.place import Place, places
from meshup.engine.planfile import parse
from meshup.engine.session import Session
from meshup.gates.people import Soak
from meshup.gates.proxies_right import ProxiesRight
from meshup.journal.plans import read_plan
from meshup.journal.release import keep_qualified
from meshup.journal.runs import heads, open_store
from meshup.model.moment import instant, stamp
from meshup.model.plan import Plan
from meshup.model.problem import MeshupError
from meshup.model.qualification import Qualification
from meshup.model.verdict import Answer

MOST_RUNS = 20
"""Newest runs that are looked through; an older qualification is on record in the release itself."""


def of_place(plan: Plan, state: RunState, place: Place) -> Qualification | None:
    """Say what a place that is done proves of the plan's release; None when it proves nothing.

    It has to be a wave that qualifies, somebody has to have stayed in it, and their pods have to have run the release.
    Services that are declared to have little traffic qualify nothing: nobody can tell by them that a release is good.
    """
    qualifies = {each.name for each in plan.book.waves if each.qualifies}
    if plan.kind != "apply" or place.wave.name not in qualifies or state.places.get(place.name) != "done":
        return None
    gone = {service for where, service in state.left if where == place.name}
    owners = {each.id: each.owner for each in plan.book.services}
    gone |= {each.id for each in plan.book.services if each.low_traffic is not None}
    users = tuple((each, owners.get(each, "")) for each in place.wave.services if each not in gone)
    gates = {each.id: each for each in place.wave.gates}
    judged = {
        each.judged.gate: each for each in state.judgements if each.place == place.name and each.judged.gate in gates
    }
    held = [each for each in judged.values() if each.judged.verdict.answer is Answer.PASS]
    kinds = tuple(each.judged.kind for each in held)
    if not users or ProxiesRight.kind not in kinds:
        return None
    soaks = [float(gates[each.judged.gate].params.get("for") or 0.0) for each in held if each.judged.kind == Soak.kind]
    shown = tuple(name for name in Counter(kinds) if name != Soak.kind)
    return Qualification(
        run=state.run, at=stamp(instant(held[-1].at)), users=users, soak_s=max(soaks, default=0.0), gates=shown
    )


def record(run: Run, log: RunLog, place: Place) -> None:
    """Keep in the release what a place proved of it. Never raises and holds nothing up: the journal has it too."""
    found = of_place(run.plan, log.state, place)
    if found is None or run.lock is None:
        return
    try:
        keep_qualified(run.session.cluster.once(), run.plan.release, found)
    except MeshupError:
        return


def on_record(session: Session, release: str) -> Qualification | None:
    """Find the newest qualification of a release in the journals; None when there is none that can be read.

    One whose run was taken back is none.
    """
    taken: set[str] = set()
    try:
        for head in [*reversed(heads(session.cluster))][:MOST_RUNS]:
            state = fold(open_store(session.cluster, head.run, epoch=head.epoch, folder=None).entries())
            plan = parse(read_plan(session.cluster, state.plan), where=f"the plan of run {state.run}")
            taken.add(plan.takes_back)
            if plan.release != release or state.run in taken:
                continue
            found = next(filter(None, (of_place(plan, state, each) for each in places(plan))), None)
            if found is not None:
                return found
    except (Forbidden, ValueError):
        return None
    return None
