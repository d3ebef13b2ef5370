"""What failed, and what the failing objects showed before they were taken back: values for one screen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    """One number that did not hold, ready for a screen.

    view: who counted it: "itself", "caller NAME", "callers". value, bound: in `unit`, where "share" is 0 to 1; None = it is no
    number. stops_at: how many bad ones a sequential test bears, where that is what stopped it. control: what the old revision
    had beside it, None = nothing was compared. n: samples, of what says `of`. window_s: 0 = since the pods that counted began.
    since: since when, for people. callers: what each caller saw, worst first; empty = none was read. query: what was asked, "" =
    the proxies' own pages.
    """

    metric: str
    service: str
    view: str
    unit: str
    of: str
    value: float | None = None
    bound: float | None = None
    stops_at: int | None = None
    control: float | None = None
    n: float = 0.0
    window_s: float = 0.0
    since: str = ""
    source: str = ""
    query: str = ""
    callers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """What one object showed. Every line is clean, masked and cut; few of many.

    object: as Ref writes it. conditions: those that are not as they should be, of its containers too. events: warnings, newest
    first. log: the last lines, oldest first, each with its container. signs: counts of the proxy since it began, by name.
    unread: what could not be read, with why.
    """

    object: str
    service: str = ""
    conditions: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    log: tuple[str, ...] = ()
    signs: Mapping[str, float] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
