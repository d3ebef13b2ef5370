"""Unknown by rule: every reason for which samples are no evidence, whatever they say (RELIABILITY section 8)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from meshup.model.canary import METRICS, Comparing, Sort
from meshup.model.samples import Buckets, Counts, Look, Number, Origin, Pair, Pod, Points, Sample, Sampled
from meshup.model.text import amount, clean

STALE_SCRAPES = 2
"""A newest sample that is older than so many scrape intervals is of another time."""
WINDOW_SCRAPES = 4
"""Fewer scrapes than this within the window make no rate."""
AHEAD_S = 30.0
"""A sample further in the future than this is told by a clock that is wrong."""


KINDS: Mapping[Sort, type[Sampled]] = {"share": Counts, "rate": Counts, "latency": Buckets, "gauge": Points}


def finite(number: Number) -> bool:
    """Tell whether this is a number to reckon with: not None, NaN or infinite. True and False are none."""
    return isinstance(number, int | float) and not isinstance(number, bool) and number - number == 0


def of_look(look: Look, terms: Comparing) -> str:
    """Say why nothing of a look is evidence, "" when it may be."""
    if not look.whole:
        return "the look was cut short"
    if not finite(look.elapsed_s) or look.elapsed_s < 0:
        return "the look has no time"
    if look.skew_s is None or not finite(look.skew_s):
        return "how far the source's clock differs from this one is not known"
    if abs(look.skew_s) > terms.skew_s:
        return f"the source's clock differs by {abs(look.skew_s):.0f} s, at most {terms.skew_s:.0f} s are allowed"
    return ""


def of_order(before: Look, look: Look, terms: Comparing) -> str:
    """Say why a look can't follow another: time stood still or went back, or the two clocks disagree about it."""
    passed = look.elapsed_s - before.elapsed_s
    if passed <= 0:
        return "time did not pass between two looks"
    if abs((look.at - before.at).total_seconds() - passed) > terms.skew_s:
        return "the wall clock jumped between two looks"
    return ""


def of_canary(pair: Pair, terms: Comparing) -> str:
    """Say why nothing can be said of the new pods: none there, or not of the revision that is judged."""
    return _of_pods("canary", pair.canary, terms.canary)


def of_arms(pair: Pair, terms: Comparing) -> str:
    """Say why the two arms can't be compared: one missing or of a wrong revision, one replica, or not equally fresh."""
    doubt = of_canary(pair, terms) or _of_pods("control", pair.control, terms.control)
    if doubt:
        return doubt
    if terms.control == terms.canary:
        return "both arms are of one revision"
    if {pod.name for pod in pair.control} & {pod.name for pod in pair.canary}:
        return "one replica can't be both arms"
    older = _age(pair.control) - _age(pair.canary)
    if abs(older) > terms.age_gap_s:
        which = "older" if older > 0 else "younger"
        return (
            f"control pods are {abs(older):.0f} s {which} than the canary's, at most {terms.age_gap_s:.0f} s are fair"
        )
    return ""


def _of_pods(word: str, pods: Sequence[Pod], revision: str) -> str:
    if not revision:
        return f"no revision is given for the {word}"
    if not pods:
        return f"no {word} pod serves, and both arms are needed at once"
    for pod in pods:
        if pod.revision != revision:
            runs = clean(pod.revision, limit=60) or "no revision that is known"
            return f"{word} pod {clean(pod.name, limit=120)} runs {runs}, not {revision}"
        if not finite(pod.age_s) or float(pod.age_s or 0) < 0:
            return f"the age of {word} pod {clean(pod.name, limit=120)} is not known"
    return ""


def _age(pods: Sequence[Pod]) -> float:
    """Give the age of the oldest pod of an arm."""
    return max(float(pod.age_s or 0) for pod in pods)


def of_origin(origin: Origin, look: Look, terms: Comparing) -> str:
    """Say why a query's answer is no evidence. Times are compared on the source's clock."""
    if origin.error:
        return f"the query failed: {clean(origin.error, limit=200)}"
    if origin.warnings:
        return f"the answer is partial: {clean(origin.warnings[0], limit=200)}"
    if not terms.cluster or origin.cluster != terms.cluster:
        return "the samples are of another cluster"
    if origin.unlabelled:
        return f"{amount(origin.unlabelled, 'row')} came without the labels that say whose they are"
    if origin.series[1] != 1:
        return f"{origin.series[1]} series for the canary, one is needed"
    if not finite(origin.scrape_s) or origin.scrape_s <= 0:
        return "the scrape interval is not known"
    if not finite(origin.newest):
        return "no sample has a time"
    age = look.at.timestamp() + float(look.skew_s or 0) - float(origin.newest or 0)
    if age > STALE_SCRAPES * origin.scrape_s:
        return (
            f"the newest sample is {age:.0f} s old, {STALE_SCRAPES} scrapes are {STALE_SCRAPES * origin.scrape_s:.0f} s"
        )
    if age < -AHEAD_S:
        return f"the newest sample is {-age:.0f} s ahead of its own clock"
    if look.elapsed_s < WINDOW_SCRAPES * origin.scrape_s:
        return f"the window is {look.elapsed_s:.0f} s, {WINDOW_SCRAPES} scrapes are {WINDOW_SCRAPES * origin.scrape_s:.0f} s"
    return ""


def of_one(sample: Sample) -> str:
    """Say why the canary's figures are none. Zero traffic is left to those who count it."""
    metric = METRICS.get(sample.metric)
    if metric is None:
        return f"{clean(sample.metric, limit=60)} is no metric that is known"
    if sample.canary is None:
        return "the canary has no figure"
    odd = _odd(sample.canary, metric.sort)
    return f"canary: {odd}" if odd else ""


def of_both(sample: Sample, origin: Origin) -> str:
    """Say why the control's figures are none, or why the two do not fit together. The canary's are known to be some."""
    if sample.control is None:
        return "the baseline is missing"
    if origin.series[0] != 1:
        return f"{origin.series[0]} series for the control, one is needed"
    odd = _odd(sample.control, METRICS[sample.metric].sort)
    return f"control: {odd}" if odd else _apart(sample.control, sample.canary)


def _odd(arm: Sampled, sort: Sort) -> str:
    if not isinstance(arm, KINDS[sort]):
        return "the figures are of another kind"
    match arm:
        case Counts():
            odd = _resets(arm.resets) or _numbers((arm.n, arm.bad))
            if not odd and sort == "share" and float(arm.bad or 0) > float(arm.n or 0):
                return f"{arm.bad:g} of {arm.n:g} failed, which can't be"
            return odd
        case Buckets():
            if not arm.bounds or len(arm.bounds) != len(arm.counts):
                return "buckets and their counts do not match"
            last = arm.bounds[-1]
            if last is not None and last != float("inf"):
                return "the last bucket has an upper bound: slower requests are not counted"
            odd = _resets(arm.resets) or _numbers(arm.counts) or _numbers(arm.bounds[:-1])
            if not odd and (_falls(arm.counts, strictly=False) or _falls(arm.bounds[:-1], strictly=True)):
                return "bucket counts or bounds do not grow"
            return odd
        case Points():
            return _numbers(arm.values) if arm.values else "no points since the look before"


def _apart(control: Sampled | None, canary: Sampled | None) -> str:
    if isinstance(control, Buckets) and isinstance(canary, Buckets) and control.bounds[:-1] != canary.bounds[:-1]:
        return "the two arms have different buckets"
    return ""


def _resets(resets: int | None) -> str:
    if resets is None:
        return "whether counters began anew can't be told"
    return f"{amount(resets, 'counter')} began anew" if resets else ""


def _numbers(numbers: Iterable[Number]) -> str:
    for each in numbers:
        kind = type(each)
        if (kind is float or kind is int) and each - each == 0 and each >= 0:  # type: ignore[operator]
            continue
        if each is None or not finite(each):
            return "no number" if each is None else f"{each} is no number"
        return f"{each:g} is negative"
    return ""


def _falls(numbers: Sequence[Number], *, strictly: bool) -> bool:
    known = [float(each or 0) for each in numbers]
    return known != sorted(known) or (strictly and len(set(known)) < len(known))


def of_growth(before: Sample, sample: Sample) -> str:
    """Say whether a counter went back between two looks, which no counter does unless it began anew."""
    for word, old, new in (
        ("control", before.control, sample.control),
        ("canary", before.canary, sample.canary),
    ):
        if isinstance(old, Counts) and isinstance(new, Counts):
            pairs = [(old.n, new.n), (old.bad, new.bad)]
        elif isinstance(old, Buckets) and isinstance(new, Buckets):
            if old.bounds[:-1] != new.bounds[:-1]:
                return f"the {word}'s buckets changed between two looks"
            pairs = list(zip(old.counts, new.counts, strict=True))
        else:
            continue
        for was, is_now in pairs:
            if is_now is not None and was is not None and is_now < was:
                return f"a counter of the {word} went back from {was:g} to {is_now:g}"
    return ""
