"""Counts between two sets of counters, each held to its bound: requests that fail, their times, connections."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from meshup.gates.canary.tails import is_rarer
from meshup.gates.gate import Terms
from meshup.gates.scrape import bucket_deltas, deltas
from meshup.model.verdict import Answer

Counted = tuple[float, Answer, str, float]
"""Of one view: samples, answer, text, and the value that is held to the bound."""
Count = Callable[[Mapping[str, Any], Mapping[str, Any]], Counted]
MIN_FOR_FAIL = 20
"""Fewer requests than this neither pass nor fail a view: one bad answer of three is no rate."""
FEW = 2
"""Fewer bad ones than this break no bound, unless it allows none."""
SURE = 0.01
"""A bound is broken when so many bad ones have at most this chance where the true rate is just at the bound."""


def _held(text: str, *, kept: bool, bad: float, meant: float) -> tuple[Answer, str]:
    """Hold a view against its bound. kept: it is within; bad: bad ones; meant: how many a rate at the bound gives.

    Beyond the bound by what chance alone gives often is neither a pass nor a fail: 1 failed of 75 says little of a
    rate of 1 %. The chance is the upper tail of the Poisson distribution, which is above the exact binomial's from one
    beyond the mean on (T. W. Anderson and S. M. Samuels, Proc. Fifth Berkeley Symposium 1, 1967).
    """
    if kept:
        return Answer.PASS, text
    if meant <= 0 or (bad >= FEW and is_rarer(meant, math.floor(bad), SURE)):
        return Answer.FAIL, text
    return Answer.UNKNOWN, f"{text}; {bad:.0f} bad where {meant:.3g} are allowed may be chance"


def floor_of(terms: Terms) -> float:
    """Give the least share of requests that must succeed."""
    return float(terms.params.get("floor", 0.99))


def rate(floor: float) -> Count:
    """Count requests that did not fail; connections that could not be made are requests that failed."""

    def one(before: Mapping[str, Any], now: Mapping[str, Any]) -> Counted:
        found = deltas(before, now)
        total = found["requests"] + found["connect_failures"]
        bad = found["failed"] + found["connect_failures"]
        if total < MIN_FOR_FAIL:
            return total, Answer.UNKNOWN, "", 0.0
        share = 1 - min(bad, total) / total
        text = f"{share:.2%} of {total:.0f} requests, floor {floor:.2%}"
        return total, *_held(text, kept=share >= floor, bad=bad, meant=total * (1 - floor)), share

    return one


def times(terms: Terms) -> Count:
    """Find the bucket bound that covers the quantile."""
    quantile, limit = terms.params.get("quantile", 0.99), terms.params.get("limit-ms", 1000.0)

    def one(before: Mapping[str, Any], now: Mapping[str, Any]) -> Counted:
        found = bucket_deltas(before, now)
        total = found[-1][1] if found else 0.0
        if total < MIN_FOR_FAIL:
            return total, Answer.UNKNOWN, "", 0.0
        bound = next((at for at, count in found if count >= quantile * total), float("inf"))
        slow = total - max((count for at, count in found if at <= limit), default=0.0)
        kept, above = bound <= limit, max((at for at, _ in found if at < bound), default=0.0)
        where = f"at or below {bound:g} ms" if bound < float("inf") else "no bucket says how far"
        text = f"p{quantile * 100:g} {where if kept else f'above {above:g} ms, {where}'} of {total:.0f} requests, limit {limit:g} ms"
        return total, *_held(text, kept=kept, bad=slow, meant=total * (1 - quantile)), bound

    return one


def made(terms: Terms) -> Count:
    """Count new connections that could not be made."""
    most = terms.params.get("max-failure-ratio", 0.01)

    def one(before: Mapping[str, Any], now: Mapping[str, Any]) -> Counted:
        found = deltas(before, now)
        total = found["connections"]
        if total < 1:
            return total, Answer.UNKNOWN, "", 0.0
        bad = found["connect_failures"]
        ratio = bad / max(total, bad)
        text = f"{bad:.0f} of {total:.0f} new connections failed ({ratio:.2%}, at most {most:.2%})"
        return total, *_held(text, kept=ratio <= most, bad=bad, meant=max(total, bad) * most), ratio

    return one
