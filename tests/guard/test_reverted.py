"""A wave whose guard acted did not hold, however quiet the counters are."""

from __future__ import annotations

from datetime import UTC, datetime

from meshup.gates.gate import Terms
from meshup.gates.holding import StrictHolds
from meshup.model.verdict import Answer, Reading


def reading(elapsed, handshakes, reverted=""):
    proxies = {"uid-1": {"pod": "shop/web-1", "refused": 0, "tls": handshakes, "handshakes": handshakes}}
    return Reading(
        at=datetime(2026, 11, 2, 9, tzinfo=UTC), elapsed_s=elapsed, data={"proxies": proxies, "reverted": reverted}
    )


def judged(*readings):
    return StrictHolds().judge(readings, Terms(params={}, patience=StrictHolds.patience))


def test_quiet_counters_pass_and_a_guard_that_acted_fails():
    assert judged(reading(0, 1), reading(15, 9)).answer is Answer.PASS
    verdict = judged(reading(0, 1), reading(15, 9, "2026-11-02T09:00:00Z"))
    assert verdict.answer is Answer.FAIL
    assert "put permissive back" in verdict.because
