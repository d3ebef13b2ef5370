"""One judgement per metric and view: comparison, limits and doubts made into a finding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from meshup.gates.canary import limits
from meshup.gates.canary.gauges import weigh
from meshup.gates.canary.sequence import Aim, Compared, compare
from meshup.gates.canary.series import Series
from meshup.gates.canary.strata import Cut, cut_at, steps_of
from meshup.gates.traffic import more
from meshup.model.canary import METRICS, Asked, Comparing, Finding
from meshup.model.samples import OWN
from meshup.model.verdict import Answer

ALL_CALLERS = "callers"


@dataclass(frozen=True, slots=True)
class Subject:
    """What one finding is about. views: the series that are judged together. alpha: what a false stop may cost here.

    beside: looked at besides a view that must suffice, a caller alone or the service itself beside its callers: it fails and
    it doubts, but too little of it holds nobody up.
    """

    service: str
    asked: Asked
    view: str
    views: tuple[Series, ...]
    alpha: float
    quantile: float = 0.0
    beside: bool = False

    def finding(self, answer: Answer, because: str, **more_fields: Any) -> Finding:
        """Make a finding of it. because: without the names, which stand in front."""
        who = "" if self.view == OWN else f" seen by {self.view if self.view == ALL_CALLERS else f'caller {self.view}'}"
        origin = next((each.origin for each in self.views if each.origin is not None), None)
        fields = {"by": "comparison", "window_s": self.window_s, **more_fields}
        return Finding(
            service=self.service,
            metric=self.asked.metric,
            view=self.view,
            answer=answer,
            because=f"{self.service}{who}: {because}",
            query=origin.query if origin else "",
            source=origin.source if origin else "",
            **fields,
        )

    @property
    def window_s(self) -> float:
        """Give the seconds from the beginning to the newest look."""
        return max((each.told[-1].look.elapsed_s for each in self.views if each.told), default=0.0)


def counts(subject: Subject, terms: Comparing) -> Finding | None:
    """Judge shares, rates or one latency cut: hard limit, then harm, then doubts, then size, then the newest intervals.

    None: too little was seen of a view that only stands beside another.
    """
    asked = subject.asked
    metric = METRICS[asked.metric]
    gone = next((each.went_back for each in subject.views if each.went_back), "")
    if gone:
        return subject.finding(Answer.UNKNOWN, gone, by="rule")
    broken = _limits(subject, terms)
    if broken is not None and broken.answer is Answer.FAIL:
        return broken
    rate = metric.sort == "rate"
    views: list[tuple[Series, Cut | None]] = [(each, None) for each in subject.views]
    cuts: list[Cut] = []
    if metric.sort == "latency":
        chosen = [(each, cut_at(each.fair(), subject.quantile)) for each in subject.views]
        views = [(each, cut) for each, cut in chosen if isinstance(cut, Cut)]
        cuts = [cut for _, cut in chosen if isinstance(cut, Cut)]
        why = next((cut for _, cut in chosen if isinstance(cut, str) and cut), "")
        if why or not cuts:
            doubt = _doubt(subject, terms)
            if subject.beside and not doubt and not why:
                return None
            return subject.finding(Answer.UNKNOWN, doubt or why or _thin(subject, 0, 0, metric.of), by="rule")
    several = [
        ([pair for pair in each.fair() if cut is None or pair[0].elapsed_s >= cut.from_s], cut) for each, cut in views
    ]
    steps = steps_of(several, effect=terms.design_effect, rate=rate)
    found = compare(steps, _aim(subject, terms, rate=rate))
    text, values = _said(subject, found, cuts)
    if found.since_s is not None:
        return subject.finding(
            Answer.FAIL, f"{text}, first seen after {found.since_s:.0f} s", since_s=found.since_s, **values
        )
    doubt = _doubt(subject, terms)
    if doubt:
        return subject.finding(Answer.UNKNOWN, doubt, **{**values, "by": "rule"})
    coarse = next((cut for cut in cuts if not cut.covers), None)
    if coarse is not None:
        above = f"p{coarse.quantile * 100:g} lies above the largest bucket bound ({coarse.upper:g} ms): the buckets can't tell"
        return subject.finding(Answer.UNKNOWN, above, **{**values, "by": "rule"})
    needed = found.needed if rate else max(found.needed, terms.least)
    if found.have < needed:
        if subject.beside:
            return broken
        return subject.finding(
            Answer.UNKNOWN, _thin(subject, found.have, needed, metric.of), **{**values, "needed": needed}
        )
    return broken or subject.finding(Answer.PASS, text, **values)


def gauge(subject: Subject, terms: Comparing) -> Finding:
    """Judge points of CPU or memory in the same order."""
    (series,), asked = subject.views, subject.asked
    broken = _kept(subject, terms, limits.of_points(tuple(series.sound())))
    if broken is not None and broken.answer is Answer.FAIL:
        return broken
    found = weigh(
        tuple(series.fair()), rise=asked.rise, alpha=subject.alpha, power=terms.power, effect=terms.gauge_effect
    )
    unit = METRICS[asked.metric].unit
    text = f"{asked.metric} {found.canary:.4g} {unit} against {found.control:.4g} in the middle ({found.rise:+.1%})"
    values = {"canary": found.canary, "control": found.control, "n": float(found.have), "needed": found.needed}
    if found.since_s is not None:
        return subject.finding(
            Answer.FAIL,
            f"{text}, by ranks of {found.have} points, first seen after {found.since_s:.0f} s",
            since_s=found.since_s,
            **values,
        )
    doubt = _doubt(subject, terms)
    if doubt:
        return subject.finding(Answer.UNKNOWN, doubt, **{**values, "by": "rule"})
    if found.have < found.needed:
        return subject.finding(Answer.UNKNOWN, _thin(subject, found.have, found.needed, "points"), **values)
    return broken or subject.finding(Answer.PASS, f"{text}, {found.have} points", **values)


def alone(subject: Subject, terms: Comparing, *, least: int, what: str) -> Finding:
    """Judge a service of little traffic by limits: no comparison, and it says so. least: n that the canary must have."""
    by = "probes" if what == "probes" else "limit"
    gone = next((each.went_back for each in subject.views if each.went_back), "")
    doubt = gone or next(filter(None, (each.trouble(terms.in_a_row, alone=True) for each in subject.views)), "")
    broken = None
    have = 0.0
    if not gone and METRICS[subject.asked.metric].sort == "gauge":
        spans = limits.of_points(tuple(subject.views[0].sound()))
        broken, have = _kept(subject, terms, spans), sum(each.n for each in spans)
    elif not gone:
        broken = _limits(subject, terms)
        have = sum(_latest(each) for each in subject.views)
    if broken is not None and broken.answer is Answer.FAIL:
        return broken
    if doubt:
        return subject.finding(Answer.UNKNOWN, doubt, by="rule", n=have, needed=float(least))
    if have < least:
        return subject.finding(Answer.UNKNOWN, _thin(subject, have, least, what), by=by, n=have, needed=float(least))
    kept = f"{have:.0f} {what} kept the limits; that is no statistical evidence (declared: little traffic)"
    return broken or subject.finding(Answer.PASS, kept, by=by, n=have, needed=float(least))


def _latest(series: Series) -> float:
    newest = [sample.canary for _, sample in series.sound()][-1:]
    return limits.amount_of(newest[0]) if newest and newest[0] is not None else 0.0


def _doubt(subject: Subject, terms: Comparing) -> str:
    """Say why the newest looks can't be compared, naming the view where there are several."""
    for each in subject.views:
        trouble = each.trouble(terms.in_a_row)
        if trouble:
            several = len(subject.views) > 1 and each.key[2] != OWN
            return f"{trouble} (caller {each.key[2]})" if several else trouble
    return "" if subject.views else "there is no such sample"


def _thin(subject: Subject, have: float, need: float, what: str) -> str:
    if need == float("inf"):
        return "no amount of traffic tells a harm so small from what is usual here: ask for a larger one"
    if not need:
        return f"not enough data for {subject.asked.metric}: too few {what} to choose a bucket by"
    return f"not enough data for {subject.asked.metric}: {more(have, need, subject.window_s, what)}"


def _aim(subject: Subject, terms: Comparing, *, rate: bool) -> Aim:
    asked, share = subject.asked, 1 - subject.quantile
    if METRICS[asked.metric].sort != "latency":
        return Aim(asked.base, asked.rise, subject.alpha, terms.power, rate=rate)
    return Aim(share, asked.rise * 2 * (share * (1 - share)) ** 0.5, subject.alpha, terms.power)


def _said(subject: Subject, found: Compared, cuts: Sequence[Cut]) -> tuple[str, dict[str, Any]]:
    asked = subject.asked
    one = found.canary_bad / found.canary_n if found.canary_n else 0.0
    other = found.control_bad / found.control_n if found.control_n else 0.0
    metric = METRICS[asked.metric]
    values = {
        "canary": one,
        "control": other,
        "bound": found.bound,
        "n": float(found.have),
        "needed": found.needed,
    }
    if metric.sort == "rate":
        text = f"{found.canary_bad} restarts in {found.canary_n} pod seconds against {found.control_bad} in {found.control_n}"
        return text, values
    text = f"{one:.2%} of {found.canary_n} against {other:.2%} of {found.control_n} {metric.unit}"
    cut = cuts[0] if cuts else None
    if cut is not None:
        text += f" than {cut.upper:g} ms ({cut.resolution})"
    return text, values


def _limits(subject: Subject, terms: Comparing) -> Finding | None:
    """Hold each view's canary against its limits, and give the worst; latency only once, with its highest quantile."""
    asked = subject.asked
    latency = METRICS[asked.metric].sort == "latency"
    if latency and subject.quantile not in (0.0, max(asked.quantiles, default=0.0)):
        return None
    worst: Finding | None = None
    for series in subject.views:
        if latency:
            found = _latency_limits(subject, terms, series)
        else:
            one = replace(subject, views=(series,), view=series.key[2] if len(subject.views) > 1 else subject.view)
            found = _kept(one, terms, limits.of_counts(tuple(series.sound()), asked))
        if found is not None and (worst is None or found.answer > worst.answer):
            worst = found
    return worst


def _latency_limits(subject: Subject, terms: Comparing, series: Series) -> Finding | None:
    asked, quantile = subject.asked, max(subject.asked.quantiles, default=0.99)
    worst = None
    for name, bound_ms in (("hard", asked.hard), ("limit", asked.limit)):
        if bound_ms is None:
            continue
        cut = limits.cut_within(series.sound(), quantile, bound_ms)
        if cut is None:
            return subject.finding(
                Answer.UNKNOWN, f"no bucket bound lies at or below the limit {bound_ms:g} ms", by="limit"
            )
        share = replace(
            asked, limit=1 - quantile if name == "limit" else None, hard=1 - quantile if name == "hard" else None
        )
        spans = limits.of_counts(tuple(series.sound()), share, cut)
        found = _kept(replace(subject, asked=share), terms, spans, f"slower than {cut.upper:g} ms")
        if found is not None and (worst is None or found.answer > worst.answer):
            worst = found
    return worst


def _kept(subject: Subject, terms: Comparing, spans: Sequence[limits.Interval], what: str = "") -> Finding | None:
    asked = subject.asked
    found = limits.kept(spans, limit=asked.limit, hard=asked.hard, in_a_row=terms.in_a_row)
    gauged = METRICS[asked.metric].sort == "gauge"
    word = what or ("times the control's largest point" if gauged else METRICS[asked.metric].unit)

    def told(each: limits.Interval) -> str:
        if gauged:
            return f"{each.value:.2f} {word}"
        return (
            f"{each.bad:.0f} in {each.n:.0f} ({each.value:.2%}) {word}"
            if each.value <= 1
            else f"{each.value:.3g} {word}"
        )

    if found.hard is not None:
        text = f"{told(found.hard)} up to {found.hard.at_s:.0f} s, beyond the hard limit {asked.hard:g}"
        return subject.finding(
            Answer.FAIL,
            text,
            by="limit",
            canary=found.hard.value,
            bound=asked.hard,
            n=found.hard.n,
            since_s=found.hard.at_s,
        )
    if found.soft is not None:
        text = f"{told(found.soft)} up to {found.soft.at_s:.0f} s, above the limit {asked.limit:g}"
        text += f"; {terms.in_a_row} clean looks in a row are needed"
        return subject.finding(
            Answer.UNKNOWN, text, by="limit", canary=found.soft.value, bound=asked.limit, n=found.soft.n
        )
    return None
