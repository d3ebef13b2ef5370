"""What a comparison of two revisions is asked, and what it answers: metrics, settings, findings, rules and acts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from meshup.model.verdict import Answer

Sort = Literal["share", "rate", "latency", "gauge"]
By = Literal["comparison", "limit", "rule", "probes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric of the closed vocabulary. of: what is counted, for "n of m". unit: of its values, for people."""

    name: str
    sort: Sort
    of: str
    unit: str


METRICS: Mapping[str, Metric] = {
    each.name: each
    for each in (
        Metric(name="errors", sort="share", of="requests", unit="of requests fail"),
        Metric(name="connection-failures", sort="share", of="new connections", unit="of new connections fail"),
        Metric(name="handshake-errors", sort="share", of="handshakes", unit="of handshakes fail"),
        Metric(name="restarts", sort="rate", of="pod seconds", unit="restarts per pod second"),
        Metric(name="latency", sort="latency", of="timed requests", unit="of requests are slower"),
        Metric(name="cpu", sort="gauge", of="points", unit="cores"),
        Metric(name="memory", sort="gauge", of="points", unit="bytes"),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How one metric is judged. Shares are 0 to 1, rates per second, gauges ratios of canary to control.

    base: the bad share that is usual; what the control shows replaces it once it is surely above. rise: the smallest harm
    that must be found, added to base (gauges: the median's relative rise). limit: an interval between two looks is clean
    when the canary keeps it; the last K must be. hard: one interval beyond it fails. least: so much of n before an interval
    is held against limit or hard. quantiles: for latency, where the cuts lie. In latency limit and hard are milliseconds
    that the highest quantile must keep; for gauges the canary's largest point over the control's. None: no such limit.
    """

    metric: str
    base: float
    rise: float
    limit: float | None = None
    hard: float | None = None
    least: int = 20
    quantiles: tuple[float, ...] = ()


USUAL: tuple[Asked, ...] = (
    Asked(metric="errors", base=0.001, rise=0.009, limit=0.05, hard=0.25),
    Asked(metric="connection-failures", base=0.001, rise=0.049, limit=0.10, hard=0.5),
    Asked(metric="handshake-errors", base=0.001, rise=0.049, limit=0.10, hard=0.5),
    Asked(metric="restarts", base=1 / 3600, rise=1 / 60, limit=1 / 60, hard=0.1, least=1),
    Asked(metric="latency", base=0.0, rise=0.1, quantiles=(0.5, 0.99)),
    Asked(metric="cpu", base=0.0, rise=0.2, limit=2.0, hard=4.0, least=1),
    Asked(metric="memory", base=0.0, rise=0.2, limit=2.0, hard=4.0, least=1),
)
"""The initial values, ours to tune: errors as RELIABILITY section 8 has them (0.1 to 1 %), the rest coarser."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparing:
    """All that a comparison is judged by. Data: the plan shows it, and a replay may try other values.

    cluster, control, canary: UID and the two revisions that evidence must be of. wave: services compared now, in order;
    each must be there. services: how many are compared in the
    whole rollout, over all its waves; the error budget is shared among them. callers_alpha: chance of a false stop over
    the rollout by errors that callers see; rest_alpha: by everything else. power: chance that the smallest harm is found.
    design_effect: by how much requests that depend on each other are worth less (measured on A/A windows); gauge_effect:
    the same for points. least: requests, or what else is counted, that each arm must have had, even where the smallest harm
    needs fewer; gauges aside. in_a_row: looks that must be clean in a row. pooled: services judged together with the others of
    their wave. low: services declared to have little traffic, judged by limits and probes alone. least_probes: probes that the
    canary must have had. age_gap_s: by how much control pods may be older than the canary's. skew_s: how far clocks may differ.
    """

    cluster: str
    control: str
    canary: str
    services: int
    wave: tuple[str, ...]
    asked: tuple[Asked, ...] = USUAL
    callers_alpha: float = 0.01
    rest_alpha: float = 0.01
    power: float = 0.95
    design_effect: float = 1.0
    gauge_effect: float = 2.0
    least: int = 0
    in_a_row: int = 3
    pooled: frozenset[str] = frozenset()
    low: frozenset[str] = frozenset()
    least_probes: int = 30
    age_gap_s: float = 600.0
    skew_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one judgement of one metric of one service says; everything a screen needs when it does not pass.

    view: "" the service itself, "callers" all of them together, else one caller. by: what decided. canary, control: the
    values compared, in the metric's unit. n, needed: of the canary's arm. since_s: elapsed second of the look at which
    harm was first found. window_s: how long was looked at.
    """

    service: str
    metric: str
    view: str
    answer: Answer
    because: str
    by: By
    canary: float | None = None
    control: float | None = None
    bound: float | None = None
    n: float = 0.0
    needed: float = 0.0
    since_s: float | None = None
    window_s: float = 0.0
    query: str = ""
    source: str = ""


class Act(IntEnum):
    """What a rule may do, from the boldest to the most careful; of several the most careful counts."""

    PROMOTE = 0
    SLOW = 1
    HOLD = 2
    ROLL_BACK = 3

    @property
    def word(self) -> str:
        """The word of the runbook."""
        return self.name.lower().replace("_", " ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When a metric is so, then act. A closed vocabulary without code.

    when: a metric's name, or "any". answer: the answer it takes; or above: the canary's value, among those that were read
    well enough to be judged, that must be exceeded. Exactly one of the two is given.
    """

    when: str
    then: Act
    answer: Answer | None = None
    above: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the rules make of the findings. rules: those that asked for it, in the runbook's order; because: for people."""

    act: Act
    because: str
    rules: tuple[Rule, ...] = ()
    findings: tuple[Finding, ...] = ()
