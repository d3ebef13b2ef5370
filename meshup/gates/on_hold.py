"""not-on-hold: the release may spread: the platform owner has not blocked it, and few enough went back from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, ClassVar

from meshup.gates.finding import pods_by_service
from meshup.gates.gate import Blind, Eyes, Terms
from meshup.gates.judging import careful
from meshup.journal.enforcement import trusted
from meshup.journal.ledger import both
from meshup.journal.release import find
from meshup.model.against import in_words, why_blocked
from meshup.model.counts import TRUSTS, Counts
from meshup.model.holds import HoldAt, critical_away, judge, verdicts, went_back
from meshup.model.ledger import Running
from meshup.model.problem import Refused
from meshup.model.release import state_of
from meshup.model.text import amount
from meshup.model.verdict import Answer, Patience, Reading, Verdict

MOST_NAMED = 20


class NotOnHold:
    """Stands before every wave that installs the release or moves services onto it, without being asked for.

    Bounds are the runbook's `holds`. While a release is not supported yet, one critical service of the runbook that is back
    holds it, whatever the bounds. A waiver of it is runbook text like any other: owner, reason, end.
    """

    kind: ClassVar[str] = "not-on-hold"
    title: ClassVar[str] = "the release may spread: it is not blocked, and few enough went back from it"
    reads: ClassVar[str] = "pins and releases on record; the pods of every service once somebody went back"
    params: ClassVar[Mapping[str, tuple[type, Any, str]]] = {}
    needs: ClassVar[frozenset[str]] = frozenset()
    patience: ClassVar[Patience] = Patience(limit_s=60, every_s=5, in_a_row=1)

    def observe(self, eyes: Eyes, terms: Terms) -> Mapping[str, Any]:
        """Give the counts against the release, who they are, and whether it is blocked."""
        del terms
        release, at, now = eyes.book.mesh.release, eyes.book.hold_at, eyes.clock.now()
        try:
            record = find(eyes.cluster, release)
        except Refused as odd:
            raise Blind(f"{odd.what}: {odd.why}") from odd
        pins, odd_names = both(eyes.cluster)
        away = went_back(pins, now=now, at=at).get(release, ())
        if away:
            pins = trusted(eyes.cluster, pins)
            away = went_back(pins, now=now, at=at).get(release, ())
        found = verdicts(pins, _running(eyes), now=now, at=at)[release] if away else None
        return {
            "release": release,
            "at": {name: value for name, value in asdict(at).items() if name != "alone"},
            "critical": [list(each) for each in critical_away(away, at=at, state=state_of(record))],
            "blocked": why_blocked(record) if record is not None and record.state == "blocked" else "",
            "users": list(found.users if found is not None else Counts()),
            "services": list(found.services if found is not None else Counts()),
            "reached": found.reached if found is not None else None,
            "odd": list(odd_names),
            "away": [in_words(each) for each in away[:MOST_NAMED]],
        }

    @careful
    def judge(self, readings: Sequence[Reading], terms: Terms) -> Verdict:
        """Decide from the newest reading. A record that can't be read may be one more that went back: unknown."""
        del terms
        data = readings[-1].data
        release, away, odd = str(data["release"]), tuple(map(str, data["away"])), tuple(map(str, data["odd"]))
        users, services = Counts(*map(int, data["users"])), Counts(*map(int, data["services"]))
        at = HoldAt(**data["at"])
        found = judge(
            release,
            users=users,
            services=services,
            reached=data["reached"],
            at=at,
            blocked=data["blocked"],
            critical=[(TRUSTS[TRUSTS.index(trust)], str(words)) for trust, words in data.get("critical", ())],
        )
        if found.answer == "hold":
            trust = f" (trust: {found.trust})" if found.trust else ""
            return Verdict(
                answer=Answer.FAIL,
                because=f"{release} is on hold: {found.because}{trust}",
                object=f"MeshRelease {release}" if data["blocked"] else "",
                names=away,
            )
        if odd:
            because = f"{amount(len(odd), 'pin')} can't be read and may be of somebody who went back from {release}"
            return Verdict(answer=Answer.UNKNOWN, because=because, object=f"MeshPin {odd[0]}", names=odd)
        bound = f"held above {at.users} users or {at.percent:g} % of services"
        if not sum(services):
            return Verdict(answer=Answer.PASS, because=f"nobody went back from {release}; {bound}")
        went = f"{amount(sum(users), 'user')} and {amount(sum(services), 'service')} went back from {release}"
        return Verdict(answer=Answer.PASS, because=f"{went}; {bound}", names=away)


def _running(eyes: Eyes) -> list[Running]:
    """Give what every service of the runbook runs, read from its pods."""
    found = []
    by_id = {each.id: each for each in eyes.book.services}
    for name, (_, pods) in pods_by_service(replace(eyes, services=eyes.book.services)).items():
        seen: Counter[str] = Counter()
        for pod in pods:
            proxy = eyes.driver.proxy(pod)
            seen[proxy.release if proxy is not None else ""] += 1
        service = by_id[name]
        found.append(
            Running(
                service=service.name,
                namespace=service.namespace,
                owner=service.owner,
                releases=tuple(sorted(seen.items())),
            )
        )
    return found
