"""One metric of one service as one view tells it, look after look: what of it may be compared, and what only limited."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from meshup.gates.canary import doubts
from meshup.model.canary import Comparing
from meshup.model.samples import Look, Origin, Sample

Key = tuple[str, str, str]
"""Service, metric, view."""
PROBES = "\0probes "
"""Before the view of a synthetic sample; no name of a caller begins so."""
NOT_THERE = "there is no such sample"


@dataclass(frozen=True, slots=True)
class Told:
    """What a look tells of one key. doubt: why the canary's figures are no evidence; unfair: why they can't be compared."""

    look: Look
    sample: Sample | None
    origin: Origin | None
    doubt: str = ""
    unfair: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """One key over all looks, oldest first. went_back: which counter fell; nothing may be made of such a series."""

    key: Key
    told: tuple[Told, ...]
    went_back: str = ""

    def sound(self) -> Iterator[tuple[Look, Sample]]:
        """Yield the looks whose canary may be held against limits."""
        for each in self.told:
            if each.sample is not None and not each.doubt:
                yield each.look, each.sample

    def fair(self) -> Iterator[tuple[Look, Sample]]:
        """Yield the looks whose arms may be compared."""
        for each in self.told:
            if each.sample is not None and not each.doubt and not each.unfair:
                yield each.look, each.sample

    def trouble(self, in_a_row: int, *, alone: bool = False) -> str:
        """Say why the newest looks are no evidence, "" when all of them are. alone: the canary's side is enough."""
        newest = self.told[-in_a_row:]
        for each in reversed(newest):
            if each.doubt or (each.unfair and not alone):
                return each.doubt or each.unfair
        return f"{len(newest)} of {in_a_row} looks in a row" if len(newest) < in_a_row else ""

    @property
    def is_empty(self) -> bool:
        """Tell whether the canary never had a figure although the source answered: there was nothing to count."""
        return all(
            each.sample is not None
            and each.sample.canary is None
            and each.origin is not None
            and not (each.origin.error or each.origin.warnings or each.origin.unlabelled)
            for each in self.told
        )

    @property
    def origin(self) -> Origin | None:
        """Give where the newest sample comes from."""
        return next((each.origin for each in reversed(self.told) if each.origin is not None), None)


def gathered(looks: Sequence[Look], terms: Comparing) -> Mapping[Key, Series]:
    """Give every key that any look has, each with one entry per look. Synthetic samples have views of their own."""
    rows: dict[Key, list[Told]] = {}
    for number, look in enumerate(looks):
        why = doubts.of_look(look, terms)
        if not why and number:
            why = doubts.of_order(looks[number - 1], look, terms)
        origins = [why or doubts.of_origin(each, look, terms) for each in look.origins]
        seen: dict[Key, Told] = {}
        for pair in look.pairs:
            canary = doubts.of_canary(pair, terms)
            arms = canary or doubts.of_arms(pair, terms)
            for sample in pair.samples:
                key = (pair.service, sample.metric, f"{PROBES}{sample.view}" if sample.synthetic else sample.view)
                if key in seen:
                    seen[key] = Told(look, sample, seen[key].origin, doubt="2 series for one figure, one is needed")
                else:
                    seen[key] = _told(look, sample, origins, canary, arms)
        for key in seen:
            if key not in rows:
                rows[key] = [Told(each, None, None, doubt=NOT_THERE) for each in looks[:number]]
        for key, before in rows.items():
            before.append(seen.get(key) or Told(look, None, None, doubt=why or NOT_THERE))
    return {key: Series(key, tuple(several), _went_back(several)) for key, several in rows.items()}


def _went_back(told: Sequence[Told]) -> str:
    samples = [each.sample for each in told if each.sample is not None and not each.doubt]
    for before, after in pairwise(samples):
        found = doubts.of_growth(before, after)
        if found:
            return found
    return ""


def _told(look: Look, sample: Sample, origins: Sequence[str], canary: str, arms: str) -> Told:
    if not 0 <= sample.origin < len(look.origins):
        return Told(look, sample, None, doubt="nobody says where the sample comes from")
    origin = look.origins[sample.origin]
    doubt = origins[sample.origin] or canary or doubts.of_one(sample)
    return Told(look, sample, origin, doubt=doubt, unfair="" if doubt else arms or doubts.of_both(sample, origin))
