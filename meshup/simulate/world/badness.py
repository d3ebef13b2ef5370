"""The ways in which a release of the mesh can be bad, and what each does to a request."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from meshup.simulate.api.problems import Refusal

KINDS: Mapping[str, tuple[str, Mapping[str, float | str]]] = {
    "errors": ("a share of the requests to its pods fails", {"errors": 0.2}),
    "slow": ("requests to its pods take longer, by latency in ms", {"latency": 500.0}),
    "leaky": ("its proxies grow, by MiB a minute, until their limit ends them", {"grows": 60.0}),
    "connect": ("a share of the new connections to its pods can't be made", {"share": 0.2}),
    "one-caller": ("requests of one caller of each service fail; none named = drawn", {"errors": 0.5, "caller": ""}),
    "load": ("requests to a pod fail while it has more than so many a second", {"errors": 0.2, "above": 5.0}),
    "late": ("requests to a pod fail once it is so many seconds old", {"errors": 0.2, "after": 1200.0}),
    "config": ("its proxies reject their configuration when they start and at every change of it", {}),
}
"""By name: what it does, and its values with what they are when nothing is said."""
SHARES = frozenset({"errors", "share"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Bad:
    """One release that is bad in one way. The values are those of KINDS; what a kind does not use is 0 or "".

    errors, share: 0 to 1. latency: milliseconds. grows: MiB a minute. above: requests a second and pod. after: seconds.
    """

    release: str
    kind: str
    errors: float = 0.0
    latency: float = 0.0
    grows: float = 0.0
    share: float = 0.0
    above: float = 0.0
    after: float = 0.0
    caller: str = ""

    def values(self) -> str:
        """Give the values that its kind uses, for people."""
        found = [(key, getattr(self, key)) for key in KINDS[self.kind][1]]
        return ", ".join(f"{key}={_shown(value)}" for key, value in found if value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One kind of request as badness sees it. age_s: of the pod that answers. rate: requests a second that it has.

    chosen: the caller that a release fails for where none is named. ending: whether the proxy is being killed.
    """

    caller: str
    age_s: float
    rate: float
    chosen: str
    ending: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What comes on top: a share of requests that fails, milliseconds, and a share of connections that can't be made."""

    errors: float = 0.0
    latency_ms: float = 0.0
    unconnected: float = 0.0

    def __add__(self, other: Effect) -> Effect:
        """Add another one; shares add up as chances do."""
        return Effect(
            errors=1 - (1 - self.errors) * (1 - other.errors),
            latency_ms=self.latency_ms + other.latency_ms,
            unconnected=1 - (1 - self.unconnected) * (1 - other.unconnected),
        )


NOTHING = Effect()


def effect(bad: Bad, asked: Asked) -> Effect:
    """Give what one bad release does to a request that one of its proxies takes."""
    if asked.ending:
        return Effect(errors=1.0)
    match bad.kind:
        case "slow":
            return Effect(latency_ms=bad.latency)
        case "connect":
            return Effect(unconnected=bad.share)
        case "one-caller":
            return Effect(errors=bad.errors) if asked.caller == (bad.caller or asked.chosen) else NOTHING
        case "load":
            return Effect(errors=bad.errors) if asked.rate > bad.above else NOTHING
        case "late":
            return Effect(errors=bad.errors) if asked.age_s >= bad.after else NOTHING
        case "errors":
            return Effect(errors=bad.errors)
        case _:
            return NOTHING


def bad(release: str, kind: str, values: Mapping[str, Any]) -> Bad:
    """Read a declaration. values: further keys by name. Raises Refusal 400 for a kind or value that is not known."""
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, 1, 0.5)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise Refusal(400, f"a release can't be bad by {kind!r}; known: {', '.join(KINDS)}{hint}")
    if not release:
        raise Refusal(400, f"which release is bad by {kind!r} is not said")
    usual = KINDS[kind][1]
    read: dict[str, Any] = dict(usual)
    for key, value in values.items():
        if key not in usual:
            raise Refusal(400, f"a release that is bad by {kind!r} has no {key!r}; known: {', '.join(usual) or 'none'}")
        read[key] = str(value) if isinstance(usual[key], str) else _number(key, value)
    return Bad(release=release, kind=kind, **read)


def _number(key: str, value: Any) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = math.nan
    if not 0 < found <= (1.0 if key in SHARES else 1e9):
        bounds = "above 0, at most 1" if key in SHARES else "above 0"
        raise Refusal(400, f"{key} of a bad release is a number {bounds}; found {value!r}")
    return found


def described() -> tuple[str, ...]:
    """Give one line per kind with its usual values, for people."""
    return tuple(f"  {name} ({_usual(usual) or 'no values'}): {text}" for name, (text, usual) in KINDS.items())


def _usual(usual: Mapping[str, float | str]) -> str:
    return ", ".join(f"{key}={_shown(value)}" for key, value in usual.items())


def _shown(value: float | str) -> str:
    return f"{value:g}" if isinstance(value, float) else value or "NAMESPACE/NAME"
