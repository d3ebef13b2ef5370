"""Generated histories of pins, and what they look like in the pods; the oracle counts by plain loops over everything."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any

from hypothesis import strategies as st

from meshup.model.held import Held
from meshup.model.holds import HoldAt
from meshup.model.ledger import Pin
from meshup.model.moment import stamp
from meshup.model.objects import Ref
from meshup.model.report import Seen, State, View

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
RELEASES = ("1.31.0", "1.30.3", "1.30.10", "1.29.4", "")
AT = HoldAt(users=2, percent=30, least=3, window_s=20 * 86400.0)
HOUR = timedelta(hours=1)
WEEK_S = 7 * 86400.0

REASONS = ("timeouts to ledger", "Timeouts to  ledger.", "memory", "5xx")


@st.composite
def held(draw: Any) -> Held:
    """One record; nothing makes it fit to the others."""
    ago = draw(st.integers(0, 24 * 80))
    phase = draw(st.sampled_from(["Requested", "Active", "Closed", "Closed", "Failed"]))
    since = NOW - HOUR * ago
    number = draw(st.integers(0, 10**6))
    return Held(
        since=stamp(since),
        name=f"pin-{number}",
        cluster=draw(st.sampled_from(["c1", "c1", "c2"])),
        namespace="shop",
        service=f"s{draw(st.integers(0, 7))}",
        left=draw(st.sampled_from(RELEASES)),
        to=draw(st.sampled_from(RELEASES)),
        who=f"user{draw(st.integers(0, 5))}",
        trust=draw(st.sampled_from(["enforced", "enforced", "declared", "unknown"])),
        reason=draw(st.sampled_from(REASONS)),
        until=stamp(since + HOUR * draw(st.integers(1, 24 * 14))),
        phase=phase,
        user="",
        uid=f"u{number}",
    )


@st.composite
def seen(draw: Any, cluster: str) -> tuple[Seen, ...]:
    """What some of the services run."""
    found = []
    for number in sorted(draw(st.sets(st.integers(0, 9), max_size=10))):
        some = draw(st.lists(st.sampled_from(RELEASES), max_size=2, unique=True))
        found.append(
            Seen(
                cluster=cluster,
                namespace="shop",
                service=f"s{number}",
                owner=draw(st.sampled_from(["team-a", "team-b", ""])),
                releases=tuple((each, 1) for each in some),
                wanted="1.31.0",
                moved=draw(st.booleans()),
            )
        )
    return tuple(found)


@st.composite
def views(draw: Any) -> tuple[View, ...]:
    """One look at each of up to two clusters, and perhaps one that was not read."""
    records = draw(st.lists(held(), max_size=25, unique_by=lambda each: (each.cluster, each.name)))
    found = [
        View(
            names=frozenset({name}),
            cluster=name,
            at=stamp(NOW),
            held=tuple(each for each in records if each.cluster == name),
            seen=draw(seen(name)),
            looked=True,
            states=(State("1.31.0", draw(st.sampled_from(["candidate", "supported", "blocked"]))),),
        )
        for name in ("c1", "c2")
    ]
    if draw(st.booleans()):
        found.append(View(names=frozenset({"c3"}), cluster="", why="no answer"))
    return tuple(found)


def big(count: int = 500) -> View:
    """So many services, each of which went back, with a reason as long as it may be."""
    return View(
        names=frozenset({"prod-eu"}),
        cluster="05b6e6e3-0000",
        looked=True,
        held=tuple(
            Held(
                since=stamp(NOW),
                name=f"pin-{n}",
                cluster="05b6e6e3-0000",
                namespace=f"team-{n % 40}",
                service=f"service-{n}",
                left="1.31.0",
                to="1.30.3",
                who=f"user{n}@shop.example",
                trust="enforced",
                reason=f"{n} " + "x" * 250,
                until=stamp(NOW),
                phase="Active",
                user=f"user{n}@shop.example",
                uid=f"u{n}",
            )
            for n in range(count)
        ),
        seen=tuple(
            Seen(
                "05b6e6e3-0000",
                f"team-{n % 40}",
                f"service-{n}",
                f"team-{n % 40}@shop.example",
                (("1.30.3", 3),),
                "1.31.0",
                True,
            )
            for n in range(count)
        ),
    )


def when(record: Held) -> datetime:
    return datetime.fromisoformat(record.since)


def number(release: str) -> tuple[int, ...]:
    return tuple(map(int, release.split("."))) if release else (-1,)


def all_facts(all_views: tuple[View, ...]) -> list[tuple[Held, str, bool]]:
    """Give each record with the release it left and whether it prolongs another, by looking back for each of them."""
    records = sorted(each for view in all_views for each in view.held)
    facts: list[tuple[Held, str, bool]] = []
    for at, record in enumerate(records):
        origin, renews = record.left, False
        before = [
            other
            for other in range(at)
            if (records[other].cluster, records[other].service) == (record.cluster, record.service)
            and records[other].phase != "Failed"
        ]
        if record.left == record.to and before and records[before[-1]].to == record.to:
            origin, renews = facts[before[-1]][1], True
        facts.append((record, origin, renews))
    return facts


def went_back(all_views: tuple[View, ...]) -> list[tuple[Held, str, bool]]:
    """Give those that took their service to something older than it left."""
    return [
        (record, origin, renews)
        for record, origin, renews in all_facts(all_views)
        if record.phase != "Failed" and number(record.to) < number(origin)
    ]


def pin(each: Held) -> Pin:
    """Give the record as the ledger holds it."""
    return Pin(
        name=each.name,
        namespace=each.namespace,
        service=each.service,
        workload=Ref(api_version="apps/v1", kind="Deployment", name=each.service, namespace=each.namespace),
        workload_uid="w",
        from_release=each.left,
        from_revision="",
        to_release=each.to,
        to_revision="",
        user=each.who,
        user_uid="",
        reason=each.reason,
        since=when(each),
        until=datetime.fromisoformat(each.until),
        created=when(each),
    )


def oracle(all_views: tuple[View, ...], since: datetime | None) -> dict[str, dict[str, Any]]:
    """Say per release what a report must say, by looking at every record for every question."""
    records = sorted(each for view in all_views for each in view.held)
    after = stamp(since) if since else ""
    window = stamp(NOW - timedelta(seconds=AT.window_s))
    place, who = attrgetter("cluster", "service"), attrgetter("who")
    told: dict[str, dict[str, Any]] = {}
    facts, away = all_facts(all_views), went_back(all_views)
    pods = [each for view in all_views for each in view.seen]
    open_places = {(each.cluster, each.service) for each in records if each.phase in ("Requested", "Active")}
    lost = [
        each
        for each in pods
        if each.moved
        and any(release != "1.31.0" for release, _ in each.releases)
        and (each.cluster, each.service) not in open_places
    ]
    for release in RELEASES[:-1]:
        mine = [each for each in away if each[1] == release]
        still = [each for each in mine if each[0].phase in ("Requested", "Active")]
        begun = [each for each in mine if not each[2]]

        def by_trust(some: list) -> tuple[int, int, int, int]:
            trusts = ("enforced", "declared", "inferred", "unknown")
            return tuple(sum(each[0].trust == trust for each in some) for trust in trusts)

        def names(some: list, key: Any, extra: set | frozenset = frozenset()) -> tuple[int, int, int, int]:
            strong = {key(each[0]) for each in some if each[0].trust == "enforced"}
            weak = {key(each[0]) for each in some if each[0].trust == "declared"} - strong
            seen = extra - strong - weak
            rest = {key(each[0]) for each in some if each[0].trust == "unknown"} - strong - weak - seen
            return len(strong), len(weak), len(seen), len(rest)

        gone = {(each.cluster, each.service) for each in lost} if release == "1.31.0" else set()
        ever = [each for each in begun if each[0].since >= after or each[0].phase in ("Requested", "Active")]
        ever += [each for each in still if each[2]]
        lately = [each for each in begun if each[0].since >= window] + still
        on = [each for each in pods if {name for name, _ in each.releases} == {release}]
        partly = [each for each in pods if release in dict(each.releases) and len(each.releases) > 1]
        reached = {(each.cluster, each.service) for each in (*on, *partly)} | {place(each[0]) for each in lately}
        reached |= gone
        blocked = any(each.state == "blocked" and each.release == release for v in all_views[:1] for each in v.states)
        users, places = names(lately, who), names(lately, place, gone)
        levels = [(sum(users[: n + 1]), sum(places[: n + 1])) for n in range(4)]
        holds = any(
            u > AT.users or (len(reached) >= AT.least and p * 100 > AT.percent * len(reached)) for u, p in levels
        )
        unread = any(not view.cluster for view in all_views)
        answer = "hold" if blocked or holds else "unknown" if unread or (not reached and not any(places)) else "pass"
        told[release] = {
            "on": len(on),
            "partly": len(partly),
            "users_ever": names(ever, who),
            "users_active": names(still, who),
            "services_ever": names(ever, place, gone),
            "services_active": names(still, place, gone),
            "temporary": by_trust([each for each in still if each[0].until > stamp(NOW)]),
            "overdue": by_trust([each for each in still if each[0].until <= stamp(NOW)]),
            "renewed": by_trust([each for each in mine if each[2] and (each[0].since >= after or each in still)]),
            "failed": by_trust(
                [each for each in facts if each[1] == release and each[0].phase == "Failed" and each[0].since >= after]
            ),
            "untracked": len(gone),
            "reasons": by_trust([each for each in ever if not each[2]]),
            "trend": tuple(
                by_trust([each for each in begun if week <= (NOW - when(each[0])).total_seconds() / WEEK_S < week + 1])
                for week in range(7, -1, -1)
            ),
            "owners": len({each.owner for each in (*on, *partly) if each.owner}),
            "answer": answer,
        }
    return told
