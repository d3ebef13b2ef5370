"""What may be the cause of a failing wave, from what the proxies of its objects say of themselves. Pure; evidence, not proof."""

from __future__ import annotations

from collections.abc import Sequence

from meshup.model.scene import Witness
from meshup.model.text import amount

OOM = "memory.killed"
THROTTLED = "cpu.throttled"
"""Of 1: the share of the processor periods of the proxy's container in which it had to wait."""
MUCH_THROTTLED = 0.25
CAUSES: tuple[tuple[str, tuple[str, ...], float], ...] = (
    ("a rejected configuration", ("update_rejected",), 1),
    ("a certificate or its trust", ("ssl.fail_verify", "ssl.connection_error"), 1),
    ("a limit on connections", ("upstream_cx_overflow", "upstream_rq_pending_overflow"), 1),
    ("the proxy's memory limit", (OOM,), 1),
    ("the proxy's CPU limit", (THROTTLED,), MUCH_THROTTLED),
)
"""Cause, the signs that point to it, and from which value on. The first is the likeliest: it breaks all that follow."""


def likely(witnesses: Sequence[Witness]) -> tuple[str, ...]:
    """Name each cause that a sign points to, with the numbers it rests on and whose they are; in the order of CAUSES."""
    found = []
    for cause, signs, least in CAUSES:
        parts = []
        for sign in signs:
            told = [(each, each.signs[sign]) for each in witnesses if each.signs.get(sign, 0) >= least]
            if told:
                parts.append(
                    f"{sign} {_value(sign, [value for _, value in told])} at {_whose([one for one, _ in told])}"
                )
        if parts:
            found.append(f"{cause}: {', '.join(parts)}")
    return tuple(found)


def _value(sign: str, values: Sequence[float]) -> str:
    return f"{max(values):.0%}" if sign == THROTTLED else f"{sum(values):.0f}"


def _whose(several: Sequence[Witness]) -> str:
    if len(several) == 1:
        return several[0].object
    return f"{amount(len(several), 'pod')}, {several[0].object} first"
