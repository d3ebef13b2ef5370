"""Looks that are left out of what is kept: their counts stand in later ones, and their points are handed on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from meshup.gates.canary.series import gathered
from meshup.gates.canary.terms import comparing
from meshup.gates.gate import Terms
from meshup.model.sampled import read, written
from meshup.model.samples import Look, Number, Pair, Points, Sample
from meshup.model.verdict import Reading

USUAL_TO_ONE = 2
"""So many points of the control are handed on for one of the canary's: a rank test gains little from more of one arm."""


def handed_on(older: Reading, newer: Reading, terms: Terms) -> Reading:
    """Give the newer of two neighbours with the fair points, and the queries, of the older one, which is left out.

    Counts grow from look to look, so nothing of them is lost; points are those new since the look before. A newer look that
    is blind or of another comparison takes nothing over. Raises ValueError, LookupError, TypeError for what no look is.
    """
    if older.blind or newer.blind or older.data.get("began") != newer.data.get("began"):
        return newer
    if "form" not in older.data or "form" not in newer.data:
        return newer
    before, after = read(older.data), read(newer.data)
    settings = comparing(newer.data["about"], terms)
    fair = {key: sample for key, series in gathered((before,), settings).items() for _, sample in series.fair()}
    pairs = tuple(_pair(each, fair) for each in after.pairs)
    return replace(newer, data={**newer.data, **written(_asked(before, replace(after, pairs=pairs)))})


def _pair(pair: Pair, fair: dict[tuple[str, str, str], Sample]) -> Pair:
    samples = tuple(_sample(each, fair.get((pair.service, each.metric, each.view))) for each in pair.samples)
    return replace(pair, samples=samples)


def _sample(sample: Sample, before: Sample | None) -> Sample:
    if before is None or not isinstance(sample.canary, Points) or not isinstance(sample.control, Points):
        return sample
    if not isinstance(before.canary, Points) or not isinstance(before.control, Points):
        return sample
    canary = (*before.canary.values, *sample.canary.values)
    control = _spread((*before.control.values, *sample.control.values), most=USUAL_TO_ONE * len(canary))
    return replace(sample, canary=Points(values=canary), control=Points(values=control))


def _spread(values: Sequence[Number], *, most: int) -> tuple[Number, ...]:
    """Give at most so many of the values, evenly spread over their order, whatever they are."""
    if len(values) <= most:
        return tuple(values)
    return tuple(values[number * len(values) // most] for number in range(most))


def _asked(before: Look, after: Look) -> Look:
    """Keep the queries, which only the first look of a comparison has, where the sources are the same."""
    if [each.source for each in before.origins] != [each.source for each in after.origins]:
        return after
    both = zip(before.origins, after.origins, strict=True)
    return replace(after, origins=tuple(replace(new, query=new.query or old.query) for old, new in both))
