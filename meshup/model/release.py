"""A release of a mesh as the platform owner sees it, and the moves between its states. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from meshup.model.held import Held
from meshup.model.holds import ReleaseVerdict
from meshup.model.qualification import Qualification

State = Literal["candidate", "supported", "deprecated", "blocked"]
Move = Literal["add", "promote", "deprecate", "block"]
STATES: tuple[State, ...] = ("candidate", "supported", "deprecated", "blocked")
MOST_DECISIONS, MOST_ISSUES = 64, 64

LEADS: Mapping[Move, tuple[State, frozenset[State | Literal[""]]]] = {
    "add": ("candidate", frozenset({"", "blocked"})),
    "promote": ("supported", frozenset({"candidate", "deprecated"})),
    "deprecate": ("deprecated", frozenset({"supported"})),
    "block": ("blocked", frozenset({"candidate", "supported", "deprecated"})),
}
"""Move -> (where it leads, from which states; "" = not on record). A blocked one is qualified anew before it is supported."""


def name_of(version: str) -> str:
    """Give the name of a version's object: the version as far as a name may have its characters."""
    return re.sub(r"[^a-z0-9.-]+", "-", version.lower()).strip("-.") or "release"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One move: to which state, by whom as the server authenticated them, when, why."""

    state: State
    by: str
    at: datetime
    reason: str

    @property
    def words(self) -> str:
        """Say by whom, when and why."""
        return f"by {self.by} on {self.at:%Y-%m-%d}: {self.reason or 'no reason was given'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One release on record.

    digest: of its manifests, "" = not known. ends: end of support, None = none said. issues: what is known to be wrong
    with it. note: why it is in this state. decisions: newest last, at most MOST_DECISIONS. uid, resource_version: "" =
    not recorded yet. qualified: by whom, as the run that did it wrote; None = by nobody.
    """

    mesh: str
    version: str
    state: State
    digest: str = ""
    ends: datetime | None = None
    issues: tuple[str, ...] = ()
    note: str = ""
    decisions: tuple[Decision, ...] = ()
    uid: str = ""
    resource_version: str = ""
    created: datetime | None = None
    qualified: Qualification | None = None

    @property
    def decided(self) -> Decision | None:
        """The move that led to this state, None when nobody decided it by hand."""
        return self.decisions[-1] if self.decisions else None

    def has_ended(self, now: datetime) -> bool:
        """Tell whether its support is over."""
        return self.ends is not None and self.ends <= now


def state_of(found: Release | None) -> State | Literal[""]:
    """Give a release's state, "" when it is not on record."""
    return found.state if found is not None else ""


def is_possible(move: Move, found: Release | None) -> bool:
    """Tell whether a move leads on from where a release is; being there already is no move, and possible."""
    to, sources = LEADS[move]
    return state_of(found) == to or state_of(found) in sources


def moved(
    found: Release | None,
    move: Move,
    *,
    mesh: str,
    version: str,
    by: str,
    at: datetime,
    reason: str,
    ends: datetime | None = None,
    issues: tuple[str, ...] = (),
    digest: str = "",
) -> Release:
    """Give a release after a move; the very same value when nothing about it changes, whatever the reason.

    found: None = not on record. ends, digest: None and "" leave what is known, and a digest that is known stays.
    issues: added to those that are known.
    """
    to = LEADS[move][0]
    base = found or Release(mesh=mesh, version=version, state=to)
    after = replace(
        base,
        state=to,
        ends=ends or base.ends,
        digest=base.digest or digest,
        issues=tuple(dict.fromkeys((*base.issues, *issues))),
    )
    if after == found:
        return after
    decision = Decision(state=to, by=by, at=at, reason=reason)
    return replace(after, note=reason or base.note, decisions=(*base.decisions, decision)[-MOST_DECISIONS:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """One service that runs a release. pods: how many of its pods do; whole: none of its pods runs another."""

    service: str
    owner: str
    pods: int
    whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseStanding:
    """One release, on record, installed or running. record: None = not on record. revisions: that serve it.

    runs: services with pods on it, by name. verdict: None = nothing is known of it. away: records that count against it.
    """

    version: str
    record: Release | None
    revisions: tuple[str, ...]
    runs: tuple[Runs, ...]
    verdict: ReleaseVerdict | None
    away: tuple[Held, ...] = ()

    @property
    def owners(self) -> tuple[tuple[str, int], ...]:
        """(owner, services of theirs on it), most first; "" = unknown."""
        counted = Counter(each.owner for each in self.runs)
        return tuple(sorted(counted.items(), key=lambda each: (-each[1], each[0])))

    @property
    def is_held(self) -> bool:
        """Tell whether it must not spread."""
        return self.verdict is not None and self.verdict.answer == "hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Releases:
    """All that `releases` shows. odd: records that can't be read. unread: what was not looked at, and why."""

    at: datetime
    cluster_uid: str
    context: str
    user: str
    mesh: str
    releases: tuple[ReleaseStanding, ...]
    odd: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What a platform owner's decision came to.

    before: "" = it was not on record. wrote: false = it was so already. owners: their right to pin it was changed too.
    revisions: that serve it, None = neither a run nor a runbook says where to look. away: records that count against it.
    evidence: for a promotion, who qualified it and runs it still; None = nobody did.
    """

    move: Move
    release: Release
    before: State | Literal[""]
    wrote: bool
    owners: bool = False
    runs: tuple[Runs, ...] = ()
    revisions: tuple[str, ...] | None = None
    away: tuple[Held, ...] = ()
    evidence: Qualification | None = None
