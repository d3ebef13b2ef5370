"""What `upgrade` derives: the runbook that moves a mesh to another release, and why everybody is where they are."""

from __future__ import annotations

from dataclasses import dataclass

from meshup.model.runbook import Mesh, Runbook


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgrade:
    """A runbook to be. before: the mesh it upgrades. book: no file yet, so it has neither digest nor lines.

    state: of the release on record, "" = not on record. qualifies: (service, owner) of the first wave. judged: when and by
    what those are. left: (service, why) no wave moves now. notes: what of the old runbook was not taken over, and what else is to be known.
    """

    before: Mesh
    book: Runbook
    state: str
    qualifies: tuple[tuple[str, str], ...]
    judged: str
    left: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
