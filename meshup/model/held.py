"""One pin as far as a report asks, and which release it left: a pin that prolongs another left what that one left."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from meshup.model.counts import weaker
from meshup.model.ledger import Pin, Trust
from meshup.model.moment import stamp

OPEN = frozenset({"Requested", "Active"})
RANKS = {"Requested": 0, "Active": 1, "Closed": 2, "Failed": 3}
"""How far a record has come: phases only move forward, so of two readings of one record the later phase is the newer."""


class Held(NamedTuple):
    """One record of one service. Times are RFC 3339 in UTC to the second, so that their texts sort as the times do.

    cluster: UID of kube-system. left, to: releases, "" = not in the mesh. who: the person (on whose behalf, if that was
    said). user: whom the API server knew. trust: of record and person together, the weaker of both.
    """

    since: str
    name: str
    cluster: str
    namespace: str
    service: str
    left: str
    to: str
    who: str
    trust: Trust
    reason: str
    until: str
    phase: str
    user: str
    uid: str = ""
    ended: str = ""

    @property
    def place(self) -> tuple[str, str, str]:
        """The service it holds: cluster, namespace, name."""
        return self.cluster, self.namespace, self.service

    @property
    def is_open(self) -> bool:
        """Tell whether it still holds."""
        return self.phase in OPEN


def of_pin(pin: Pin, *, cluster: str) -> Held:
    """Give what a report asks of a pin."""
    verified = getattr(pin, "on_behalf_trust", "declared") == "verified"
    return Held(
        since=stamp(pin.since),
        name=pin.name,
        cluster=cluster,
        namespace=pin.namespace,
        service=pin.service,
        left=pin.from_release,
        to=pin.to_release,
        who=pin.on_behalf_of or pin.user,
        trust=pin.trust if verified or not pin.on_behalf_of else weaker(pin.trust, "declared"),
        reason=pin.reason,
        until=stamp(pin.until),
        phase=pin.phase,
        user=pin.user,
        uid=pin.uid,
        ended="",
    )


class Moved(NamedTuple):
    """A record and the release it took its service off. renews: it prolongs an earlier one instead of being a rollback."""

    held: Held
    origin: str
    renews: bool

    @property
    def is_away(self) -> bool:
        """Tell whether it has its service on an older release than the one it left, or out of the mesh."""
        return self.held.phase != "Failed" and is_back(self.origin, self.held.to)

    def counts(self, since: str) -> bool:
        """Tell whether it counts in a report: a rollback begun since then, or anything still in effect."""
        return self.is_away and (self.held.is_open or (not self.renews and self.held.since >= since))


Chain = dict[tuple[str, str, str], tuple[str, str]]
"""Service -> (where its last record led to, what that left)."""


def lineage(found: Iterable[Held], chain: Chain | None = None) -> Iterator[Moved]:
    """Give each record with what it left, oldest first by (since, name). chain: where services stood before; is updated.

    A record that leads where its service is already prolongs the last one that led there, and left what that one left.
    """
    last: Chain = {} if chain is None else chain
    for each in sorted(found):
        origin, renews = each.left, False
        place = (each.cluster, each.namespace, each.service)
        if each.left == each.to and place in last and last[place][0] == each.to:
            origin, renews = last[place][1], True
        if each.phase != "Failed":
            last[place] = (each.to, origin)
        yield Moved(each, origin, renews)


NUMBER = re.compile(r"\d+")


@lru_cache(maxsize=4096)
def is_back(origin: str, to: str) -> bool:
    """Tell whether a release is older than another, by the numbers in it; "" is out of the mesh. In doubt it is."""
    if origin == to:
        return False
    if not to or not origin:
        return not to
    return _order(to) <= _order(origin)


def _order(release: str) -> tuple[tuple[int, ...], bool]:
    plain, _, more = release.partition("-")
    return tuple(int(each) for each in NUMBER.findall(plain)[:8]), not more
