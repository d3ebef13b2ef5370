"""The whole judgement: every service, metric and view of a wave, and one verdict of all of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from meshup.gates.canary import budget, metrics
from meshup.gates.canary.metrics import ALL_CALLERS, Subject
from meshup.gates.canary.series import PROBES, Key, Series, gathered
from meshup.model.canary import METRICS, Asked, Comparing, Finding
from meshup.model.sampled import read
from meshup.model.samples import OWN, Look
from meshup.model.text import amount
from meshup.model.verdict import Answer, Reading, Verdict

WAVE = "the pooled services"
Table = Mapping[tuple[str, str], tuple[Series, ...]]
"""(service, metric) -> its views in order, those of probes too."""


def judge(readings: Sequence[Reading], terms: Comparing) -> Verdict:
    """Judge readings whose data are looks as `written` gives them. Never raises; a blind newest reading is unknown.

    Blind readings in between are looks that were not taken. The verdict follows from the readings and the terms alone.
    """
    looks = seen(readings)
    return looks if isinstance(looks, Verdict) else verdict(findings(looks, terms), terms)


def seen(readings: Sequence[Reading]) -> Sequence[Look] | Verdict:
    """Give the looks of readings; the verdict that they are none of. Never raises."""
    if not readings:
        return Verdict(answer=Answer.UNKNOWN, because="nothing was read")
    if readings[-1].blind:
        return Verdict(answer=Answer.UNKNOWN, because=readings[-1].blind)
    try:
        return [read(each.data) for each in readings if not each.blind]
    except ValueError as odd:
        return Verdict(answer=Answer.UNKNOWN, because=f"what was read is not complete: {odd}")


def findings(looks: Sequence[Look], terms: Comparing) -> tuple[Finding, ...]:
    """Give one finding per comparison, in a stable order: services as the terms name them, metrics as they are asked.

    looks: oldest first, from the beginning of the comparison. Never raises. Services that no look has are unknown.
    """
    table = _table(gathered(looks, terms))
    found: list[Finding] = []
    for service in terms.wave:
        for asked in terms.asked:
            own = _views(table, service, asked.metric)
            if service in terms.low:
                found += _quiet(table, service, asked, terms)
            elif service not in terms.pooled or METRICS[asked.metric].sort == "gauge":
                found += _usual(service, asked, own, terms)
            else:
                found += _limited(service, asked, own, terms)
    for asked in terms.asked:
        if METRICS[asked.metric].sort != "gauge" and terms.pooled:
            found += _together(table, asked, terms)
    return tuple(found)


def _table(every: Mapping[Key, Series]) -> Table:
    found: dict[tuple[str, str], list[Series]] = {}
    for key in sorted(every):
        found.setdefault(key[:2], []).append(every[key])
    return {key: tuple(several) for key, several in found.items()}


def _views(table: Table, service: str, metric: str, *, probes: bool = False) -> tuple[Series, ...]:
    return tuple(each for each in table.get((service, metric), ()) if each.key[2].startswith(PROBES) is probes)


def _usual(service: str, asked: Asked, views: Sequence[Series], terms: Comparing) -> Iterator[Finding]:
    """Compare one service by itself: its own view, its callers together, and for errors each caller alone."""
    sort = METRICS[asked.metric].sort
    own = tuple(each for each in views if each.key[2] == OWN)
    callers = tuple(each for each in views if each.key[2] != OWN)
    if not views:
        yield Subject(service, asked, OWN, (), 0.0).finding(Answer.UNKNOWN, f"no {asked.metric} were read", by="rule")
        return
    if sort == "gauge":
        for each in own:
            yield metrics.gauge(Subject(service, asked, OWN, (each,), budget.for_rest(terms, 1)), terms)
        if not own:
            missing = f"no {asked.metric} of its own pods were read"
            yield Subject(service, asked, OWN, (), 0.0).finding(Answer.UNKNOWN, missing, by="rule")
        return
    for subject in _subjects(service, asked, own, callers, terms):
        found = metrics.counts(subject, terms)
        if found is not None:
            yield found


def _subjects(
    service: str, asked: Asked, own: tuple[Series, ...], callers: tuple[Series, ...], terms: Comparing
) -> Iterator[Subject]:
    quantiles = asked.quantiles if METRICS[asked.metric].sort == "latency" else (0.0,)
    if asked.metric == "errors":
        first = _first(callers)
        together, each_alone = budget.for_callers(terms, len(first))
        if callers:
            view = ALL_CALLERS if len(callers) > 1 else callers[0].key[2]
            yield Subject(service, asked, view, callers, together)
            if each_alone:
                for each in first:
                    yield Subject(service, asked, each.key[2], (each,), each_alone, beside=True)
            if own:
                yield Subject(service, asked, OWN, own, budget.for_rest(terms, 1), beside=True)
        else:
            yield Subject(service, asked, OWN, own, together)
        return
    sides = [(OWN, own), (ALL_CALLERS if len(callers) > 1 else callers[0].key[2] if callers else OWN, callers)]
    alpha = budget.for_rest(terms, 2 * len(quantiles))
    for quantile in quantiles:
        for view, several in sides:
            if several:
                yield Subject(service, asked, view, several, alpha, quantile, beside=several is own and bool(callers))


def _first(callers: Sequence[Series]) -> tuple[Series, ...]:
    """Give the callers of the first look at which any could be compared: alpha is shared before more of them come."""
    looks = [
        next((number for number, told in enumerate(each.told) if _is_fair(each, number)), None) for each in callers
    ]
    known = [each for each in looks if each is not None]
    return tuple(each for each, number in zip(callers, looks, strict=True) if known and number == min(known))


def _is_fair(series: Series, number: int) -> bool:
    told = series.told[number]
    return told.sample is not None and not told.doubt and not told.unfair


def _limited(service: str, asked: Asked, views: Sequence[Series], terms: Comparing) -> Iterator[Finding]:
    """Hold a pooled service against its limits alone; only what does not hold is a finding of its own."""
    for each in views:
        found = metrics.alone(
            Subject(service, asked, each.key[2], (each,), 0.0), terms, least=1, what=METRICS[asked.metric].of
        )
        if found.answer is not Answer.PASS:
            yield found
    if not views:
        yield Subject(service, asked, OWN, (), 0.0).finding(Answer.UNKNOWN, f"no {asked.metric} were read", by="rule")


def _together(table: Table, asked: Asked, terms: Comparing) -> Iterator[Finding]:
    """Compare the pooled services of the wave as one: strata by service, so that their own rates do not mix."""
    views: list[Series] = []
    for service in terms.wave:
        if service in terms.pooled:
            every = _views(table, service, asked.metric)
            callers = [each for each in every if each.key[2] != OWN]
            views += callers or every
    if not views:
        return
    quantiles = asked.quantiles if METRICS[asked.metric].sort == "latency" else (0.0,)
    alpha = budget.for_callers(terms, 1)[0] if asked.metric == "errors" else budget.for_rest(terms, len(quantiles))
    for quantile in quantiles:
        found = metrics.counts(Subject(WAVE, asked, OWN, tuple(views), alpha, quantile), terms)
        if found is not None:
            yield found


def _quiet(table: Table, service: str, asked: Asked, terms: Comparing) -> Iterator[Finding]:
    """Judge a service of little traffic: errors by probes, the rest by limits where there is anything to hold to them."""
    if asked.metric == "errors":
        probes = _views(table, service, "errors", probes=True)
        if not probes:
            yield Subject(service, asked, OWN, (), 0.0).finding(
                Answer.UNKNOWN, "it is declared to have little traffic, and no probes were read", by="probes"
            )
            return
        yield metrics.alone(Subject(service, asked, OWN, probes, 0.0), terms, least=terms.least_probes, what="probes")
    for each in _views(table, service, asked.metric):
        if each.is_empty:
            continue
        found = metrics.alone(
            Subject(service, asked, each.key[2], (each,), 0.0), terms, least=0, what=METRICS[asked.metric].of
        )
        if found.answer is not Answer.PASS or (asked.metric != "errors" and found.n):
            yield found


def verdict(found: Sequence[Finding], terms: Comparing) -> Verdict:
    """Make one verdict: the worst finding decides, and every service of the wave must have one that passes."""
    if not terms.wave or not found:
        return Verdict(answer=Answer.UNKNOWN, because="no service is compared; nothing seen is not a pass")
    worst = max(each.answer for each in found)
    if worst is not Answer.PASS:
        those = [each for each in found if each.answer is worst]
        first = max(those, key=lambda each: each.needed - each.n if each.needed != float("inf") else 0.0)
        if worst is Answer.FAIL:
            first = min(those, key=lambda each: each.since_s if each.since_s is not None else float("inf"))
        more = f"; and {amount(len(those) - 1, 'more finding')} like it" if len(those) > 1 else ""
        return Verdict(
            answer=worst,
            because=f"{first.because}{more}" + _probed({each.service for each in those} & terms.low),
            object=f"service {first.service}",
            names=tuple(dict.fromkeys(each.service for each in those)),
            missing=max(0, int(first.needed - first.n)) if first.needed != float("inf") else 0,
        )
    passed = {each.service for each in found}
    without = [each for each in terms.wave if each not in passed and each not in terms.pooled]
    if without or (terms.pooled & set(terms.wave) and WAVE not in passed):
        names = tuple(without) or tuple(sorted(terms.pooled))
        return Verdict(answer=Answer.UNKNOWN, because=f"nothing was judged of {', '.join(names[:5])}", names=names)
    compared = [each for each in found if each.by == "comparison"]
    because = f"{amount(len(compared), 'comparison')} of {amount(len(terms.wave), 'service')} found no harm"
    limited = sorted(
        {each.service for each in found if each.by in ("limit", "probes")}
        - {each.service for each in compared}
        - terms.low
    )
    if limited:
        because += f"; {', '.join(limited[:5])} by limits and probes alone, which is no statistical evidence"
    return Verdict(answer=Answer.PASS, because=because + _probed(terms.low & set(terms.wave)))


def _probed(low: Collection[str]) -> str:
    """Say of services with little traffic that they were probed, and what that is not; "" without any."""
    more = f" and {len(low) - 5} more" if len(low) > 5 else ""
    return f"; {', '.join(sorted(low)[:5])}{more}: probed, no statistical evidence" if low else ""
