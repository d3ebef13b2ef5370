"""The ledger: pins are instruction and record in one, so they can't disagree."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from meshup.model.objects import Ref

Phase = Literal["Requested", "Active", "Closed", "Failed"]
Trust = Literal["enforced", "declared", "inferred"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One service held on one release by one user.

    name: deterministic, so that a resent create cannot double. from_release, to_release: "" = not in the mesh
    ("none" on the command line). until: expiry is computed from it, never stored as a phase.
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
    trust: Trust = "declared"
    uid: str = ""
    on_behalf_of: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What one service runs, read from its pods. releases: release -> pods; "" = pods without a proxy."""

    service: str
    namespace: str
    owner: str
    releases: tuple[tuple[str, int], ...]
    revision: str = ""
