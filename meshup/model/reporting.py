"""The fold from views to a report. Pure: records and pods in, counts and verdicts out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from meshup.model.cells import Tallied, seconds, tallied
from meshup.model.counts import TRUSTS, Counts
from meshup.model.held import Held
from meshup.model.holds import HoldAt
from meshup.model.ledger import Trust
from meshup.model.merge import latest, merge
from meshup.model.moment import stamp
from meshup.model.release_row import Clock, Releases
from meshup.model.report import Reach, ReleaseRow, Report, Row, Seen, View


def report(
    views: Iterable[View],
    *,
    now: datetime,
    at: HoldAt,
    version: str = "",
    since: datetime | None = None,
    tally: Tallied | None = None,
) -> Report:
    """Say who runs and who left what. version: only this release ("none" = out of the mesh). since: leave out what ended before.

    tally: the records of the views added up before, as an export's index has them. Never raises for what was read.
    """
    merged = merge(views)
    if tally is None:
        tally = tallied(latest(each for view in merged for each in view.held))
    looks = [view for view in merged if view.cluster]
    seen = tuple(each for view in looks for each in view.seen)
    asked = "" if version == "none" else version
    clock = Clock(now=now, since=since, at=at)
    untracked = _untracked(seen, tally)
    effect = _effect(seen) if any(view.looked for view in looks) else {}
    wanted = _releases(seen, tally, looks)
    names = [asked] if version else [each for each in wanted if each]
    rows = _rows(tally, untracked, effect, clock)
    reach = _reach(merged)
    unread = sum(1 for each in reach if each.why or each.unseen) + sum(len(view.odd) for view in looks)
    pick = Releases(tally, seen=seen, untracked=untracked, looks=looks, clock=clock, unread=unread)
    told = tuple(pick.row(release) for release in names)
    shown = tuple(each for each in rows if not version or asked in (each.origin, each.held.to))
    return Report(
        at=clock.text,
        version=version,
        since=stamp(since) if since else "",
        clusters=reach,
        services=len(seen),
        releases=told,
        rows=shown,
        ended_more=tally.ended - len(tally.newest),
        seen=seen,
        by_user=_by_user(tally, clock),
        odd=tuple(each for view in looks for each in view.odd),
        next=_next(shown, told),
        known=tuple(each for each in wanted if each),
    )


def _releases(seen: Sequence[Seen], tally: Tallied, looks: Sequence[View]) -> list[str]:
    """Name every release that runs, was left, is installed or is known, in order."""
    names = {release for each in seen for release, _ in each.releases}
    names |= {release for (release, _), cell in tally.cells.items() if cell.reasons or cell.renewed or cell.failed}
    names |= {each.origin for each in tally.open if each.is_away}
    names |= {each.release for view in looks for each in view.states}
    names |= {release for view in looks for _, release in view.revisions}
    return sorted(names)


def _untracked(seen: Sequence[Seen], tally: Tallied) -> Mapping[str, list[Seen]]:
    """Give the services that left a release without a record: release -> services."""
    held = {each.held.place for each in tally.open}
    found: dict[str, list[Seen]] = {}
    for each in seen:
        if each.is_off and each.place not in held:
            found.setdefault(each.wanted, []).append(each)
    return found


def _effect(seen: Sequence[Seen]) -> Mapping[tuple[str, str, str], Seen]:
    return {each.place: each for each in seen if each.releases}


def _rows(
    tally: Tallied,
    untracked: Mapping[str, Sequence[Seen]],
    effect: Mapping[tuple[str, str, str], Seen],
    clock: Clock,
) -> tuple[Row, ...]:
    rows = [
        Row(
            held=each.held,
            origin=each.origin,
            renews=each.renews,
            overdue=clock.is_late(each.held),
            effect=_takes_effect(each.held, effect),
        )
        for each in tally.open
    ]
    rows += [Row(held=_nobody(each), origin=each.wanted, effect="yes") for some in untracked.values() for each in some]
    rows += [
        Row(held=each.held, origin=each.origin, renews=each.renews)
        for each in tally.newest
        if seconds(each.held.since) >= clock.from_s
    ]
    return tuple(sorted(rows, key=lambda each: (not each.held.is_open, each.held.since or "~", each.held)))


def _takes_effect(held: Held, effect: Mapping[tuple[str, str, str], Seen]) -> str:
    found = effect.get(held.place)
    if found is None:
        return ""
    return "yes" if held.to in dict(found.releases) else "no"


def _nobody(each: Seen) -> Held:
    """Write down what the pods say of a service that left its release without a record."""
    to = next(release for release, _ in each.releases if release != each.wanted)
    return Held(
        since="",
        name="",
        cluster=each.cluster,
        namespace=each.namespace,
        service=each.service,
        left=each.wanted,
        to=to,
        who="",
        trust="inferred",
        reason="seen in the pods, no record",
        until="",
        phase="Active",
        user="",
    )


def _by_user(tally: Tallied, clock: Clock) -> tuple[tuple[str, Counts], ...]:
    """Count releases that each user left, by trust, most first."""
    found: dict[str, Counter[Trust]] = {}
    pairs: set[tuple[str, Trust, str]] = set()
    for (release, trust), cell in tally.cells.items():
        pairs |= {(who, trust, release) for who, last in cell.who.items() if last >= clock.from_s}
    pairs |= {(each.held.who, each.held.trust, each.origin) for each in tally.open if each.is_away}
    for who, trust, _ in pairs:
        found.setdefault(who, Counter())[trust] += 1
    rows = [(who, Counts(*(count[trust] for trust in TRUSTS))) for who, count in found.items()]
    return tuple(sorted(rows, key=lambda each: (*(-one for one in each[1]), each[0])))


def _reach(merged: Sequence[View]) -> tuple[Reach, ...]:
    """Give each cluster once; a name that failed once and was read another time was read."""
    read = {name for view in merged if view.cluster for name in view.names}
    found = [
        Reach(
            name=" ".join(sorted(view.names)),
            cluster=view.cluster,
            unseen="" if view.looked else view.unseen or "its pods were not looked at",
        )
        for view in merged
        if view.cluster
    ]
    failed = {name: view.why for view in merged if not view.cluster for name in sorted(view.names)}
    return (*found, *(Reach(name=name, cluster="", why=why) for name, why in failed.items() if name not in read))


def _next(rows: Sequence[Row], told: Sequence[ReleaseRow]) -> str:
    unrecorded = next((each.held for each in rows if each.is_untracked), None)
    if unrecorded is not None:
        to = unrecorded.to or "none"
        name = f"{unrecorded.namespace}/{unrecorded.service}"
        return f"the owner of {name} records it: meshup rollback {name} --to {to} --reason TEXT --until 7d"
    overdue = next((each.held for each in rows if each.overdue), None)
    if overdue is not None:
        return f"the pin of {overdue.namespace}/{overdue.service} is overdue: ask {overdue.who}"
    held = next((each for each in told if each.verdict.answer == "hold"), None)
    return f"{held.release} must not spread: ask those who left it, before it is promoted" if held else ""
