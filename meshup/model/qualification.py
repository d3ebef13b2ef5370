"""Why a release may be supported: critical users ran it for so long, and which gates held. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from meshup.model.duration import span

NAMED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Qualification:
    """One wave that qualified a release.

    run: by which run. at: RFC 3339 UTC, when its last gate held. users: (service, owner), never empty. soak_s: how long
    they ran it before they were judged, 0 = not at all. gates: kinds that held, in their order.
    """

    run: str
    at: str
    users: tuple[tuple[str, str], ...]
    soak_s: float
    gates: tuple[str, ...]

    def words(self) -> str:
        """Say it in one line."""
        named = ", ".join(f"{service} ({owner or 'owner unknown'})" for service, owner in self.users[:NAMED])
        more = f" and {len(self.users) - NAMED} more" if len(self.users) > NAMED else ""
        soak = f"ran it for {span(self.soak_s)}" if self.soak_s else "ran it, without a soak"
        return f"{named}{more} {soak}; {', '.join(self.gates)} held; run {self.run}, {self.at[:10]}"


def still(found: Qualification | None, running: Collection[str]) -> Qualification | None:
    """Give what of it stands: those who run the release no more qualify nothing. None when nobody is left."""
    users = tuple(each for each in found.users if each[0] in running) if found is not None else ()
    return replace(found, users=users) if found is not None and users else None
