"""What is checked before anything is written: cluster, doors, findings, runs that were cut off, drift."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from meshup.engine.drift import moved, stale
from meshup.engine.fold import RunState
from meshup.engine.pinning import held, objects_of, staying_out
from meshup.engine.session import Session
from meshup.model.plan import Basis, Plan
from meshup.model.problem import MeshupError, Refused, Unreachable, UsageError


def blocked(plan: Plan) -> MeshupError:
    """Make the error of a plan with findings that keep it from starting."""
    return Refused(
        f"the plan is blocked by {len(plan.blocked)} finding{'s' if len(plan.blocked) > 1 else ''}",
        code="MU2112",
        problems=plan.blocked,
        fix="mend them, then: meshup plan",
        cluster="nothing was changed",
    )


def check_cluster(session: Session, plan: Plan) -> None:
    """Refuse a plan for another cluster, one-way doors that nobody accepted, and stand-ins on a real cluster."""
    uid = session.cluster.uid()
    if plan.cluster_uid != uid:
        raise Refused(
            f"the plan is for another cluster: {plan.cluster_uid[:8] or 'none'}..., this is {uid[:8]}...",
            code="MU2202",
            why="the UID of namespace kube-system differs",
            fix="choose the right --context, or meshup plan",
            cluster="nothing was changed",
        )
    closed = [door for door in plan.one_way if door not in plan.accepted_one_way]
    if closed:
        raise UsageError(
            f"the plan has a one-way change that was not accepted: {', '.join(closed)}",
            code="MU1009",
            fix=f"--accept-one-way {closed[0]}, or put it under oneWay.accept in the runbook",
            why="it can't be taken back, so it is accepted by its name and by nothing else",
            cluster="nothing was changed",
        )
    if plan.book.mesh.manifests.source == "stand-in" and not session.cluster.is_simulator():
        raise Refused(
            "the runbook uses stand-in manifests, and this is not the simulator",
            code="MU2203",
            fix="set mesh.manifests.from to istioctl, helm or directory, then: meshup plan",
            why="stand-ins only pretend to be a mesh",
            cluster="nothing was changed",
        )


def not_theirs(session: Session, namespace: str, rights: Sequence[str]) -> Unreachable:
    """Make the error of somebody who would act for a service of a namespace that is not theirs. rights: as "verb what"."""
    return Unreachable(
        f"{session.identity.user} may not act for services of namespace {namespace}",
        code="MU7101",
        details=tuple(f"{each} in {namespace}" for each in rights),
        why="that is its owner's: who holds the role meshup-owner there (templates/rbac/owner.yaml)",
        fix=f"ask an owner of {namespace}; or somebody who may grant rights binds that role there, then the command again",
        cluster="nothing was changed, and nothing was recorded",
    )


def interrupted_run(state: RunState) -> Refused:
    """Make the error of a run whose open intents block every other."""
    return Refused(
        f"run {state.run} was cut off in the middle of {len(state.open)} change{'s' if len(state.open) > 1 else ''}",
        code="MU2304",
        details=tuple(f"{each.change}  {each.object}" for each in state.open[:10]),
        why="what it had begun may or may not have happened; only that run knows its way on and back",
        fix=f"meshup apply --resume, or meshup rollback --run {state.run}",
        cluster="nothing was changed",
    )


def unheld(session: Session, plan: Plan, basis: tuple[Basis, ...]) -> tuple[Basis, ...]:
    """Leave out what belongs to services that pins hold elsewhere, or that opted out: the plan leaves them alone."""
    names = {each.service for each in plan.changes() if each.service}
    services = [each for each in plan.book.services if each.id in names]
    holding = held(session.cluster, services, plan)
    out = staying_out(session.cluster, services, plan)
    spared = objects_of(plan, {*holding, *out}) | {pin.workload for pin in holding.values()}
    return tuple(each for each in basis if each.on not in spared)


def refuse_stale(
    session: Session, plan: Plan, basis: tuple[Basis, ...], *, run: str, changed: bool, made: Collection[str] = ()
) -> None:
    """Raise Refused (MU2201) when planned objects are not as the plan saw them. made: UIDs of what the run wrote."""
    basis = unheld(session, plan, basis)
    found = moved(session.cluster, basis, list(plan.changes()), run=run, made=made)
    if found:
        raise stale(found, planned=len(basis), taken_at=plan.taken_at, changed=changed)
