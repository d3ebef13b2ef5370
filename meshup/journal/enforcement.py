"""Whether the API server enforces the ledger: its policies as shipped, seen to deny, and not touched since."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from meshup.cluster.errors import Forbidden, NotFound
from meshup.cluster.ports import Reader
from meshup.model.ledger import Pin, Trust
from meshup.model.objects import Object, Ref, dig, ref_of
from meshup.model.shipped import shipped

BOUNDS = Ref(api_version="meshup.dev/v1", kind="MeshLedger", name="meshup")
ADMISSION = "admissionregistration.k8s.io/v1"
REQUIRED = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
STAMPS = ("MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding")
STAMPED = ("v1", "v1beta1", "v1alpha1")
"""Versions in which a server may serve what stamps, newest first."""
USUAL: Mapping[str, Any] = {
    "namespaceSelector": {},
    "objectSelector": {},
    "matchPolicy": "Equivalent",
    "scope": "*",
    "failurePolicy": "Fail",
}
"""What a server fills in where a policy says nothing."""

State = Literal["in force", "missing", "altered", "unproven", "unreadable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Enforcement:
    """How far the cluster's policies can be relied on. since: when they were proven, None unless in force.

    why: what is missing or was altered, "" when in force.
    """

    state: State
    since: datetime | None = None
    why: str = ""


@functools.cache
def policies() -> tuple[Object, ...]:
    """Give the shipped objects in the order of their files: the bounds, then each policy and its binding."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: list[Object] = []
    for path in sorted((shipped("templates") / "policies").glob("*.yaml")):
        found += yaml.load_all(path.read_text(encoding="utf-8"), loader)
    return tuple(found)


def required() -> tuple[Object, ...]:
    """Give the policies and bindings without which nothing is enforced."""
    return tuple(each for each in policies() if each["kind"] in REQUIRED)


def plain(spec: Any) -> Any:
    """Give a spec without what the server filled in, so that it compares with what was shipped."""
    if isinstance(spec, Mapping):
        return {key: plain(value) for key, value in spec.items() if not (key in USUAL and value == USUAL[key])}
    return [plain(each) for each in spec] if isinstance(spec, list) else spec


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


def unlike(cluster: Reader) -> Iterator[tuple[Object, Object | None]]:
    """Yield (shipped, found) of every object that is not there or not as shipped; bounds that are there stay as they are.

    Stamping policies are taken in the newest version that the server serves, and left out where it serves none.
    """
    served = cluster.kinds()
    for shipped_as in policies():
        each = as_served(shipped_as, served)
        if each is None:
            continue
        try:
            there = cluster.find(ref_of(each))
        except NotFound:
            there = None
        if there is None or (each["kind"] != BOUNDS.kind and plain(there["spec"]) != plain(each["spec"])):
            yield each, there


def as_served(body: Object, served: Container[tuple[str, str]]) -> Object | None:
    """Give a shipped object in the version that a server takes; None when that is a stamping policy and it takes none."""
    if body["kind"] not in STAMPS:
        return body
    versions = (f"{ADMISSION.partition('/')[0]}/{version}" for version in STAMPED)
    found = next((version for version in versions if (version, body["kind"]) in served), "")
    return {**body, "apiVersion": found} if found else None


def trusted(cluster: Reader, found: Iterable[Pin]) -> tuple[Pin, ...]:
    """Give pins with how far each can be relied on; the policies are read once, and not at all for no pins."""
    every = tuple(found)
    if not every:
        return every
    state = enforcement(cluster)
    return tuple(replace(each, trust=trust_of(each, state)) for each in every)
