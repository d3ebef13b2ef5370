"""Releases as the platform owner reads them: on record, installed, running, on hold; and what a decision came to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from meshup.model.held import Held
from meshup.model.qualification import Qualification, still
from meshup.model.release import Decision, Moved, Release, Releases, ReleaseStanding
from meshup.model.text import clean
from meshup.views.documents import document
from meshup.views.spans import day, moment_text
from meshup.views.table import amount, columns, folded

NONE, NOT_RECORDED = "none", "not on record"
DIGEST_SHOWN = 19
NAMED = 6


def releases(found: Releases, *, width: int) -> str:
    """Show each release in a row, then who runs it, what is known to be wrong with it, and who went back from it."""
    lines = [
        folded(
            f"releases  of {found.mesh or 'every mesh'} on cluster {found.cluster_uid[:8]}..., {moment_text(found.at)}",
            width=width,
        )
    ]
    rows = [
        (
            clean(each.version),
            each.record.state if each.record is not None else NOT_RECORDED,
            ", ".join(clean(name) for name in each.revisions) or "-",
            str(len(each.runs)),
            str(len(each.owners)),
            _ends(each.record, found.at),
            (each.record.digest[:DIGEST_SHOWN] if each.record is not None else "") or "-",
            _held(each),
        )
        for each in found.releases
    ]
    head = ("release", "state", "revision", "services", "owners", "support ends", "digest", "on hold")
    if rows:
        lines.append(columns(rows, header=head, width=width))
    for each in found.releases:
        lines += [folded(line, width=width) for line in _told(each, known=not found.unread)]
    lines += [f"odd       MeshRelease {clean(each)} can't be read" for each in found.odd]
    lines += [folded(f"unread    {clean(each)}", width=width) for each in found.unread]
    lines.append(f"Next      {_next(found)}")
    return "\n".join(lines)


def _ends(record: Release | None, now: datetime) -> str:
    if record is None or record.ends is None:
        return "-"
    return day(record.ends) + (" ENDED" if record.has_ended(now) else "")


def _held(each: ReleaseStanding) -> str:
    if each.verdict is None or each.verdict.answer == "unknown":
        return "-"
    return "HOLD" if each.is_held else "no"


def _by_whom(found: Qualification, each: ReleaseStanding, *, known: bool) -> str:
    """Say who qualified a release. known: who runs what was read; who runs it no more is then no evidence."""
    left = still(found, {one.service for one in each.runs}) if known else found
    return (
        clean(left.words()) if left is not None else f"once, in run {clean(found.run)}; none of them runs it any more"
    )


def _told(each: ReleaseStanding, *, known: bool) -> list[str]:
    lines = []
    if each.runs:
        more = f" and {len(each.owners) - NAMED} more" if len(each.owners) > NAMED else ""
        named = ", ".join(f"{clean(owner) or 'unknown'} {count}" for owner, count in each.owners[:NAMED])
        lines.append(f"runs      {each.version}: {named}{more}")
    if each.record is not None:
        last = each.record.decided
        if last is not None:
            lines.append(f"decided   {each.version}: {_decided(last)}")
        if each.record.qualified is not None:
            lines.append(f"qualified {each.version}: {_by_whom(each.record.qualified, each, known=known)}")
        lines += [f"issue     {each.version}: {clean(issue)}" for issue in each.record.issues]
    if each.verdict is not None and each.is_held:
        trust = f" (trust: {each.verdict.trust})" if each.verdict.trust else ""
        lines.append(f"hold      {each.version}: {clean(each.verdict.because)}{trust}")
    lines += [f"back      {each.version}: {_back(one)}" for one in each.away[:NAMED]]
    if len(each.away) > NAMED:
        lines.append(f"back      {each.version}: {len(each.away) - NAMED} more; meshup report --version {each.version}")
    return lines


def _decided(last: Decision) -> str:
    why = f": {clean(last.reason)}" if last.reason else ""
    return f"{last.state} by {clean(last.by)}, {day(last.at)}{why}"


def _back(each: Held) -> str:
    to = clean(each.to) or NONE
    return f"{clean(each.who)} took {each.namespace}/{clean(each.service)} to {to}, {each.since[:10]}: {clean(each.reason)}"


def _next(found: Releases) -> str:
    held = next((each for each in found.releases if each.is_held), None)
    if held is not None:
        return f"meshup report --version {held.version}"
    unknown = next((each for each in found.releases if each.record is None), None)
    if unknown is not None:
        return f"meshup releases add {unknown.version}"
    waiting = next(
        (each for each in found.releases if each.record is not None and each.record.state == "candidate"), None
    )
    if waiting is not None:
        return f"meshup releases promote {waiting.version} --end-of-support DATE --reason TEXT"
    return (
        "meshup report"
        if found.releases
        else "meshup releases add RELEASE, or meshup apply, which records what it installs"
    )


def moved(found: Moved, *, width: int) -> str:
    """Show what a decision came to."""
    release = found.release
    until = f", until {day(release.ends)}" if release.ends is not None else ""
    version = clean(release.version)
    if not found.wrote:
        lines = [f"release   {version} is {release.state} already{until}; nothing was written"]
    else:
        was = f" (was {found.before or NOT_RECORDED})" if found.before != release.state else ""
        lines = [f"release   {version} is {release.state}{until}{was}"]
        last = release.decided
        if last is not None:
            lines.append(folded(f"record    MeshRelease {version}: {_decided(last)}", width=width))
    if found.move == "promote" and found.wrote and found.before != release.state:
        told = (
            found.evidence.words()
            if found.evidence is not None
            else "by nobody on record; it is supported for the reason given"
        )
        lines.append(folded(f"qualified {clean(told)}", width=width))
    if found.owners:
        may = "may pin it now" if release.state == "supported" else "may not pin it any more"
        lines.append(f"owners    {may}: ClusterRole meshup-owner-releases")
    if found.move == "promote":
        lines.append(folded(f"evidence  {evidence(found)}", width=width))
    if found.move in ("block", "deprecate") and found.runs:
        owners = len({each.owner for each in found.runs})
        stay = (
            f"{amount(len(found.runs), 'service')} of {amount(owners, 'owner')} run it and stay until their owners move"
        )
        lines.append(folded(f"runs      {stay}", width=width))
    lines.append(f"Next      {_after(found)}")
    return "\n".join(lines)


def evidence(found: Moved) -> str:
    """Say what speaks for a release in this cluster, and what does not: it is promoted all the same."""
    if found.revisions is None:
        return "not looked for: neither a run nor a runbook (-f FILE) says which services there are"
    if not found.revisions and not found.runs:
        return "none: it is not installed in this cluster, so no service ran it, and nobody can go to it before it is"
    if not found.runs:
        return f"none: it is installed as {', '.join(map(clean, found.revisions))}, and no service runs it"
    owners = amount(len({each.owner for each in found.runs}), "owner")
    gone = len({(each.namespace, each.service) for each in found.away})
    return f"run by {amount(len(found.runs), 'service')} of {owners}; {gone or 'none'} went back from it"


def _after(found: Moved) -> str:
    match found.move:
        case "add" if found.release.state == "candidate":
            return f"meshup releases promote {found.release.version} --end-of-support DATE --reason TEXT"
        case "block" if found.runs:
            return f"meshup report --version {found.release.version}"
        case _:
            return "meshup releases"


def moved_document(found: Moved) -> dict[str, Any]:
    """Give the same as JSON."""
    release, last = found.release, found.release.decided
    return document(
        "release",
        version=release.version,
        state=release.state,
        before=found.before or NONE,
        wrote=found.wrote,
        by=clean(last.by) if last is not None else "",
        at=moment_text(last.at) if last is not None else "",
        reason=clean(last.reason) if last is not None else "",
        digest=release.digest,
        end_of_support=moment_text(release.ends) if release.ends is not None else "",
        known_issues=[clean(each) for each in release.issues],
        services=len(found.runs),
        installed=list(found.revisions or ()),
        looked=found.revisions is not None,
        went_back=len(found.away),
        owners_changed=found.owners,
        evidence=_qualified(found.evidence),
    )


def releases_document(found: Releases) -> dict[str, Any]:
    """Give the list as JSON."""
    return document(
        "releases",
        at=moment_text(found.at),
        cluster={"uid": found.cluster_uid, "context": found.context},
        user=found.user,
        mesh=found.mesh,
        releases=[_row(each, found.at) for each in found.releases],
        odd=list(found.odd),
        unread=list(found.unread),
    )


def _row(each: ReleaseStanding, now: datetime) -> dict[str, Any]:
    record, verdict = each.record, each.verdict
    return {
        "version": each.version,
        "state": record.state if record is not None else NONE,
        "digest": record.digest if record is not None else "",
        "end_of_support": moment_text(record.ends) if record is not None and record.ends is not None else "",
        "ended": record is not None and record.has_ended(now),
        "known_issues": [clean(one) for one in record.issues] if record is not None else [],
        "note": clean(record.note) if record is not None else "",
        "decisions": [
            {"state": one.state, "by": clean(one.by), "at": moment_text(one.at), "reason": clean(one.reason)}
            for one in (record.decisions if record is not None else ())
        ],
        "qualified": _qualified(record.qualified if record is not None else None),
        "revisions": list(each.revisions),
        "services": [
            {"service": one.service, "owner": clean(one.owner), "pods": one.pods, "whole": one.whole}
            for one in each.runs
        ],
        "owners": [{"owner": clean(owner), "services": count} for owner, count in each.owners],
        "verdict": {
            "answer": verdict.answer if verdict is not None else "unknown",
            "because": clean(verdict.because) if verdict is not None else "",
            "trust": verdict.trust if verdict is not None else "",
        },
        "went_back": [back_document(one) for one in each.away],
    }


def _qualified(found: Qualification | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "run": clean(found.run),
        "at": found.at,
        "users": [{"service": service, "owner": clean(owner)} for service, owner in found.users],
        "soak_s": found.soak_s,
        "gates": [clean(each) for each in found.gates],
    }


def back_document(each: Held) -> dict[str, Any]:
    """Give one record that counts against a release as JSON."""
    return {
        "service": f"{each.namespace}/{each.service}",
        "user": clean(each.who),
        "to": each.to or NONE,
        "since": each.since,
        "until": each.until,
        "reason": clean(each.reason),
        "trust": each.trust,
        "phase": each.phase,
    }
