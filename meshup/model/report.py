"""What a report says of releases, as values for every view; numbers of different trust stand apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from meshup.model.counts import Counts
from meshup.model.held import Held
from meshup.model.holds import ReleaseVerdict


class Seen(NamedTuple):
    """What one service runs. wanted: the release it should run when no record holds it, "" = out of the mesh.

    moved: a finished wave brought it there, so that anything else needs a record. releases: (release, pods), most first.
    """

    cluster: str
    namespace: str
    service: str
    owner: str
    releases: tuple[tuple[str, int], ...]
    wanted: str
    moved: bool

    @property
    def place(self) -> tuple[str, str, str]:
        """Cluster, namespace, name."""
        return self.cluster, self.namespace, self.service

    @property
    def is_off(self) -> bool:
        """Tell whether pods run something else than a finished wave gave them."""
        return self.moved and any(release != self.wanted for release, _ in self.releases)


class State(NamedTuple):
    """A release as the platform owner sees it (MeshRelease). state: candidate, supported, deprecated, blocked."""

    release: str
    state: str
    end_of_support: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What one cluster, or one export of a ledger, shows.

    names: what it was asked for by. cluster: UID of kube-system, "" = it could not be read, and `why` says why. at:
    RFC 3339. seen: services with their pods; looked: whether pods were looked at, and unseen why they were not. revisions:
    (revision, release) installed. odd: records that could not be read.
    """

    names: frozenset[str]
    cluster: str
    at: str = ""
    why: str = ""
    held: tuple[Held, ...] = ()
    seen: tuple[Seen, ...] = ()
    looked: bool = False
    unseen: str = ""
    states: tuple[State, ...] = ()
    revisions: tuple[tuple[str, str], ...] = ()
    odd: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """One cluster of a report. why: "" = it was read. unseen: why its pods were not looked at, "" = they were."""

    name: str
    cluster: str
    why: str = ""
    unseen: str = ""


class Reason(NamedTuple):
    """Reasons that read alike, with how often each was given."""

    text: str
    counts: Counts


class Week(NamedTuple):
    """Rollbacks begun in seven days. start: RFC 3339."""

    start: str
    counts: Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRow:
    """One release. release: "" = out of the mesh.

    installed: revisions that serve it. on, partly: services with all, or some, of their pods on it. owners: distinct
    owners of those services. Of rollbacks: users and services are distinct; ever = begun since the report's `since`, or
    in effect. temporary, overdue: in effect, by their end. renewed: records that prolong another. failed: those that
    never took effect. untracked: services that left it without a record.
    """

    release: str
    state: State
    installed: tuple[str, ...]
    on: int
    partly: int
    owners: int
    users_ever: Counts
    users_active: Counts
    services_ever: Counts
    services_active: Counts
    temporary: Counts
    overdue: Counts
    renewed: Counts
    failed: Counts
    untracked: int
    reasons: tuple[Reason, ...]
    trend: tuple[Week, ...]
    verdict: ReleaseVerdict

    @property
    def is_in_use(self) -> bool:
        """Tell whether pods run it."""
        return bool(self.on or self.partly)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One record in the list of a report. That of an untracked service has no name, user or time.

    overdue: past its end and still in effect. effect: "yes", "no" when no pod runs it, "" when pods were not looked at.
    """

    held: Held
    origin: str
    renews: bool = False
    overdue: bool = False
    effect: str = ""

    @property
    def is_untracked(self) -> bool:
        """Tell whether there is no record behind it."""
        return self.held.trust == "inferred"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Who runs what, and who went back from it, why and until when.

    version: the release asked for, "" = all. since: RFC 3339, "" = from the beginning. rows: everything in effect, and
    the newest of what has ended; ended_more: how many ended ones are not listed. by_user: (user, rollbacks), most first.
    services: how many were looked at. known: every release that something is known of.
    """

    at: str
    version: str = ""
    since: str = ""
    clusters: tuple[Reach, ...] = ()
    services: int = 0
    releases: tuple[ReleaseRow, ...] = ()
    rows: tuple[Row, ...] = ()
    ended_more: int = 0
    seen: tuple[Seen, ...] = ()
    by_user: tuple[tuple[str, Counts], ...] = ()
    odd: tuple[str, ...] = ()
    next: str = ""
    known: tuple[str, ...] = ()

    @property
    def unseen(self) -> tuple[Reach, ...]:
        """The clusters that were read without their pods: what runs there is not known."""
        return tuple(each for each in self.clusters if each.unseen)

    @property
    def is_blind(self) -> bool:
        """Tell whether no pods at all were looked at."""
        return all(each.unseen or each.why for each in self.clusters)

    @property
    def is_known(self) -> bool:
        """Tell whether anything is known of the release that was asked for, or might be where nothing could be read."""
        return self.version in ("", "none", *self.known) or bool(self.unread)

    @property
    def unread(self) -> tuple[Reach, ...]:
        """The clusters that could not be read."""
        return tuple(each for each in self.clusters if each.why)

    @property
    def overdue(self) -> tuple[Row, ...]:
        """Records past their end that still hold."""
        return tuple(each for each in self.rows if each.overdue)

    @property
    def on_hold(self) -> tuple[ReleaseRow, ...]:
        """Releases that must not spread."""
        return tuple(each for each in self.releases if each.verdict.answer == "hold")
