"""The preflight gate: runs every check over one reading; blockers hold, warnings are told, waivers are the runbook's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from meshup.gates.gate import Eyes, Terms
from meshup.gates.judging import careful
from meshup.gates.preflight.checks import CHECKS
from meshup.gates.preflight.facts import Check, Facts, Found, read
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
        left_out = set(terms.params.get("skip") or ())
        rows = {check.id: rows_of(check, facts) for check in CHECKS if check.id not in left_out}
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
        unsure: list[str] = []
        warned = waived = 0
        for name, found in rows.items():
            for each in found:
                if each.get("waived"):
                    waived += 1
                elif name not in blocking:
                    warned += 1
                else:
                    text = f"{name}: {each.get('object')}: {each.get('because')} (fix: {fixes.get(name, '')})"
                    (unsure if each.get("open") else bad).append(text)
        if bad or unsure:
            return _held(bad, unsure)
        return Verdict(answer=Answer.PASS, because=f"{len(rows)} checks, {waived} waived, {warned} warnings, all hold")


def _held(bad: Sequence[str], unsure: Sequence[str]) -> Verdict:
    """Say what blocks, or, where nothing does, what could not be told."""
    told = bad or unsure
    more = f" (+{len(told) - 1} more)" if len(told) > 1 else ""
    return Verdict(
        answer=Answer.FAIL if bad else Answer.UNKNOWN,
        because=f"{told[0]}{more}",
        object=told[0].split(": ")[1],
        names=(*bad, *unsure),
        hopeless=bool(bad),
    )


def rows_of(check: Check, facts: Facts) -> list[dict[str, Any]]:
    """Run one check over the facts; one that may not read what it needs, or meets what it can't read, is open."""
    blind = [kind for kind in check.reads if kind in facts.unread]
    if blind:
        found = [Found(object=blind[0], because=f"may not be listed: {facts.unread[blind[0]]}", is_open=True)]
    else:
        try:
            found = list(check.run(facts))
        except ValueError as odd:
            found = [Found(object="the cluster", because=f"has what can't be read: {odd}", is_open=True)]
    now = facts.snapshot.taken_at
    return [
        {
            "object": each.object,
            "because": clean(each.because, limit=300),
            "service": each.service,
            "open": each.is_open,
            "waived": _waived(facts.book.waivers, check.id, each.service, now),
        }
        for each in found
    ]


def _waived(waivers: Sequence[Waiver], check: str, service: str, now: datetime) -> str:
    for each in waivers:
        if each.gate == check and each.until > now and each.service in ("", service):
            return f"{each.owner}: {each.reason}"
    return ""
