"""An approval: given by a person for one place of one plan, with an end, and not by the one who applies."""

from __future__ import annotations

from datetime import timedelta

from meshup.engine.history import newest_run
from meshup.engine.place import places
from meshup.engine.session import Session
from meshup.journal.approvals import approve as store
from meshup.model.journal import Approved
from meshup.model.moment import stamp
from meshup.model.plan import Plan
from meshup.model.problem import Refused, UsageError

LASTS = timedelta(days=1)


def approve(session: Session, place: str, *, plan: Plan | None = None, lasts: timedelta = LASTS) -> Approved:
    """Let a stage or wave that waits for approval begin. plan: a saved one; else that of the newest run.

    Raises Refused: MU2331 without a run, MU2333 when the one who applies approves; UsageError MU2332 when the place
    does not wait for an approval.
    """
    found = newest_run(session)
    if plan is None:
        if found is None or found[0].finished is not None:
            raise Refused(
                "there is no run that could wait for an approval",
                code="MU2331",
                fix="meshup approve STAGE PLANFILE approves a saved plan; meshup status shows runs",
                cluster="nothing was changed",
            )
        plan = found[1]()
    waiting = [
        each.name
        for each in places(plan)
        if any(gate.kind == "approval" for gate in each.wave.asks()) and place in (each.name, each.stage.name)
    ]
    if not waiting:
        named = [each.name for each in places(plan) if any(gate.kind == "approval" for gate in each.wave.asks())]
        raise UsageError(
            f'"{place}" of plan {plan.id} does not wait for an approval',
            code="MU2332",
            why=f"these do: {', '.join(named)}" if named else "no stage of it does",
            fix="correct the name; meshup status shows what a run waits for",
            cluster="nothing was changed",
        )
    applier = found[0].user if found is not None and found[0].plan == plan.digest else plan.user
    if session.identity.user == applier:
        raise Refused(
            f"{session.identity.user} applies this plan and can't approve it too",
            code="MU2333",
            why="an approval comes from a second person, as the API server names them",
            fix="ask a colleague to run: meshup approve " + place,
            cluster="nothing was changed",
        )
    now = session.clock.now()
    given = Approved(at=stamp(now), place=place, user=session.identity.user, plan=plan.digest, until=stamp(now + lasts))
    store(session.cluster, given)
    return given
