"""Whether the API server enforces the ledger: its policies as shipped, seen to deny, and not touched since."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from meshup.cluster.errors import Forbidden, NotFound
from meshup.cluster.ports import Reader
from meshup.model.lacking import ADMISSION, BOUNDS, REQUIRED, plain
from meshup.model.ledger import Pin, Trust
from meshup.model.objects import Object, dig, ref_of
from meshup.runbook.templates import objects

State = Literal["in force", "missing", "altered", "unproven", "unreadable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Enforcement:
    """How far the cluster's policies can be relied on. since: when they were proven, None unless in force.

    why: what is missing or was altered, "" when in force.
    """

    state: State
    since: datetime | None = None
    why: str = ""


def policies() -> tuple[Object, ...]:
    """Give the shipped objects in the order of their files: the bounds, then each policy and its binding."""
    return objects("policies")


def required() -> tuple[Object, ...]:
    """Give the policies and bindings without which nothing is enforced."""
    return tuple(each for each in policies() if each["kind"] in REQUIRED)


def fingerprint(found: Iterable[Object]) -> str:
    """Give the digest of what policies say, in whatever order they come."""
    lines = sorted(
        json.dumps([each["kind"], dig(each, "metadata", "name"), plain(each["spec"])], sort_keys=True) for each in found
    )
    return f"sha256:{hashlib.sha256(chr(10).join(lines).encode()).hexdigest()}"


def identities(found: Iterable[Object]) -> str:
    """Give the digest of which objects they are: it changes when one is edited, or deleted and made again."""
    lines = sorted(f"{dig(each, 'metadata', 'uid')} {dig(each, 'metadata', 'generation')}" for each in found)
    return f"sha256:{hashlib.sha256(chr(10).join(lines).encode()).hexdigest()}"


def enforcement(cluster: Reader) -> Enforcement:
    """Read the policies and judge them. Never raises for what the cluster is like; an unreachable one does."""
    try:
        live = {ref_of(each): each for kind in REQUIRED for each in cluster.list(ADMISSION, kind)}
        bounds = cluster.find(BOUNDS)
    except (Forbidden, NotFound) as refused:
        hidden = isinstance(refused, Forbidden)
        return Enforcement(state="unreadable" if hidden else "missing", why=refused.message or refused.what)
    wanted = {ref_of(each): each for each in required()}
    absent = [str(ref) for ref in wanted if ref not in live]
    if absent or bounds is None:
        return Enforcement(state="missing", why=f"{(absent or [str(BOUNDS)])[0]} is not there")
    found = [live[ref] for ref in wanted]
    odd = [str(ref) for ref, each in wanted.items() if plain(live[ref]["spec"]) != plain(each["spec"])]
    if odd:
        return Enforcement(state="altered", why=f"{odd[0]} is not as shipped")
    status = bounds.get("status") or {}
    since = status.get("enforcedSince")
    if not since or status.get("policies") != fingerprint(found):
        return Enforcement(state="unproven", why="no forged record was seen to be denied by these policies")
    if status.get("objects") != identities(found):
        return Enforcement(state="unproven", why="a policy was altered, or deleted and made again, since it was proven")
    return Enforcement(state="in force", since=datetime.fromisoformat(str(since)))


def trust_of(pin: Pin, found: Enforcement) -> Trust:
    """Say how far a record can be relied on.

    Enforced: recorded while the policies were in force, and moved on by a rollback of meshup's, which leaves its run or
    what the proxies said. A pin that its owner moved by hand is their word, and so is every pin of before. So is what a
    copy tells: the policies saw who wrote it, and nobody saw what came of it. Unknown: the reader may not see the policies.
    """
    moved_by_hand = pin.phase != "Requested" and not (pin.run or pin.observed)
    if pin.copied or moved_by_hand:
        return "declared"
    if found.state == "unreadable":
        return "unknown"
    return (
        "enforced" if found.since is not None and pin.created is not None and pin.created >= found.since else "declared"
    )


def trusted(cluster: Reader, found: Iterable[Pin]) -> tuple[Pin, ...]:
    """Give pins with how far each can be relied on; the policies are read once, and not at all for no pins."""
    every = tuple(found)
    if not every:
        return every
    state = enforcement(cluster)
    return tuple(replace(each, trust=trust_of(each, state)) for each in every)
