"""The preflight gate: runs every check over one reading; blockers hold, warnings are told, waivers are the runbook's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from meshup.gates.gate import Eyes, Terms
from meshup.gates.judging import careful
from meshup.gates.preflight.checks import CHECKS
from meshup.gates.preflight.facts import read
from meshup.model.runbook import Waiver
from meshup.model.text import clean
from meshup.model.verdict import Answer, Patience, Reading, Verdict


class Preflight:
    """Checks are pure functions over one reading; what cannot be read is a finding of its own."""

    kind: ClassVar[str] = "preflight"
    title: ClassVar[str] = "nothing is known that would break the rollout"
    reads: ClassVar[str] = "one list per kind, and access reviews for what a rollout writes"
    params: ClassVar[Mapping[str, tuple[type, Any, str]]] = {
        "skip": (
            list,
            [],
            "ids of checks that are left out for good; a waiver with owner, reason and expiry is better",
        ),
    }
    needs: ClassVar[frozenset[str]] = frozenset()
    patience: ClassVar[Patience] = Patience(limit_s=30, every_s=10, in_a_row=1)

    def observe(self, eyes: Eyes, terms: Terms) -> Mapping[str, Any]:
        """Give each check's findings, and which waivers hold now."""
        facts = read(eyes)
        now = eyes.clock.now().astimezone(UTC)
        left_out = set(terms.params.get("skip") or ())
        rows = {
            check.id: [
                {
                    "object": found.object,
                    "because": clean(found.because, limit=300),
                    "service": found.service,
                    "waived": _waived(eyes.book.waivers, check.id, found.service, now),
                }
                for found in check.run(facts)
            ]
            for check in CHECKS
            if check.id not in left_out
        }
        return {"checks": rows, "left_out": sorted(left_out)}

    @careful
    def judge(self, readings: Sequence[Reading], terms: Terms) -> Verdict:
        """Fail on any blocker that is not waived; all of them are named."""
        del terms
        rows = readings[-1].data.get("checks") if readings else None
        if not isinstance(rows, Mapping) or not rows:
            return Verdict(answer=Answer.UNKNOWN, because="no check ran")
        left_out = readings[-1].data.get("left_out") or ()
        silent = [check.id for check in CHECKS if check.id not in rows and check.id not in left_out]
        if silent:
            return Verdict(answer=Answer.UNKNOWN, because=f"check {silent[0]} did not run (+{len(silent) - 1} more)")
        blocking = {check.id for check in CHECKS if check.blocks}
        fixes = {check.id: check.fix for check in CHECKS}
        bad: list[str] = []
        warned = waived = 0
        for name, found in rows.items():
            for each in found:
                if each.get("waived"):
                    waived += 1
                elif name in blocking:
                    bad.append(f"{name}: {each.get('object')}: {each.get('because')} (fix: {fixes.get(name, '')})")
                else:
                    warned += 1
        told = f"{len(rows)} checks, {waived} waived, {warned} warnings"
        if bad:
            more = f" (+{len(bad) - 1} more)" if len(bad) > 1 else ""
            return Verdict(
                answer=Answer.FAIL,
                because=f"{bad[0]}{more}",
                object=bad[0].split(": ")[1],
                names=tuple(bad),
                hopeless=True,
            )
        return Verdict(answer=Answer.PASS, because=f"{told}, all hold")


def _waived(waivers: Sequence[Waiver], check: str, service: str, now: datetime) -> str:
    for each in waivers:
        if each.gate == check and each.until > now and each.service in ("", service):
            return f"{each.owner}: {each.reason}"
    return ""
