"""Folds for people: where the newest run stands, and who runs what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from meshup.engine.fold import RunState
from meshup.engine.history import newest_run, no_runbook
from meshup.engine.opted import in_words, opted, words
from meshup.engine.place import go_on
from meshup.engine.planning import driver_of, snapshot_for
from meshup.engine.running import running
from meshup.engine.session import Session
from meshup.engine.told import NOTHING, told
from meshup.gates.gate import Gate
from meshup.journal.holder import is_dead, read_holder
from meshup.journal.lease import HOLDER, LEASE
from meshup.journal.ledger import holding, is_overdue, pins
from meshup.model.ledger import Pin, Running
from meshup.model.objects import annotated, dig
from meshup.model.optin import OptInRecord
from meshup.model.plan import Plan
from meshup.model.problem import Exit, MeshupError
from meshup.model.runbook import Runbook
from meshup.model.standing import PlaceStanding, RunStanding, ServiceStanding, Standing

GONE = ", whose process is gone: meshup apply --resume takes it over"


def status(
    session: Session, *, book: Runbook | None = None, named: bool = True, run: str = "", context: str = ""
) -> Standing:
    """Say where things stand. book: what services are wanted; None = that of the newest run.

    named: somebody asked for that book; else the newest run's own goes before one of another name and release, as after
    an upgrade, whose runbook is a file of its own. Raises Refused (MU2305) when there is neither a run nor a runbook, and what the door raises.
    """
    found = newest_run(session, run=run)
    state, plan = (None, None) if found is None else (found[0], _plan_or_none(found[1]))
    own = plan.book if plan is not None else None
    meant = own if own is not None and book is not None and not named and _is_other(own, book) else book or own
    by = meant.name if meant is not None and meant is own and book is not None else ""
    if meant is None:
        raise no_runbook("meshup plan, then meshup apply; or name the runbook with -f")
    driver = driver_of(session, meant)
    snapshot = snapshot_for(session, driver, context=context)
    every = pins(session.cluster)
    now = session.clock.now()
    meant = opted(meant, snapshot, driver).book
    standing = None if state is None else run_standing(state, plan, session.gates)
    holder, gone = _holder(session)
    if gone and standing is not None and standing.word == "running":
        standing = _cut_off(standing)
    return Standing(
        at=now,
        cluster_uid=snapshot.cluster_uid,
        context=context,
        server=snapshot.server_version,
        user=session.identity.user,
        run=standing,
        services=_services(meant, running(meant.services, snapshot, driver), every, words(snapshot)[0], now),
        pins=tuple(each for each in every if each.phase in ("Requested", "Active")),
        revisions=tuple(sorted(driver.installed(snapshot).items())),
        holder=holder,
        next=_next(standing, every, now, alive=bool(holder) and not gone),
        by=by,
        release=meant.mesh.release,
        holds=meant.hold_at,
    )


def _is_other(one: Runbook, other: Runbook) -> bool:
    return one.name != other.name and one.mesh.release != other.mesh.release


def _cut_off(run: RunStanding) -> RunStanding:
    """Give a run whose process was killed: it goes no further by itself."""
    places = tuple(replace(each, how="cut off") if each.how == "running" else each for each in run.places)
    return replace(run, word="cut off", places=places, exit=int(Exit.DEADLINE))


def _plan_or_none(read: object) -> Plan | None:
    """Read a run's plan; a stored plan that is damaged leaves the journal to speak for itself."""
    try:
        found = read() if callable(read) else None
    except MeshupError:
        return None
    return found if isinstance(found, Plan) else None


def run_standing(state: RunState, plan: Plan | None, gates: Mapping[str, Gate]) -> RunStanding:
    """Fold a journal and its plan to what a person asks: which places are done, what holds and why, what comes next."""
    last = {each.place: each.judged for each in state.judgements}
    places: list[PlaceStanding] = []
    for stage in plan.stages if plan is not None else ():
        for wave in stage.waves:
            name = stage.place(wave)
            ids = [each.id for each in wave.writes()]
            begun = any(each in state.done for each in ids) or name in last
            judged = last.get(name)
            places.append(
                PlaceStanding(
                    place=name,
                    how=state.places.get(name, ("running" if state.word == "running" else "cut off") if begun else ""),
                    changes=len(ids),
                    done=sum(each in state.done for each in ids),
                    services=wave.services,
                    waiting=wave.waiting,
                    verdict=judged.verdict.answer.word if judged is not None else "",
                    because=judged.verdict.because if judged is not None else "",
                )
            )
    if plan is None:
        places = [PlaceStanding(place=name, how=how, changes=0, done=0) for name, how in state.places.items()]
    stopped = state.stopped
    failed = told(plan, state, gates, stopped.place) if stopped is not None else NOTHING
    return RunStanding(
        run=state.run,
        plan=state.plan,
        kind=state.plan_kind,
        word=state.word,
        user=state.user,
        started_at=state.started_at,
        places=tuple(places),
        open=tuple(f"{each.change}  {each.object}" for each in state.open),
        exit=stopped.exit if stopped is not None else 0,
        why=stopped.why if stopped is not None else "",
        next=stopped.next if stopped is not None else "",
        judgements=tuple({each.judged.gate: each for each in state.judgements}.values()),
        failing=failed.failing,
        likely=failed.likely,
        witnesses=failed.witnesses,
        through=state.through,
    )


def _services(
    book: Runbook, found: Sequence[Running], every: Sequence[Pin], said: Mapping[str, OptInRecord], now: datetime
) -> tuple[ServiceStanding, ...]:
    waves = {name: wave.name for wave in book.waves for name in wave.services}
    standings = []
    for service, one in zip(book.services, found, strict=True):
        pin = holding(every, namespace=service.namespace, service=service.name)
        word = said.get(service.id)
        wanted = book.mesh.release if service.opt_in is not None else ""
        if pin is not None:
            wanted = pin.to_release
        elif word is not None and not word.joins and len(one.releases) == 1:
            # Whoever opted out stays where they are.
            wanted = one.releases[0][0]
        standings.append(
            ServiceStanding(
                running=one,
                wave=waves.get(service.id, ""),
                wanted=wanted,
                opted_in=f"{service.opt_in.by}, {service.opt_in.at:%Y-%m-%d}" if service.opt_in is not None else "",
                word=in_words(word, now),
                pinned=f"{pin.to_release or 'none'} until {pin.ends}" if pin is not None else "",
                overdue=pin is not None and is_overdue(pin, now),
            )
        )
    return tuple(standings)


def _holder(session: Session) -> tuple[str, bool]:
    """Give who has the lock, "" = nobody, and whether that process certainly runs no more."""
    lease = session.cluster.find(LEASE)
    if lease is None or not dig(lease, "spec", "holderIdentity"):
        return "", False
    holder = read_holder(annotated(lease).get(HOLDER, ""))
    if holder is None:
        return str(dig(lease, "spec", "holderIdentity")), False
    gone = is_dead(holder)
    return holder.name + (GONE if gone else ""), gone


def _next(run: RunStanding | None, every: Sequence[Pin], now: datetime, *, alive: bool) -> str:
    if run is not None and run.word == "stopped":
        return run.next or "meshup apply --resume"
    if run is not None and run.open:
        return "meshup apply --resume"
    cut_off = next((each for each in every if each.phase == "Requested"), None)
    if cut_off is not None:
        return f"meshup rollback {cut_off.namespace}/{cut_off.service} --resume"
    if any(is_overdue(each, now) for each in every):
        return "meshup report"
    if run is None or (run.word == "finished" and run.kind != "apply"):
        return "meshup plan"
    if run.word != "finished":
        return "meshup status --watch" if alive else "meshup apply --resume"
    return go_on(run.left) if run.left else "nothing: the run is through; after a change of the runbook: meshup plan"
