"""What an owner wants done, in a file: for somebody who may do it, as CI after a review."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

Deed = Literal["rollback", "opt-in", "opt-out", "unpin"]
DEEDS: tuple[Deed, ...] = get_args(Deed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One wish, performed once however often its file is.

    service: "namespace/name". to: "" = the newest release it was healthy on. until, not_before: as on a command line, ""
    = not said; counted from when it is performed. by: who wrote it, as they say. at: when it was written. digest: sha256
    of all of it, in hex; names what comes of it.
    """

    do: Deed
    service: str
    at: datetime
    digest: str
    by: str = ""
    to: str = ""
    reason: str = ""
    until: str = ""
    wave: str = ""
    not_before: str = ""

    @property
    def namespace(self) -> str:
        """Of the service."""
        return self.service.partition("/")[0]

    @property
    def name(self) -> str:
        """Of the service, without its namespace."""
        return self.service.partition("/")[2]
