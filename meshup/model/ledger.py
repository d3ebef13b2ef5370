"""The ledger: pins are instruction and record in one, so they can't disagree."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from meshup.model.moment import end_text
from meshup.model.objects import Ref

Phase = Literal["Requested", "Active", "Closed", "Failed"]
Trust = Literal["enforced", "declared", "inferred", "unknown"]
"""How far a record can be relied on: see journal/enforcement.trust_of, which alone decides it.

unknown: whoever reads it may not see whether the policies are in force; or nobody has asked yet.
"""
OnBehalfTrust = Literal["", "verified", "declared"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One service held on one release by one user.

    name: deterministic, so that a resent create cannot double. from_release, to_release: "" = not in the mesh
    ("none" on the command line). to_digest: of the release's manifests, "" = none on record. user, user_uid: as the
    server authenticated them; user_groups_digest: of the groups, see journal/pin.py. until: expiry is computed from it,
    never stored as a phase. on_behalf_trust: "" = on nobody's behalf. observed: release -> pods as the running proxies
    said when it was verified, empty = not verified yet. exported: hash of its line in the export, "" = not exported.
    created: when the server made the record, None = not recorded yet. copied: read from the copy in meshup-system, as its
    namespace is gone: who, from, to, why and until when are known, and not what came of it.
    """

    name: str
    namespace: str
    service: str
    workload: Ref
    workload_uid: str
    from_release: str
    from_revision: str
    to_release: str
    to_revision: str
    user: str
    user_uid: str
    reason: str
    since: datetime
    until: datetime
    phase: Phase = "Requested"
    run: str = ""
    trust: Trust = "unknown"
    uid: str = ""
    user_groups_digest: str = ""
    to_digest: str = ""
    on_behalf_of: str = ""
    on_behalf_trust: OnBehalfTrust = ""
    observed: tuple[tuple[str, int], ...] = ()
    closed_by: str = ""
    closed_at: datetime | None = None
    exported: str = ""
    created: datetime | None = None
    copied: bool = False

    @property
    def asker(self) -> str:
        """Name the one who asked, and apart from them the one they say it was for, with how far that can be trusted."""
        return self.user + (f" for {self.on_behalf_of} ({self.on_behalf_trust})" if self.on_behalf_of else "")

    @property
    def ends(self) -> str:
        """Say until when it is meant to hold."""
        return end_text(self.since, self.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What one service runs, read from its pods. releases: release -> pods; "" = pods without a proxy."""

    service: str
    namespace: str
    owner: str
    releases: tuple[tuple[str, int], ...]
    revision: str = ""
