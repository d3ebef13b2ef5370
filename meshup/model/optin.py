"""What an owner said about one service joining the mesh: a record of its own, which beats the runbook."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from meshup.model.ledger import OnBehalfTrust
from meshup.model.objects import Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class OptInRecord:
    """One word of one owner: the service joins, or stays out. It is never changed; a later word is a further record.

    name: follows from the word and from the one before it, so that a resent create meets itself. service: its name in
    the namespace. wave: the one the owner wishes for, "" = the runbook's. not_before: no wave moves the service earlier,
    None = at once. user, user_uid, user_groups_digest, on_behalf_of, on_behalf_trust: as in a pin. made: when the server
    stored it, None = not recorded yet.
    """

    name: str
    namespace: str
    service: str
    workload: Ref
    workload_uid: str
    joins: bool
    user: str
    user_uid: str
    at: datetime
    user_groups_digest: str = ""
    reason: str = ""
    wave: str = ""
    not_before: datetime | None = None
    on_behalf_of: str = ""
    on_behalf_trust: OnBehalfTrust = ""
    made: datetime | None = None
    uid: str = ""

    @property
    def id(self) -> str:
        """Of the service: namespace/name."""
        return f"{self.namespace}/{self.service}"
