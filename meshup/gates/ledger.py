"""ledger-enforced: the ledger's policies are there as they ship, and forged records are denied, again and again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from meshup.cluster.errors import Forbidden
from meshup.gates.gate import Blind, Eyes, Terms
from meshup.gates.judging import careful
from meshup.journal.enforcement import enforcement
from meshup.journal.forging import sent
from meshup.model.verdict import Answer, Patience, Reading, Verdict

START_S = 45.0
"""A policy denies some time after it was written, one that reads a new kind up to half a minute after that; what is let
pass for longer is not about to be denied."""


class LedgerEnforced:
    """Forges records as dry runs, with what `meshup ledger install` forges, and leaves nothing behind.

    Once it holds, since when is recorded on the MeshLedger: rows of a report count as enforced from then on. A policy or
    binding that is missing or altered fails it at once; one that lets a forged record pass, when it goes on for 45 s. Who may
    not read policies, or may not make pins, can't tell: unknown. Updates and deletes are forged on pins that are there.
    """

    kind: ClassVar[str] = "ledger-enforced"
    title: ClassVar[str] = "the ledger's policies deny forged records"
    reads: ClassVar[str] = "policies and bindings of the ledger; what the server says to forged records, as dry runs"
    params: ClassVar[Mapping[str, tuple[type, Any, str]]] = {}
    needs: ClassVar[frozenset[str]] = frozenset()
    patience: ClassVar[Patience] = Patience(limit_s=90, every_s=1, in_a_row=10)

    def observe(self, eyes: Eyes, terms: Terms) -> Mapping[str, Any]:
        """Give the state of the policies and what was denied; nothing is forged where one is missing or altered."""
        del terms
        found = enforcement(eyes.cluster)
        if found.state == "unreadable":
            raise Blind(f"the policies can't be read: {found.why}")
        if found.state in ("missing", "altered"):
            return {"state": found.state, "why": found.why, "denied": [], "let": "", "unasked": []}
        try:
            forged = sent(eyes.cluster, eyes.clock)
        except Forbidden as refused:
            raise Blind(f"no record can be forged: {refused.message or refused.what}") from refused
        return {
            "state": "there",
            "why": "",
            "denied": [list(each) for each in forged.denied],
            "let": forged.let,
            "unasked": [list(each) for each in forged.unasked],
        }

    @careful
    def judge(self, readings: Sequence[Reading], terms: Terms) -> Verdict:
        """Decide from the newest reading, and from how long forged records have passed now."""
        del terms
        data = readings[-1].data
        if data["state"] in ("missing", "altered"):
            return Verdict(answer=Answer.FAIL, because=str(data["why"]))
        if data["let"]:
            because = str(data["let"])
            if _let_for(readings) >= START_S:
                return Verdict(answer=Answer.FAIL, because=f"{because}, for {_let_for(readings):.0f} s")
            return Verdict(answer=Answer.UNKNOWN, because=because)
        policies = sorted({str(policy) for policy, _ in data["denied"]})
        if data["state"] != "there" or not policies:
            return Verdict(answer=Answer.UNKNOWN, because="nothing was forged, so nothing was seen to be denied")
        left = sorted({str(policy) for policy, _ in data["unasked"]})
        beside = f"; not asked: {', '.join(left)}" if left else ""
        return Verdict(answer=Answer.PASS, because=f"{len(policies)} policies denied forged records{beside}")


def _let_for(readings: Sequence[Reading]) -> float:
    """Give the seconds for which every reading up to the newest saw a forged record pass."""
    began = readings[-1].elapsed_s
    for each in reversed(readings):
        if each.blind or each.data.get("state") != "there" or not each.data.get("let"):
            break
        began = each.elapsed_s
    return readings[-1].elapsed_s - began
