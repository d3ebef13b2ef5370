"""Where a service may go: releases that are installed and that the platform owner supports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from meshup.journal.release import order
from meshup.model.moment import instant_or_none
from meshup.model.objects import Object, dig
from meshup.model.problem import Refused, Where
from meshup.model.runbook import Service
from meshup.model.snapshot import Snapshot
from meshup.model.text import clean

NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One release a service may go to, and the revision that serves it; both "" = out of the mesh.

    digest: of the release on record, "" = none. words: how it stands, for the one who goes there.
    """

    release: str
    revision: str
    digest: str = ""
    words: str = ""


def target(installed: Mapping[str, str], snapshot: Snapshot, service: Service, to: str) -> Target:
    """Find what a person named: a release, a revision, or none.

    Raises Refused: MU3402 for what is not installed, MU3404 for a release that is not supported, MU3406 for one that is
    not on record where others are.
    """
    if to == NONE:
        return Target(release="", revision="", words="out of the mesh needs no release")
    fitting = sorted(revision for revision, release in installed.items() if to in (release, revision))
    release = installed[fitting[-1]] if fitting else to
    wrong = against(release, snapshot)
    way_out = possible(able(installed, snapshot), service)
    if wrong:
        raise refused(service, *wrong, way_out)
    if not fitting:
        there = ", ".join(f"{name or '?'} (revision {revision})" for revision, name in sorted(installed.items()))
        why = f"installed are: {there}" if there else "no control plane of the mesh is installed"
        raise refused(service, "MU3402", f"release {to} is not installed; {why}", way_out)
    record = on_record(snapshot).get(release)
    return Target(
        release=release,
        revision=fitting[-1],
        digest=str(dig(record, "spec", "digest") or ""),
        words=f"release {release} is installed as revision {fitting[-1]}, {_standing(record, snapshot.taken_at)}",
    )


def possible(releases: Sequence[str], service: Service) -> str:
    """Say where a service can go now, and the command for it; out of the mesh is always possible."""
    if not releases:
        return (
            f"meshup rollback {service.id} --to {NONE} --reason TEXT --until 7d, out of the mesh, is all that is possible "
            "now; to a release it is once the platform owner has installed and promoted one"
        )
    return (
        f"meshup rollback {service.id} --to RELEASE --reason TEXT --until 7d; possible now: "
        f"{', '.join(releases)}, {NONE} (out of the mesh)"
    )


def on_record(snapshot: Snapshot) -> Mapping[str, Object]:
    """Give version -> MeshRelease."""
    return {str(dig(each, "spec", "version") or ""): each for each in snapshot.of("MeshRelease")}


def against(release: str, snapshot: Snapshot) -> tuple[str, str] | None:
    """Give (code, why) when nobody may go to a release, None when they may. Without any record every release will do."""
    every = on_record(snapshot)
    if not every:
        return None
    record = every.get(release)
    if record is None:
        return "MU3406", f"release {release} is not on record; on record are {', '.join(sorted(every))}"
    state, note = str(dig(record, "spec", "state") or ""), dig(record, "spec", "note")
    if state != "supported":
        return "MU3404", f"release {release} is {clean(state)}" + (f": {clean(note, limit=256)}" if note else "")
    ends = instant_or_none(dig(record, "spec", "endOfSupport"))
    if ends is not None and ends <= snapshot.taken_at:
        return "MU3404", f"release {release} is out of support since {ends:%Y-%m-%d}"
    return None


def able(installed: Mapping[str, str], snapshot: Snapshot) -> tuple[str, ...]:
    """Name the releases that are installed and may be gone to, oldest first."""
    found = {release for release in installed.values() if release and against(release, snapshot) is None}
    return tuple(sorted(found, key=order))


def refused(service: Service, code: str, why: str, fix: str) -> Refused:
    """Make the error of a service that can't be taken where its owner wants it."""
    return Refused(
        f"{service.id} can't be taken there",
        code=code,
        why=why,
        fix=fix,
        at=Where(object=str(service.workload)),
        cluster="nothing was changed, and nothing was recorded",
    )


def _standing(record: Object | None, now: datetime) -> str:
    if record is None:
        return "and no MeshRelease says whether it is supported"
    ends = instant_or_none(dig(record, "spec", "endOfSupport"))
    return f"supported until {ends:%Y-%m-%d}" if ends is not None and ends > now else "supported"
