"""A service rollback's journal inside the status of its own MeshPin: an owner needs no right beyond their namespace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from meshup.cluster.errors import Conflict, MaybeDone, NotFound
from meshup.cluster.ports import Writer
from meshup.journal.home import RESENDS
from meshup.journal.in_cluster import MOST
from meshup.journal.pin import ref_of_pin
from meshup.journal.store import from_line, refuse_secrets, to_line
from meshup.model.ledger import Pin
from meshup.model.objects import Object, dig
from meshup.model.problem import Refused


class PinStore:
    """One pin's entries. Every append is one write with the resourceVersion of the pin as its precondition.

    pin: as it is recorded, with its UID. The plan is stored together with the first entries: whoever goes on needs the
    pin and nothing else.
    """

    def __init__(self, cluster: Writer, pin: Pin) -> None:
        self._cluster, self._pin, self.run = cluster, pin, pin.name
        self._text: str | None = None
        self._over: Object | None = None
        self._version = ""
        self._plan = ""

    def entries(self) -> tuple[Any, ...]:
        """Read every entry in order; what is appended next stands behind them. Raises Refused (MU2303, MU2311)."""
        found = self._read()
        self._text, self._version = _journal(found), str(dig(found, "metadata", "resourceVersion"))
        self._over = found if _is_over(found) else None
        where = f"MeshPin {self._pin.namespace}/{self._pin.name}"
        return tuple(from_line(line, where=f"{where} line {at}") for at, line in enumerate(self._text.splitlines(), 1))

    def plan(self) -> str:
        """Give the text of the plan that was stored with the first entries, "" when there is none (any more)."""
        return str(dig(self._read(), "status", "plan") or "")

    def begin(self, plan: str) -> None:
        """Let the plan's text be stored with the first append. Raises Refused (MU2315) for a Secret's values in it."""
        import json

        for line in plan.splitlines():
            refuse_secrets(json.loads(line))
        self._plan = plan

    def append(self, entries: Sequence[Any]) -> None:
        """Store entries behind the last ones. A reply that was lost is resolved by reading; never doubled."""
        if self._text is None:
            self.entries()
        if self._over is not None:
            self._still_open(self._over)
        known = self._text or ""
        text = known + "".join(to_line(each) + "\n" for each in entries)
        if len(text.encode()) + len(self._plan.encode()) > MOST:
            raise self._refused("MU2312", f"its record would be larger than {MOST} bytes")
        status = {"journal": text, **({"plan": self._plan} if self._plan else {})}
        for _ in range(RESENDS):
            try:
                found = self._cluster.update_status(ref_of_pin(self._pin), status, resource_version=self._version)
            except NotFound:
                raise self._refused("MU2303", "the pin was deleted") from None
            except (Conflict, MaybeDone):
                found = self._read()
                there = _journal(found)
                if there not in (text, known):
                    raise self._refused("MU2303", "another process has written to it since, and goes on") from None
                self._version = str(dig(found, "metadata", "resourceVersion"))
                if there == known and not _is_over(found):
                    continue
            self._still_open(found)
            if _journal(found) != text:
                raise self._unknown()
            self._text, self._version = text, str(dig(found, "metadata", "resourceVersion"))
            self._plan = ""
            return
        raise self._refused("MU2303", "its last write could not be confirmed")

    def _read(self) -> Object:
        found = self._cluster.find(ref_of_pin(self._pin))
        if found is None or (self._pin.uid and dig(found, "metadata", "uid") != self._pin.uid):
            raise self._refused("MU2303", "the pin was deleted")
        return found

    def _still_open(self, found: Object) -> None:
        if _is_over(found):
            by = dig(found, "status", "closedBy") or "somebody"
            raise self._refused("MU2317", f"{by} ended this pin: another rollback of the service was first")

    def _refused(self, code: str, why: str) -> Refused:
        return Refused(
            f"the rollback recorded in MeshPin {self._pin.namespace}/{self._pin.name} could not be continued",
            code=code,
            why=why,
            fix=f"meshup pins -n {self._pin.namespace}",
            cluster="the last journalled change stands",
        )

    def _unknown(self) -> Refused:
        return Refused(
            f"the MeshPin {self._pin.namespace}/{self._pin.name} can't hold the journal of its rollback",
            code="MU2316",
            why="the definition in the cluster is older than this meshup: it drops what it does not know",
            fix="somebody who may change CustomResourceDefinitions applies templates/crds/meshpins.yaml",
            cluster="nothing was changed: a rollback is recorded before the act",
        )


def _is_over(found: Object) -> bool:
    return dig(found, "status", "phase") in ("Closed", "Failed")


def _journal(found: Object) -> str:
    return str(dig(found, "status", "journal") or "")
