"""The report on releases as text and as a document: who runs what, who went back, why, until when, and what that means."""

from __future__ import annotations

from typing import Any

from meshup.model.counts import TRUSTS, Counts
from meshup.model.moment import instant
from meshup.model.report import ReleaseRow, Report, Row
from meshup.model.text import clean
from meshup.views.documents import document
from meshup.views.spans import bounds
from meshup.views.table import amount, columns, folded

NONE = "none"
LISTED = 20
WIDE = 100
"""From so many columns on, all numbers of a release stand in one line."""


def release(value: str) -> str:
    """Say a release; out of the mesh is "none"."""
    return clean(value) or NONE


def counts(found: Counts) -> str:
    """Say numbers of different trust apart: "3", "3 + 1 declared", "2 declared + 1 inferred"; "0" for none."""
    said = [str(found.enforced)] if found.enforced else []
    said += [f"{count} {trust}" for trust, count in zip(TRUSTS[1:], found[1:], strict=True) if count]
    return " + ".join(said) or "0"


def reach(found: Report) -> str:
    """Say of how many clusters a report speaks: "" when all of one were read, else "2 of 3 clusters"."""
    missing = len(found.unread)
    if not missing and len(found.clusters) < 2:
        return ""
    return f"{len(found.clusters) - missing} of {amount(len(found.clusters), 'cluster')}"


def looked(found: Report) -> str:
    """Say how many services were looked at, or at least so many, or that none were."""
    if found.is_blind and not found.unread:
        return "the records alone,"
    least = "at least " if found.unread or found.unseen else ""
    return f"{least}{amount(found.services, 'service')}"


def at_least(found: Report, said: str) -> str:
    """Say counts, or what they are at least when a cluster could not be read."""
    return f"at least {said}" if found.unread else said


def where(found: Report) -> str:
    """Name the cluster, or the clusters."""
    if len(found.clusters) == 1 and found.clusters[0].cluster:
        return f"on cluster {found.clusters[0].cluster[:8]}..."
    return f"on {reach(found)}"


def who(row: Row) -> str:
    """Name the person, and apart from them the account that asked for them."""
    if not row.held.who:
        return "(unknown)"
    asked = f" by {clean(row.held.user)}" if row.held.user != row.held.who else ""
    return clean(row.held.who) + asked


def lasting(row: Row) -> tuple[str, str]:
    """Say when a record began, and when it ends or how it ended; what was inferred has no time."""
    if not row.held.since:
        return "-", "-"
    since, until = bounds(instant(row.held.since), instant(row.held.until))
    if row.held.phase in ("Closed", "Failed"):
        return since, "ended" if row.held.phase == "Closed" else "failed"
    return since, until + (" OVERDUE" if row.overdue else "")


def note(row: Row) -> str:
    """Say why, and what else is to be known."""
    marks = [
        *(["renewed"] if row.renews else []),
        *(["not in effect: the pods run something else"] if row.effect == "no" else []),
    ]
    return clean(row.held.reason) + (f" ({'; '.join(marks)})" if marks else "")


def service(row: Row, found: Report) -> str:
    """Name a service, and its cluster where there are several."""
    name = f"{clean(row.held.namespace)}/{clean(row.held.service)}"
    return f"{row.held.cluster[:8]} {name}" if len(found.clusters) > 1 else name


HEAD = ("release", "state", "on", "partly", "rolled back", "in effect", "temporary", "overdue", "renewed", "verdict")
ROWS = ("user", "service", "from -> to", "since", "until", "trust", "reason")


def cells(each: ReleaseRow, *, blind: bool) -> tuple[str, ...]:
    """Give the line of a release; rolled back and in effect count services. blind: no pods were looked at."""
    return (
        release(each.release),
        each.state.state or "-",
        "?" if blind else str(each.on),
        "?" if blind else str(each.partly),
        counts(each.services_ever),
        counts(each.services_active),
        counts(each.temporary),
        counts(each.overdue),
        counts(each.renewed),
        each.verdict.answer,
    )


def row_cells(row: Row, found: Report) -> tuple[str, ...]:
    """Give the line of a record."""
    held = row.held
    return (
        who(row),
        service(row, found),
        f"{release(row.origin)} -> {release(held.to)}",
        *lasting(row),
        held.trust,
        note(row),
    )


def text(found: Report, *, width: int) -> str:
    """Show it on a screen: at most LISTED records that ended; everything in effect."""
    since = f", since {found.since}" if found.since else ""
    lines = [f"report    {looked(found)} {where(found)}, as of {found.at}{since}"]
    if found.releases:
        lines += _releases(found, width)
    if found.releases and found.unread:
        lines.append(f"counts    of {reach(found)}, so each is at least that")
    for each in found.releases:
        if each.verdict.answer == "hold":
            trust = f" (trust: {each.verdict.trust})" if each.verdict.trust else ""
            lines.append(
                folded(f"hold      {release(each.release)}: {clean(each.verdict.because)}{trust}", width=width)
            )
        said = [f"{clean(reason.text)} ({counts(reason.counts)})" for reason in each.reasons[:3]]
        if said and found.version:
            lines.append(folded(f"reasons   {'; '.join(said)}", width=width))
            lines.append(folded(f"trend     {trend(each)}", width=width))
    ended = [row for row in found.rows if not row.held.is_open]
    shown = [row for row in found.rows if row.held.is_open] + ended[-LISTED:]
    if shown:
        lines.append(columns([row_cells(row, found) for row in shown], header=ROWS, width=width))
    else:
        lines.append("rollbacks none on record")
    hidden = found.ended_more + len(ended) - len(ended[-LISTED:])
    if hidden:
        lines.append(f"ended     {amount(hidden, 'more record')} not listed here: meshup ledger export")
    lines += [folded(f"unknown   {each}", width=width) for each in missing(found)]
    lines += [f"odd       {clean(each)}: a record that can't be read" for each in found.odd]
    usual = "nothing is overdue; each record: meshup pins"
    if found.is_blind:
        usual = "nothing is overdue; a verdict takes the pods of the cluster: meshup report -f meshup.yaml"
    lines.append(f"Next      {clean(found.next) or usual}")
    return "\n".join(lines)


def missing(found: Report) -> tuple[str, ...]:
    """Say what a verdict would need and nobody could read, one line a cluster."""
    return (
        *(f"{clean(each.name)}: {clean(each.why)}" for each in found.unread),
        *(f"{clean(each.name)}: what runs there: {clean(each.unseen)}" for each in found.unseen),
    )


def _releases(found: Report, width: int) -> list[str]:
    """Lay out the numbers of the releases; in two tables where one would be too wide."""
    rows = [cells(each, blind=found.is_blind) for each in found.releases]
    if width >= WIDE:
        return [columns(rows, header=HEAD, width=width)]
    parts = ((0, 1, 2, 3, 4, 9), (0, 5, 6, 7, 8))
    return [
        columns([[row[at] for at in part] for row in rows], header=[HEAD[at] for at in part], width=width)
        for part in parts
    ]


def trend(each: ReleaseRow) -> str:
    """Say how many went back in each of the last weeks, the newest last."""
    return ", ".join(counts(week.counts) for week in each.trend) + " a week, the newest last"


def _counts(found: Counts) -> dict[str, int]:
    return dict(zip(TRUSTS, found, strict=True))


def _release(each: ReleaseRow) -> dict[str, Any]:
    verdict = each.verdict
    return {
        "release": each.release or NONE,
        "state": each.state.state,
        "end_of_support": each.state.end_of_support,
        "installed": list(each.installed),
        "on": each.on,
        "partly": each.partly,
        "owners": each.owners,
        "users": {"ever": _counts(each.users_ever), "active": _counts(each.users_active)},
        "services": {"ever": _counts(each.services_ever), "active": _counts(each.services_active)},
        "temporary": _counts(each.temporary),
        "overdue": _counts(each.overdue),
        "renewed": _counts(each.renewed),
        "failed": _counts(each.failed),
        "untracked": each.untracked,
        "reasons": [{"reason": clean(one.text), "count": _counts(one.counts)} for one in each.reasons],
        "trend": [{"start": week.start, "count": _counts(week.counts)} for week in each.trend],
        "verdict": {"answer": verdict.answer, "because": clean(verdict.because), "trust": verdict.trust},
    }


def _row(row: Row) -> dict[str, Any]:
    held = row.held
    return {
        "name": held.name,
        "cluster": held.cluster,
        "namespace": held.namespace,
        "service": f"{held.namespace}/{held.service}",
        "user": held.user,
        "who": held.who,
        "from": row.origin or NONE,
        "to": held.to or NONE,
        "reason": clean(held.reason),
        "since": held.since,
        "until": held.until,
        "phase": held.phase,
        "overdue": row.overdue,
        "renews": row.renews,
        "effect": row.effect,
        "trust": held.trust,
    }


def as_document(found: Report) -> dict[str, Any]:
    """Give it as JSON. Every number that mixes records is an object with one count per trust."""
    return document(
        "report",
        at=found.at,
        version=found.version,
        since=found.since,
        complete=not found.unread and not found.unseen,
        clusters=[
            {
                "name": each.name,
                "cluster": each.cluster,
                "read": not each.why,
                "looked": not each.why and not each.unseen,
                "why": clean(each.why or each.unseen),
            }
            for each in found.clusters
        ],
        releases=[_release(each) for each in found.releases],
        services=[
            {
                "cluster": each.cluster,
                "service": each.service,
                "namespace": each.namespace,
                "owner": each.owner,
                "releases": {name or NONE: pods for name, pods in each.releases},
            }
            for each in found.seen
        ],
        rollbacks=[_row(row) for row in found.rows if not row.is_untracked],
        untracked=[
            {
                "cluster": row.held.cluster,
                "service": f"{row.held.namespace}/{row.held.service}",
                "namespace": row.held.namespace,
                "release": row.held.to or NONE,
            }
            for row in found.rows
            if row.is_untracked
        ],
        users=[{"user": name, "count": _counts(count)} for name, count in found.by_user],
        ended_more=found.ended_more,
        odd=list(found.odd),
        next=found.next,
    )
