"""Whether a release may go on spreading: on hold when a critical service, or too many users or services, went back from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from meshup.model.counts import TRUSTS, Counts, distinct
from meshup.model.held import Held, lineage, of_pin
from meshup.model.ledger import Pin, Running, Trust
from meshup.model.moment import stamp
from meshup.model.text import amount

DAY_S = 86400.0
SETTLED = frozenset({"supported", "deprecated"})
"""States of a release that is qualified no more: from then on one service says no more of it than any other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldAt:
    """When a release goes on hold (runbook: `holds`). Initial values, for a platform owner to tune.

    users: more distinct users than this. percent: a larger share than this of the services that reached it, judged from
    `least` such services on, as 1 of 1 says little. window_s: rollbacks begun that long ago count, and any in effect.
    critical: one critical service that is back holds a release that is not supported yet, as it is critical users who
    qualify it. alone: those services, "namespace/name", as `Runbook.hold_at` fills it in.
    """

    users: int = 3
    percent: float = 10.0
    least: int = 10
    window_s: float = 30 * DAY_S
    critical: bool = True
    alone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseVerdict:
    """What rollbacks say of one release.

    answer: hold = it must not spread; unknown = nothing ran it or a part was not read. trust: how far down the
    records had to be trusted to hold it, "" when it is not on hold. users, services: distinct, that went back from it.
    reached: services that run it or went back from it, None = the data plane was not looked at.
    """

    release: str
    answer: Literal["pass", "hold", "unknown"]
    because: str
    trust: Trust | Literal[""] = ""
    users: Counts = Counts()
    services: Counts = Counts()
    reached: int | None = None


def judge(
    release: str,
    *,
    users: Counts,
    services: Counts,
    reached: int | None,
    at: HoldAt,
    unread: int = 0,
    blocked: str = "",
    critical: Sequence[tuple[Trust, str]] = (),
) -> ReleaseVerdict:
    """Decide from counts alone. Never raises. unread: parts that could not be read, which may hold more rollbacks.

    blocked: why the platform owner blocked it, "" = they did not. critical: as `critical_away` gives it.
    """

    def say(
        answer: Literal["pass", "hold", "unknown"], because: str, trust: Trust | Literal[""] = ""
    ) -> ReleaseVerdict:
        return ReleaseVerdict(
            release=release,
            answer=answer,
            because=because,
            trust=trust,
            users=users,
            services=services,
            reached=reached,
        )

    if blocked:
        return say("hold", f"blocked: {blocked}", "enforced")
    for trust in TRUSTS:
        back = [words for found, words in critical if found == trust]
        if back:
            more = f" and {amount(len(back) - 1, 'more critical service')}" if len(back) > 1 else ""
            return say("hold", f"{back[0]}{more}", trust)
        people, places = users.down_to(trust), services.down_to(trust)
        if people > at.users:
            return say("hold", f"{amount(people, 'user')} went back from it, more than {at.users}", trust)
        if reached is not None and reached >= at.least and places * 100 > at.percent * reached:
            share = f"{places} of {reached} services ({places * 100 / reached:.0f} %)"
            return say("hold", f"{share} went back from it, more than {at.percent:g} %", trust)
    if reached is None:
        return say("unknown", "what share of services went back is not known: no pods were looked at")
    if unread:
        return say("unknown", f"{amount(unread, 'part')} of the record could not be read")
    if not reached and not any(services):
        return say("unknown", "no service runs it or went back from it")
    return say("pass", f"at most {at.users} users and {at.percent:g} % of services may go back from it")


def went_back(found: Iterable[Pin], *, now: datetime, at: HoldAt, cluster: str = "") -> Mapping[str, tuple[Held, ...]]:
    """Give release -> the records that count against it, oldest first: begun within the window, or still in effect."""
    since = stamp(now - timedelta(seconds=at.window_s))
    away: dict[str, list[Held]] = {}
    for each in lineage(of_pin(pin, cluster=cluster) for pin in found):
        if each.counts(since):
            away.setdefault(each.origin, []).append(each.held)
    return {release: tuple(several) for release, several in away.items()}


def critical_away(away: Iterable[Held], *, at: HoldAt, state: str) -> tuple[tuple[Trust, str], ...]:
    """Give (trust, words) of each critical service that records have away from a release now, oldest first.

    away: records that count against it. state: of the release, "" = not on record; a settled one is qualified no more.
    """
    if state in SETTLED:
        return ()
    alone = frozenset(at.alone)
    return tuple(
        (each.trust, f"critical service {name} went back: {each.reason} ({each.who})")
        for each in sorted(away)
        if each.is_open and (name := f"{each.namespace}/{each.service}") in alone
    )


def resting(found: Iterable[Pin], *, now: datetime, at: HoldAt) -> Mapping[tuple[str, str], str]:
    """Give (namespace, name) of each record without which a release would be judged otherwise -> that release.

    Of each service those from the first one on that counts, or that a counting one prolongs: what came after it says
    whether a later one prolongs it.
    """
    since = stamp(now - timedelta(seconds=at.window_s))
    rested: dict[tuple[str, str], str] = {}
    behind: dict[tuple[str, str, str], list[Held]] = {}
    against: dict[tuple[str, str, str], str] = {}
    for each in lineage(of_pin(pin, cluster="") for pin in found):
        place = each.held.place
        if each.held.phase == "Failed":
            continue
        if each.counts(since):
            against[place] = each.origin
        several = behind.setdefault(place, [])
        if not each.renews:
            several.clear()
        several.append(each.held)
        if place in against:
            rested.update(((one.namespace, one.name), against[place]) for one in several)
    return rested


def verdicts(
    found: Iterable[Pin],
    running: Iterable[Running] | None,
    *,
    now: datetime,
    at: HoldAt,
    cluster: str = "",
    untracked: Mapping[str, Iterable[str]] | None = None,
    states: Mapping[str, str] | None = None,
) -> Mapping[str, ReleaseVerdict]:
    """Judge every release that runs or was left, from one cluster's pins and pods. running: None = no pods were looked at.

    untracked: release -> services ("namespace/name") that left it without a record. states: release -> its state on record.
    """
    reached: dict[str, set[str]] = {}
    for each in running or ():
        for release, _ in each.releases:
            reached.setdefault(release, set()).add(f"{each.namespace}/{each.service}")
    away = went_back(found, now=now, at=at, cluster=cluster)
    names = dict.fromkeys([*reached, *away, *(untracked or {})])
    judged = {}
    for release in sorted(name for name in names if name):
        gone_from = away.get(release, ())
        left = {f"{each.namespace}/{each.service}" for each in gone_from}
        gone: list[tuple[Trust, str]] = [("inferred", name) for name in (untracked or {}).get(release, ())]
        judged[release] = judge(
            release,
            users=distinct((each.trust, each.who) for each in gone_from),
            services=distinct([*((each.trust, f"{each.namespace}/{each.service}") for each in gone_from), *gone]),
            reached=len(reached.get(release, set()) | left | {name for _, name in gone})
            if running is not None
            else None,
            at=at,
            critical=critical_away(gone_from, at=at, state=(states or {}).get(release, "")),
        )
    return judged
