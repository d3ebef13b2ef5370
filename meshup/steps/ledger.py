"""install-ledger: the ledger's kinds, bounds and policies, as `meshup ledger install` writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from meshup.model.change import Apply
from meshup.model.lacking import lacking
from meshup.model.objects import dig
from meshup.model.problem import Problem
from meshup.runbook.templates import of_the_ledger
from meshup.steps.step import Draft, Drafted, Scope

ENFORCED = "ledger-enforced"


class InstallLedger:
    """Writes what is missing of the ledger, or not as it ships: kinds first, policies last, bounds that are set left alone.

    There is no way back, and none is needed: a rollback leaves the kinds, the bounds and the policies, because the pins
    and opt-ins in them are the record of who runs what, and would go with them. Nothing that was there is destroyed and no
    pod moves, so it is no one-way door either, and nobody accepts it by name. That records are enforced is for the gate
    ledger-enforced after it to say; without that gate they count as declared until `meshup ledger install` has proven it.
    """

    kind: ClassVar[str] = "install-ledger"
    title: ClassVar[str] = "the ledger's kinds and policies are there, as they ship"
    params: ClassVar[Mapping[str, tuple[type, Any, str]]] = {}
    needs: ClassVar[frozenset[str]] = frozenset()

    def draft(self, scope: Scope) -> Drafted:
        """Give one apply per object that is missing or altered; a newer kind or somebody else's policy is a problem."""
        seen = scope.snapshot
        found = list(lacking(of_the_ledger(), seen.get, seen.kinds))
        problems = tuple(each for each in found if isinstance(each, Problem))
        drafts: list[Draft] = []
        for each in found:
            if isinstance(each, Problem):
                continue
            there = seen.get(each.ref)
            uid = str(dig(there, "metadata", "uid") or "") if there is not None else ""
            change = Apply(on=each.ref, body=each.body, uid=uid, whole=there is not None)
            how = "new" if there is None else "as shipped again:"
            drafts.append(Draft(change=change, step=self.kind, summary=f"{how} {each.ref}", stays=True))
        right = () if found else ("the ledger's kinds and policies",)
        gates = {each.kind for each in scope.stage.gates}
        notes = () if ENFORCED in gates or not drafts else (UNPROVEN,)
        return Drafted(drafts=tuple(drafts), problems=problems, right=right, notes=notes)


UNPROVEN = f"stage gate {ENFORCED} is not asked for: records count as declared until meshup ledger install has proven the policies"
