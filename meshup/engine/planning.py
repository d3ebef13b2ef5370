"""Make a plan: observe, draft, probe, plan. Reads only; asks the server for nothing but lists and dry runs."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from meshup.cluster.errors import Forbidden
from meshup.engine.draft import draft
from meshup.engine.findings import compares
from meshup.engine.observe import bound_to, observe, with_objects
from meshup.engine.plan import plan
from meshup.engine.probe import probe
from meshup.engine.session import Session
from meshup.gates.evidence.checking import Facts, facts
from meshup.gates.gate import Eyes
from meshup.gates.reconnects import reconnects
from meshup.meshes.driver import Driver
from meshup.model.change import moves_pods
from meshup.model.pace import Reconnects
from meshup.model.plan import Plan
from meshup.model.problem import UsageError
from meshup.model.runbook import Runbook, Service
from meshup.model.snapshot import Snapshot


def make_plan(
    session: Session, book: Runbook, *, context: str = "", full: bool = False, accept: Sequence[str] = ()
) -> Plan:
    """Plan a runbook against the cluster of the session.

    full: every object is dry-run, not only what is changed or new. accept: one-way doors by name. Raises Refused
    (MU2202) for another cluster, UsageError (MU2110) for a driver that is not there, and what the door raises.
    """
    driver = driver_of(session, book)
    snapshot = snapshot_for(session, driver, context=context)
    bound_to(snapshot, book.cluster_uid, what=f"the runbook {book.name}")
    return plan_from(session, book, snapshot, driver, full=full, accept=accept)


def driver_of(session: Session, book: Runbook) -> Driver:
    """Give the driver a runbook names."""
    found = session.drivers.get(book.mesh.driver)
    if found is None:
        raise UsageError(
            f'there is no driver "{book.mesh.driver}"',
            code="MU2110",
            why=f"known are: {', '.join(sorted(session.drivers))}",
            fix="correct mesh.driver in the runbook",
            cluster="not contacted",
        )
    return found


def groups_of(driver: Driver) -> tuple[str, ...]:
    """Give the API groups whose objects the driver reads."""
    return tuple(getattr(driver, "groups", ()))


def snapshot_for(session: Session, driver: Driver, *, context: str = "", spaces: Sequence[str] = ()) -> Snapshot:
    """Observe the cluster of a session for a driver, its kinds afresh: an earlier call may have installed some.

    spaces: namespaces that are enough where the whole cluster may not be read.
    """
    session.cluster.forget_kinds()
    return observe(
        session.cluster,
        session.clock,
        identity=session.identity,
        groups=groups_of(driver),
        context=context,
        spaces=spaces,
    )


def plan_from(
    session: Session,
    book: Runbook,
    snapshot: Snapshot,
    driver: Driver,
    *,
    full: bool = False,
    accept: Sequence[str] = (),
) -> Plan:
    """Plan a runbook from a snapshot that is at hand; objects of further kinds are read when a step names them."""
    drafting = draft(book, snapshot, steps=session.steps, driver=driver)
    refs = [each.draft.change.on for _, each in drafting.drafts()]
    wider = with_objects(session.cluster, snapshot, refs, groups=groups_of(driver))
    if wider is not snapshot:
        drafting = draft(book, wider, steps=session.steps, driver=driver)
    probed = probe(session.cluster, wider, drafting, driver=driver, full=full)
    told = _facts(session, drafting.book, driver)
    moving = {each.draft.service for _, each in drafting.drafts() if moves_pods(each.draft.change)}
    return plan(
        drafting,
        probed,
        driver=driver,
        gates=session.gates,
        accept=accept,
        facts=told,
        paced=_paced(session, drafting.book, driver, moving),
    )


def _paced(session: Session, book: Runbook, driver: Driver, moving: Collection[str]) -> tuple[Reconnects, ...]:
    """Count what the services that restart make their callers open anew, where the runbook paces by that."""
    services = tuple(each for each in book.services if each.id in moving)
    if not book.pacing.new_connections_per_s or not services:
        return ()
    if "proxy-counters" not in driver.capabilities:
        return tuple(Reconnects(service=each.id) for each in services)
    try:
        return reconnects(_eyes(session, book, driver, services))
    except Forbidden:
        return tuple(Reconnects(service=each.id) for each in services)


def _facts(session: Session, book: Runbook, driver: Driver) -> Facts | None:
    """Ask what the runbook's Prometheus could tell of two revisions, where a gate compares them and one is named."""
    kinds = {each.kind for stage in book.stages for each in stage.gates}
    if not book.metrics.service or not any(compares(session.gates[each]) for each in kinds):
        return None
    services = tuple(each for each in book.services if each.opt_in is not None)
    try:
        return facts(_eyes(session, book, driver, services))
    except Forbidden:
        return None


def _eyes(session: Session, book: Runbook, driver: Driver, services: tuple[Service, ...]) -> Eyes:
    return Eyes(
        cluster=session.cluster,
        driver=driver,
        clock=session.clock,
        book=book,
        services=services,
        place="",
        revision=book.mesh.revision,
    )
