"""From a cluster to an export and back: what is written, kept on record, and let go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from meshup.cluster.clock import server_now
from meshup.cluster.errors import Denied, Forbidden, lacking
from meshup.engine.history import readable_book
from meshup.engine.probe import missing_rights
from meshup.engine.session import Session
from meshup.journal import exports, retention
from meshup.journal.enforcement import enforcement
from meshup.journal.export import Export, appended
from meshup.journal.gather import gathered
from meshup.journal.home import HOME
from meshup.model.exports import Due, Retention
from meshup.model.holds import HoldAt
from meshup.model.moment import stamp
from meshup.model.problem import Refused
from meshup.model.runbook import Runbook


def further(session: Session, before: Export | None, *, path: str) -> tuple[bytes, exports.Head, int]:
    """Read the ledger and give the lines that go behind a checked export (None = a new one), and how many are records.

    Raises Refused (MU2319) when the file is of another cluster, or not the last one of its chain that was written.
    """
    cluster, at = session.cluster, stamp(server_now(session.clock))
    if before is not None:
        is_last(session, before, path=path)
    lines, chain, new = appended(before, gathered(cluster), cluster=cluster.uid(), at=at)
    start = before.start if before else _start(lines)
    sealed = at if lines or before is None else before.at
    head = exports.Head(start=start, head=chain.head, lines=chain.seq, at=sealed, by=session.identity.user)
    return lines, head, new


def _start(lines: bytes) -> str:
    return lines[: lines.index(b"\n")][-66:-2].decode()


def keep(session: Session, head: exports.Head) -> str:
    """Put an export on record; give why that could not be, "" = it is."""
    try:
        exports.keep(session.cluster, head)
    except (Forbidden, Denied) as refused:
        return refused.what
    return ""


def is_last(session: Session, found: Export, *, path: str, needed: bool = False) -> None:
    """Raise Refused (MU2319) unless an export is of this cluster and holds the newest one of its chain that is on record.

    needed: one that is not on record at all is refused too.
    """
    uid = session.cluster.uid()
    if found.cluster != uid:
        raise _other(path, f"it is of the cluster {found.cluster}, and this is {uid}", "name this cluster's export")
    last = exports.newest(exports.heads(session.cluster), found.start)
    if last is None and needed:
        raise _other(path, "no export that begins like it is on record here", "meshup ledger export --out FILE")
    if last is not None and last.head not in found.heads:
        why = f"the last one on record has {last.lines} lines, from {last.at}, and the head {last.head[:12]}"
        raise _other(path, why, "name the newest file of that chain, or begin another: meshup ledger export --out FILE")


def _other(path: str, why: str, fix: str) -> Refused:
    return Refused(
        f"{path} is not the newest export of this cluster's ledger",
        code="MU2319",
        why=why,
        fix=fix,
        cluster="nothing was changed",
    )


def retained(
    session: Session, found: Export, *, path: str, stay_s: float, most: int, book: Runbook | None = None
) -> Retention:
    """Say which pins go, and which rights are missing for it. found: a checked export.

    book: when a release is on hold; None = that of the newest run. Raises Refused (MU2319) when the export is not on record.
    """
    is_last(session, found, path=path, needed=True)
    meant = book or readable_book(session)
    at = meant.hold_at if meant is not None else HoldAt()
    now = server_now(session.clock)
    due = retention.due(session.cluster, found, path=path, now=now, at=at, stay_s=stay_s, most=most)
    return replace(due, missing=missing_rights(session.cluster, _takes(session, due)))


def _takes(session: Session, due: Retention) -> tuple[str, ...]:
    """Name the rights that letting pins go takes; the last two are asked for by the policies alone, where they are."""
    spaces = sorted({each.pin.namespace for each in due.going} | {HOME}) if due.going else []
    rights = ["delete meshup.dev/meshpins", "patch meshup.dev/meshpins/status"]
    if spaces and enforcement(session.cluster).state != "missing":
        rights += ["export meshup.dev/meshpins", "retain meshup.dev/meshpins"]
    return tuple(f"{right} {space}" for right in rights for space in spaces)


def let_go(session: Session, due: Retention) -> Iterator[tuple[Due, str]]:
    """Delete them, one by one; see retention.let_go. Raises Forbidden (MU7101) with every right that is missing."""
    if due.missing:
        raise lacking(session.identity.user, due.missing, role="retention.yaml")
    return retention.let_go(session.cluster, due.going)
