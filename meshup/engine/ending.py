"""How a run ends: one outcome that every format shows, and the entry that says so in the journal."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from meshup.engine.fold import RunState
from meshup.engine.holding import Run
from meshup.engine.log import RunLog
from meshup.engine.place import go_on, places
from meshup.engine.session import Session
from meshup.engine.told import told
from meshup.journal.pin import from_body
from meshup.model.events import Outcome, StepReached
from meshup.model.journal import Judgement
from meshup.model.ledger import Pin
from meshup.model.plan import Plan
from meshup.model.problem import Exit, MeshupError


def of_error(stopped: MeshupError) -> Outcome:
    """Make the outcome of an error that ended a run."""
    why = f"{stopped.what}: {stopped.why}" if stopped.why else stopped.what
    return Outcome(
        exit=int(stopped.exit),
        run="",
        plan="",
        kind="",
        code=stopped.code,
        why=why,
        details=stopped.details,
        kept=stopped.cluster or "everything that was done is in the journal",
        next=(stopped.fix,),
    )


def ended(run: Run, log: RunLog, outcome: Outcome, place: str) -> Outcome:
    """Store the stop and complete the outcome; a stop that can't be stored changes nothing of it."""
    try:
        log.flush()
        log.stopped(
            code=outcome.exit, why=outcome.why, next_command=outcome.next[0] if outcome.next else "", place=place
        )
    except MeshupError:
        pass
    if outcome.exit in (Exit.UNDONE, Exit.GATE_HELD):
        found = told(run.plan, log.state, run.session.gates, place)
        outcome = replace(outcome, failing=found.failing, likely=found.likely, witnesses=found.witnesses)
    return result(run, log, replace(outcome, stopped=place))


def result(run: Run, log: RunLog, outcome: Outcome) -> Outcome:
    """Complete an outcome with what the run has done so far."""
    state = log.state
    written = sum(each.wrote for each in state.done.values())
    counters = getattr(run.session.cluster, "counters", None)
    return replace(
        outcome,
        run=state.run,
        plan=run.plan.id,
        kind=run.plan.kind,
        places=tuple(state.places.items()),
        judgements=_last_of_each(log),
        steps=steps_reached(run.plan, state, stopped=outcome.stopped),
        planned=sum(1 for _ in run.plan.changes()),
        written=written,
        already_right=len(state.done) - written,
        requests=counters.requests if counters is not None else 0,
        mutations=counters.mutations if counters is not None else 0,
        took_s=run.session.clock.elapsed() - run.began,
    )


def _last_of_each(log: RunLog) -> tuple[Judgement, ...]:
    found: dict[str, Judgement] = {}
    for each in log.state.judgements:
        found.pop(each.judged.gate, None)
        found[each.judged.gate] = each
    return tuple(found.values())


def steps_reached(plan: Plan, state: RunState, *, stopped: str = "") -> tuple[StepReached, ...]:
    """Say how far each step came, in the order of the plan. stopped: the place the run stopped in, reached or not."""
    found = []
    for place in places(plan):
        changes = place.changes()
        if (
            place.name not in state.places
            and place.name != stopped
            and not any(each.id in state.done for each in changes)
        ):
            continue
        for step in dict.fromkeys(each.step for each in changes):
            own = [state.done.get(each.id) for each in changes if each.step == step]
            done = [each for each in own if each is not None]
            found.append(
                StepReached(
                    place=place.name,
                    step=step,
                    changes=len(own),
                    done=len(done),
                    wrote=sum(each.wrote for each in done),
                    how=state.places.get(place.name, ""),
                )
            )
    return tuple(found)


def left_of(plan: Plan, state: RunState) -> tuple[str, ...]:
    """Give the places of a plan that its run has not done, in order."""
    return tuple(each.name for each in places(plan) if state.places.get(each.name) != "done")


def own_pins(pin: Pin) -> str:
    """Give the command that lists the pins of one namespace, which is all that an owner may."""
    return f"meshup pins -n {pin.namespace}"


def plan_of(session: Session, service: str) -> str:
    """Give the command that shows what a plan does to a service, "" for somebody who may not read what a plan reads."""
    reads = ("namespaces", "apps/deployments")
    may = session.cluster.gather([partial(session.cluster.can_i, "list", each) for each in reads])
    return f"meshup plan --service {service}" if all(may) else ""


def after(plan: Plan, state: RunState) -> str:
    """Say what comes after a run that did what it was asked: its other places, or how things stand now."""
    if plan.kind != "apply":
        return own_pins(from_body(plan.pin)) if plan.pin else "meshup status; to go on with the rollout: meshup plan"
    left = left_of(plan, state)
    return go_on(left) if left else "meshup status"


def stays(plan: Plan) -> str:
    """Say how long a rollback of one service is meant to stay; "" for any other plan."""
    if plan.pin is None:
        return ""
    pin = from_body(plan.pin)
    where = f"on {pin.to_release}" if pin.to_release else "out of the mesh"
    return (
        f"{pin.namespace}/{pin.service} stays {where} until {pin.ends}, then is listed "
        "as overdue; nothing moves it silently"
    )
