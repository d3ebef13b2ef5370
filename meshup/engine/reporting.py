"""One cluster read for a report: records, pods, releases and revisions, as one view."""

from __future__ import annotations

from meshup.engine.history import NO_RUN
from meshup.engine.session import Session
from meshup.engine.standing import status
from meshup.journal.enforcement import trusted
from meshup.journal.ledger import both
from meshup.journal.release import releases
from meshup.model.held import of_pin
from meshup.model.holds import HoldAt
from meshup.model.moment import stamp
from meshup.model.problem import MeshupError, Refused
from meshup.model.release import Release
from meshup.model.report import Seen, State, View
from meshup.model.runbook import Runbook
from meshup.model.standing import Standing


def view(session: Session, *, book: Runbook | None = None, context: str = "") -> View:
    """Read a cluster; see `looked`."""
    return looked(session, book=book, context=context)[0]


def looked(session: Session, *, book: Runbook | None = None, context: str = "") -> tuple[View, HoldAt | None]:
    """Read a cluster, and when its runbook has a release on hold.

    book: which services are looked at; None = those of the newest run, and without one none. Raises Refused (MU2305) when
    there is neither a runbook, nor a run, nor a record; and what the door raises.
    """
    every, garbled = both(session.cluster)
    known, wrong = releases(session.cluster)
    try:
        standing = status(session, book=book, context=context)
    except Refused as refused:
        if refused.code != NO_RUN or not every:
            raise
        standing = None
    cluster = standing.cluster_uid if standing is not None else session.cluster.uid()
    found = View(
        names=frozenset({context or cluster}),
        cluster=cluster,
        at=stamp(session.clock.now()),
        held=tuple(of_pin(each, cluster=cluster) for each in trusted(session.cluster, every)),
        seen=_seen(standing, cluster) if standing is not None else (),
        looked=standing is not None,
        unseen="" if standing is not None else "no run is on record, and no runbook was given (-f FILE)",
        states=tuple(_state(each) for each in known),
        revisions=standing.revisions if standing is not None else (),
        odd=(*garbled, *wrong),
    )
    return found, standing.holds if standing is not None else None


def unread(name: str, why: MeshupError) -> View:
    """Give what is known of a cluster that could not be read: that it was asked for, and why there is no answer."""
    return View(names=frozenset({name}), cluster="", why=f"{why.what}: {why.why}" if why.why else why.what)


def _state(each: Release) -> State:
    return State(each.version, each.state, stamp(each.ends) if each.ends else "", each.note)


def _seen(standing: Standing, cluster: str) -> tuple[Seen, ...]:
    """Give what each service runs. What a finished wave of the newest apply moved runs that wave's release, or has a record."""
    run = standing.run
    done = (
        {name for place in run.places if place.how == "done" for name in place.services} if run is not None else set()
    )
    moved = done if run is not None and run.kind == "apply" else set()
    found = []
    for each in standing.services:
        one = each.running
        name = f"{one.namespace}/{one.service}"
        # An opt-out keeps plans away and moves nothing: what a wave moved before it is where that wave put it.
        wanted = standing.release if each.opted_in or name in moved else ""
        found.append(
            Seen(
                cluster=cluster,
                namespace=one.namespace,
                service=one.service,
                owner=one.owner,
                releases=one.releases,
                wanted=wanted,
                moved=name in moved,
            )
        )
    return tuple(found)
