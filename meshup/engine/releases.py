"""What the platform owner sees of releases, and decides: who runs what, and which release may be gone to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from meshup.cluster.errors import Forbidden
from meshup.engine.history import newest_book
from meshup.engine.planning import driver_of, snapshot_for
from meshup.engine.qualifying import on_record
from meshup.engine.running import running
from meshup.engine.session import Session
from meshup.engine.wait import Pause
from meshup.journal.enforcement import trusted
from meshup.journal.ledger import pins
from meshup.journal.release import OWNERS, find, keep, let_owners, order, releases
from meshup.model.against import in_words, with_block
from meshup.model.held import Held
from meshup.model.holds import HoldAt, verdicts, went_back
from meshup.model.ledger import Running
from meshup.model.problem import GateHeld, Refused, UsageError
from meshup.model.qualification import Qualification, still
from meshup.model.release import (
    LEADS,
    MOST_ISSUES,
    Move,
    Moved,
    Release,
    Releases,
    ReleaseStanding,
    Runs,
    is_possible,
    moved,
    name_of,
    state_of,
)
from meshup.model.runbook import Runbook
from meshup.model.text import clean

MOST_NAMED, MOST_REASON = 20, 256


def listed(session: Session, *, book: Runbook | None = None, context: str = "") -> Releases:
    """Say what is on record, installed and running. book: None = that of the newest run; without either, services are unknown.

    Raises what the door raises.
    """
    meant = book or newest_book(session)
    records, odd = releases(session.cluster)
    now, installed, unread = session.clock.now(), dict[str, str](), tuple[str, ...]()
    seen: tuple[Running, ...] = ()
    if meant is not None:
        driver = driver_of(session, meant)
        snapshot = snapshot_for(session, driver, context=context)
        installed, uid = dict(driver.installed(snapshot)), snapshot.cluster_uid
        seen = running(meant.services, snapshot, driver)
    else:
        uid, unread = session.cluster.uid(), ("who runs what: no run is on record, and no runbook was given (-f FILE)",)
    at = _hold_at(meant)
    every = trusted(session.cluster, pins(session.cluster))
    mesh = meant.mesh.driver if meant is not None else ""
    known = {each.version: each for each in records if meant is None or each.mesh == mesh}
    states = {name: each.state for name, each in known.items()}
    judged = verdicts(every, seen if meant is not None else None, now=now, at=at, cluster=uid, states=states)
    away = went_back(every, now=now, at=at, cluster=uid)
    names = {*known, *installed.values(), *(name for each in seen for name, _ in each.releases), *judged} - {""}
    return Releases(
        at=now,
        cluster_uid=uid,
        context=context,
        user=session.identity.user,
        mesh=mesh,
        releases=tuple(
            ReleaseStanding(
                version=name,
                record=known.get(name),
                revisions=tuple(sorted(revision for revision, release in installed.items() if release == name)),
                runs=_runs(name, seen),
                verdict=with_block(judged.get(name), known.get(name), at=at),
                away=away.get(name, ()),
            )
            for name in sorted(names, key=order, reverse=True)
        ),
        odd=odd,
        unread=unread,
    )


def decide(
    session: Session,
    move: Move,
    version: str,
    *,
    reason: str = "",
    book: Runbook | None = None,
    ends: datetime | None = None,
    issues: Sequence[str] = (),
    context: str = "",
) -> Moved:
    """Carry out one decision and record who, when and why in the same write; nothing is written when it is so already.

    Raises Refused: MU3501 for a move that does not lead on from where the release is, MU3502 for one that is not on
    record, MU3505, MU3507 for a promotion that has neither evidence nor a reason; GateHeld (MU3503) for a promotion while the release is on hold.
    """
    meant = book or newest_book(session)
    before = find(session.cluster, version)
    if move == "add" and state_of(before) in ("supported", "deprecated") and not (ends or issues):
        assert before is not None
        return Moved(move=move, release=before, before=before.state, wrote=False)
    _check(session, move, before, version=version, reason=reason, ends=ends)
    seen, revisions, uid = _seen(session, meant, version, context)
    runs = _runs(version, seen or ())
    away: tuple[Held, ...] = ()
    evidence: Qualification | None = None
    if move == "promote":
        fresh = state_of(before) != "supported"
        away = _against(session, version, seen, at=_hold_at(meant), cluster=uid, state=state_of(before))
        evidence = _evidence(session, before, version, runs) if fresh else None
        if fresh and evidence is None and not reason:
            raise _unqualified(version)
    now = session.clock.now().replace(microsecond=0)
    of_book = meant is not None and meant.mesh.release == version
    after = moved(
        before,
        move,
        mesh=before.mesh if before is not None else _mesh(session, meant),
        version=version,
        by=session.identity.user,
        at=now,
        reason=reason or (clean(evidence.words(), limit=MOST_REASON) if evidence is not None else ""),
        ends=ends,
        issues=tuple(issues),
        digest=meant.mesh.manifests.digest if meant is not None and of_book else "",
    )
    if len(after.issues) > MOST_ISSUES:
        raise UsageError(
            f"release {version} would have {len(after.issues)} known issues, at most {MOST_ISSUES} are kept",
            code="MU3504",
            fix=f"kubectl edit meshrelease {name_of(version)} takes old ones out",
            cluster="nothing was changed",
        )
    kept, wrote = after, after != before
    if wrote:
        pause = Pause(session, beat=lambda: None, next_command=f"meshup releases {move} {version}")
        kept = keep(session.cluster, before, after, pause=pause.sleep)
    owners = _let_owners(session, kept)
    return Moved(
        move=move,
        release=kept,
        before=state_of(before),
        wrote=wrote or owners,
        owners=owners,
        runs=runs,
        revisions=revisions,
        away=away,
        evidence=evidence,
    )


def _evidence(session: Session, found: Release | None, version: str, runs: Sequence[Runs]) -> Qualification | None:
    """Give who qualified a release and runs it still: by its own record, else by the journals."""
    on = {each.service for each in runs}
    recorded = still(found.qualified if found is not None else None, on)
    return recorded or still(on_record(session, version), on)


def _unqualified(version: str) -> Refused:
    return Refused(
        f"nobody qualified release {version}, and no reason was given to support it all the same",
        code="MU3507",
        why="no run on record has a wave of critical services that ran it, still do, and whose gates held",
        fix=f"meshup upgrade --to {version}; or, on your word: meshup releases promote {version} --reason TEXT",
        cluster="nothing was changed",
    )


def _let_owners(session: Session, release: Release) -> bool:
    """Let owners pin what is supported, and nothing else. A second call does what a first one was not permitted."""
    try:
        return let_owners(session.cluster, release.version, may=release.state == "supported")
    except Forbidden as refused:
        raise Forbidden(
            f"release {release.version} is {release.state}, but who may pin it was not changed: {refused.what}",
            code="MU7101",
            why=refused.why,
            fix=f"somebody who may patch the ClusterRole {OWNERS.name} runs the same command again",
            cluster="the release itself is on record as decided",
        ) from None


def _check(
    session: Session, move: Move, before: Release | None, *, version: str, reason: str, ends: datetime | None
) -> None:
    """Raise Refused for a move that can't be made."""
    if before is None and move != "add":
        records, _ = releases(session.cluster)
        known = ", ".join(each.version for each in records)
        raise Refused(
            f"release {version} is not on record",
            code="MU3502",
            why=f"on record are: {known}" if known else "no release is",
            fix=f"meshup releases add {version}      then: meshup releases {move} {version} --reason TEXT",
            cluster="nothing was changed",
        )
    if not is_possible(move, before):
        raise _impossible(move, before, version)
    if move == "add" and before is not None and before.state == "blocked" and not reason:
        raise Refused(
            f"release {version} is blocked, and no reason was given to make it a candidate again",
            code="MU3501",
            why=_why_so(before),
            fix=f"meshup releases add {version} --reason TEXT",
            cluster="nothing was changed",
        )
    until = ends or (before.ends if before is not None else None)
    if move == "promote" and until is not None and until <= session.clock.now():
        raise Refused(
            f"release {version} can't be supported: its support ended {until:%Y-%m-%d}",
            code="MU3501",
            fix=f"meshup releases promote {version} --end-of-support DATE --reason TEXT",
            cluster="nothing was changed",
        )


def _impossible(move: Move, before: Release | None, version: str) -> Refused:
    to, sources = LEADS[move]
    assert before is not None
    way = {
        "blocked": f"meshup releases add {version} --reason TEXT makes it a candidate again, to be qualified anew",
        "candidate": f"meshup releases block {version} --reason TEXT, or promote it first",
    }
    return Refused(
        f"release {version} is {before.state}, and can't become {to}",
        code="MU3501",
        why=f"{_why_so(before)}; {to} is what {' or '.join(sorted(each or 'a new release' for each in sources))} becomes",
        fix=way.get(before.state, "meshup releases shows what is on record"),
        cluster="nothing was changed",
    )


def _why_so(found: Release) -> str:
    last = found.decided
    if last is None:
        return f"it was recorded as {found.state}"
    return f"{last.by} made it {last.state} on {last.at:%Y-%m-%d}: {last.reason or 'no reason was given'}"


def _against(
    session: Session, version: str, seen: Sequence[Running] | None, *, at: HoldAt, cluster: str, state: str
) -> tuple[Held, ...]:
    """Give the records that count against a release. seen: None = not looked.

    Raises GateHeld (MU3503) when they hold it, unless it is supported already.
    """
    every, now = trusted(session.cluster, pins(session.cluster)), session.clock.now()
    found = verdicts(every, seen, now=now, at=at, cluster=cluster, states={version: state}).get(version)
    away = went_back(every, now=now, at=at, cluster=cluster).get(version, ())
    if state == "supported" or found is None or found.answer != "hold":
        return away
    raise GateHeld(
        f"release {version} is on hold and is not promoted",
        code="MU3503",
        why=found.because,
        details=tuple(in_words(each) for each in away[:MOST_NAMED]),
        fix=f"mend what they met with, then: meshup releases promote {version}; meshup report --version {version}",
        cluster="nothing was changed",
    )


def _seen(
    session: Session, book: Runbook | None, version: str, context: str
) -> tuple[tuple[Running, ...] | None, tuple[str, ...] | None, str]:
    """Give what the services of a runbook run, the revisions that serve a release, and the cluster's UID.

    Without a runbook nothing says where to look: None.
    """
    if book is None:
        return None, None, session.cluster.uid()
    driver = driver_of(session, book)
    snapshot = snapshot_for(session, driver, context=context)
    revisions = tuple(
        sorted(revision for revision, release in driver.installed(snapshot).items() if release == version)
    )
    return running(book.services, snapshot, driver), revisions, snapshot.cluster_uid


def _runs(version: str, seen: Sequence[Running]) -> tuple[Runs, ...]:
    return tuple(
        Runs(
            service=f"{each.namespace}/{each.service}",
            owner=each.owner,
            pods=dict(each.releases)[version],
            whole=len(each.releases) == 1,
        )
        for each in sorted(seen, key=lambda one: (one.namespace, one.service))
        if version in dict(each.releases)
    )


def _mesh(session: Session, book: Runbook | None) -> str:
    """Name the mesh of a release that is new: the runbook's, else the only one there is a driver for."""
    if book is None and len(session.drivers) != 1:
        raise UsageError(
            "which mesh the release is of is not known",
            code="MU2110",
            why=f"known are: {', '.join(sorted(session.drivers))}",
            fix="name the runbook with -f",
            cluster="nothing was changed",
        )
    return book.mesh.driver if book is not None else next(iter(session.drivers))


def _hold_at(book: Runbook | None) -> HoldAt:
    return book.hold_at if book is not None else HoldAt()
