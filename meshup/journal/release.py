"""Releases on record: MeshRelease objects, read and written with who decided what in the same write."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

from meshup.cluster.errors import AlreadyExists, Conflict, MaybeDone, NotFound
from meshup.cluster.ports import Reader, Writer
from meshup.journal.definitions import ensure
from meshup.journal.home import MANAGED
from meshup.model.moment import instant, stamp
from meshup.model.objects import Object, Ref, dig
from meshup.model.problem import Refused
from meshup.model.qualification import Qualification
from meshup.model.release import STATES, Decision, Release, State, name_of
from meshup.model.text import clean

API_VERSION = "meshup.dev/v1"
KIND = "MeshRelease"
PLURAL = "meshreleases"
OWNERS = Ref(api_version="rbac.authorization.k8s.io/v1", kind="ClusterRole", name="meshup-owner-releases")
"""templates/rbac/releases.yaml: the releases that owners may pin, by name."""
TRIES = 8
MOST_USERS = 64
MOST = 1024


def ref_of_release(version: str) -> Ref:
    """Name the object that records a release."""
    return Ref(api_version=API_VERSION, kind=KIND, name=name_of(version))


def to_body(release: Release) -> dict[str, Any]:
    """Give the object that records a release."""
    spec: dict[str, Any] = {"mesh": release.mesh, "version": release.version, "state": release.state}
    if release.digest:
        spec["digest"] = release.digest
    if release.ends is not None:
        spec["endOfSupport"] = stamp(release.ends)
    if release.issues:
        spec["knownIssues"] = [clean(each, limit=MOST) for each in release.issues]
    if release.note:
        spec["note"] = clean(release.note, limit=MOST)
    if release.decisions:
        spec["decisions"] = [
            {"state": each.state, "by": each.by, "at": stamp(each.at), "reason": clean(each.reason, limit=MOST)}
            for each in release.decisions
        ]
    meta: dict[str, Any] = {"name": name_of(release.version), "labels": dict(MANAGED)}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": meta, "spec": spec}


def from_body(found: Object) -> Release:
    """Read a release. Texts are cleaned. Raises ValueError when its state or a time is none."""
    state = dig(found, "spec", "state")
    if state not in STATES:
        raise ValueError(f"{clean(state)!r} is no state of a release")
    ends, made = dig(found, "spec", "endOfSupport"), dig(found, "metadata", "creationTimestamp")
    return Release(
        mesh=_word(found, "spec", "mesh"),
        version=_word(found, "spec", "version"),
        state=cast("State", state),
        digest=_word(found, "spec", "digest"),
        ends=instant(ends) if ends else None,
        issues=tuple(clean(each, limit=MOST) for each in dig(found, "spec", "knownIssues") or ()),
        note=_word(found, "spec", "note"),
        decisions=tuple(_decision(each) for each in dig(found, "spec", "decisions") or ()),
        uid=_word(found, "metadata", "uid"),
        resource_version=_word(found, "metadata", "resourceVersion"),
        created=instant(made) if made else None,
        qualified=_qualified(dig(found, "status", "qualified")),
    )


def keep_qualified(cluster: Writer, version: str, found: Qualification) -> None:
    """Write into a release's status by whom it was qualified. Raises what the door raises; NotFound where it is not on record."""
    row = {
        "run": clean(found.run, limit=128),
        "at": found.at,
        "users": [
            {"service": service, "owner": clean(owner, limit=128)} for service, owner in found.users[:MOST_USERS]
        ],
        "soakSeconds": int(found.soak_s),
        "gates": list(found.gates),
    }
    cluster.update_status(ref_of_release(version), {"qualified": row})


def _qualified(found: Any) -> Qualification | None:
    """Read who qualified a release; None for nothing, and for what is no record of it."""
    users = tuple((_word(each, "service"), _word(each, "owner")) for each in dig(found, "users") or ())
    at, soak = dig(found, "at"), dig(found, "soakSeconds")
    if not users or not isinstance(soak, int) or isinstance(soak, bool):
        return None
    return Qualification(
        run=_word(found, "run"),
        at=stamp(instant(at)),
        users=users,
        soak_s=float(soak),
        gates=tuple(clean(each, limit=64) for each in dig(found, "gates") or ()),
    )


def releases(cluster: Reader) -> tuple[tuple[Release, ...], tuple[str, ...]]:
    """Give (every release on record in the order of versions, names of those that can't be read); none when not served."""
    read: list[Release] = []
    odd: list[str] = []
    try:
        for each in cluster.list(API_VERSION, KIND):
            try:
                read.append(from_body(each))
            except (ValueError, TypeError, AttributeError):
                odd.append(clean(dig(each, "metadata", "name")))
    except NotFound:
        return (), ()
    return tuple(sorted(read, key=lambda each: (each.mesh, order(each.version)))), tuple(sorted(odd))


def order(version: str) -> tuple[tuple[int, ...], bool, str]:
    """Give what versions are sorted by: their numbers, and what stands behind a dash before what does not."""
    plain, _, more = version.partition("-")
    return tuple(int(each) for each in re.findall(r"\d+", plain)[:8]), not more, version


def find(cluster: Reader, version: str) -> Release | None:
    """Give the release on record of a version; None when there is none. Raises Refused (MU3506) for one that can't be read."""
    found = cluster.find(ref_of_release(version))
    if found is None:
        return None
    try:
        read = from_body(found)
        if read.version != version:
            raise ValueError(f"it is of version {read.version}, which would have the same name")
        return read
    except (ValueError, TypeError, AttributeError) as odd:
        raise Refused(
            f"the record of release {version} can't be read",
            code="MU3506",
            why=clean(odd, limit=200),
            fix=f"kubectl edit meshrelease {name_of(version)}",
            cluster="nothing was changed",
        ) from odd


def keep(cluster: Writer, before: Release | None, after: Release, *, pause: Callable[[float], None]) -> Release:
    """Write a release, new or changed, as one write with what it was before as its precondition.

    A lost answer is resolved by reading. Raises Refused: MU2316 when it can't be recorded, MU3505 when somebody else
    decided meanwhile.
    """
    body, ref = to_body(after), ref_of_release(after.version)
    if before is None:
        ensure(cluster, PLURAL, pause=pause)
    patch = {
        "metadata": {"uid": before.uid, "resourceVersion": before.resource_version} if before is not None else {},
        "spec": body["spec"],
    }
    for _ in range(TRIES):
        try:
            return from_body(cluster.create(body) if before is None else cluster.merge_patch(ref, patch))
        except (AlreadyExists, Conflict, MaybeDone, NotFound):
            there = find(cluster, after.version)
            if there is not None and there.decisions == after.decisions and there.state == after.state:
                return there
            if there is not None and (before is None or there.resource_version != before.resource_version):
                who = there.decided.by if there.decided is not None else "somebody else"
                raise _overtaken(after, f"it is {there.state} now, by {who}") from None
            if there is None and before is not None:
                raise _overtaken(after, "its record was deleted") from None
    raise _overtaken(after, "the write could not be confirmed")


def let_owners(cluster: Writer, version: str, *, may: bool) -> bool:
    """Give owners the right to pin a release by name, or take it; tell whether anything was written. Safe to repeat.

    The right is a name in the role OWNERS, which policies ask for. Where that role is not there nobody asks for it.
    Raises what the door raises, and Refused (MU3505) when somebody else keeps changing the role.
    """
    for _ in range(TRIES):
        there = cluster.find(OWNERS)
        rules = [dict(each) for each in dig(there, "rules") or ()] if there is not None else []
        own = next((each for each in rules if "pin" in (each.get("verbs") or ()) and each.get("resourceNames")), None)
        if there is None or own is None:
            return False
        name = name_of(version)
        names = [each for each in own["resourceNames"] if each != name] + ([name] if may else [])
        if sorted(names) == sorted(own["resourceNames"]):
            return False
        own["resourceNames"] = sorted(names)
        patch = {"metadata": {"resourceVersion": dig(there, "metadata", "resourceVersion")}, "rules": rules}
        try:
            cluster.merge_patch(OWNERS, patch)
        except (Conflict, MaybeDone):
            continue
        return True
    raise Refused(
        f"owners could not be {'given' if may else 'refused'} the right to pin {version}",
        code="MU3505",
        why=f"somebody else keeps changing {OWNERS}",
        fix="run the command again",
        cluster="the release itself is on record as decided",
    )


def _overtaken(after: Release, why: str) -> Refused:
    return Refused(
        f"release {after.version} was changed by somebody else meanwhile",
        code="MU3505",
        why=why,
        fix="meshup releases shows what is on record; then decide again",
        cluster="nothing was changed",
    )


def _decision(found: Any) -> Decision:
    state = dig(found, "state")
    if state not in STATES:
        raise ValueError(f"{clean(state)!r} is no state of a release")
    return Decision(
        state=cast("State", state),
        by=_word(found, "by"),
        at=instant(dig(found, "at")),
        reason=_word(found, "reason"),
    )


def _word(found: Object, *path: str) -> str:
    return clean(dig(found, *path) or "", limit=MOST)
