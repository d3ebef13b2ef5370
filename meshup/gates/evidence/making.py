"""Figures made into samples: each with the origin that says how fresh it is, of which query, and what was lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from meshup.gates.evidence.arms import ARMS, Index, Member
from meshup.gates.evidence.joined import Figure, sampled
from meshup.model.samples import OWN, Counts, Number, Origin, Pair, Sample

Key = tuple[str, str, str]
"""Service, metric, view."""
SEEN_S = 15.0
"""How often pods are looked at, at least: what restarts were seen is as fresh as the look."""
PODS = "the pods of the cluster"


@dataclass(slots=True, kw_only=True)
class Making:
    """Samples of one look.

    start: Unix seconds at which the comparison began. origin_of: of every sample there will be; those without a figure
    say why. parts: metric -> what its figures are. origins: as many as there are different ones, not as there are samples.
    """

    index: Index
    cluster: str
    start: float
    figures: Mapping[Key, Figure]
    origin_of: Mapping[Key, Origin]
    parts: Mapping[str, str]
    origins: list[Origin] = field(default_factory=list)
    _known: dict[Origin, int] = field(default_factory=dict)
    _keys: dict[str, list[Key]] = field(default_factory=dict)

    def number(self, origin: Origin) -> int:
        """Give the place of an origin among `origins`; an equal one is kept once."""
        found = self._known.get(origin)
        if found is None:
            found = self._known[origin] = len(self.origins)
            self.origins.append(origin)
        return found

    def pairs(self, services: Sequence[str], at: float, *, skew_s: float) -> tuple[Pair, ...]:
        """Give the pods and samples of services. at: Unix seconds now. skew_s: the source's clock minus this one's."""
        return tuple(
            Pair(
                service=each,
                control=self.index.pods(each, "control", at),
                canary=self.index.pods(each, "canary", at),
                samples=tuple(self.samples(each, at + skew_s)),
            )
            for each in services
        )

    def samples(self, service: str, at: float) -> Iterator[Sample]:
        """Yield every metric and view of a service, in order; what could not be read is a sample without figures."""
        if not self._keys:
            for key in sorted(self.origin_of):
                self._keys.setdefault(key[0], []).append(key)
        for own, metric, view in self._keys.get(service, ()):
            arms = self.figures.get((own, metric, view), Figure()).arms
            control, canary = (sampled(arms.get(arm), self.parts[metric]) for arm in ARMS)
            origin = self.number(self.origin_of[own, metric, view])
            yield Sample(metric=metric, view=view, control=control, canary=canary, origin=origin)
        yield self._restarts(service, at)

    def _restarts(self, service: str, at: float) -> Sample:
        origin = Origin(source=PODS, query="list pods", scrape_s=SEEN_S, newest=at, cluster=self.cluster)
        arms = [restarts(self.index.of(service, arm), self.start, self.index.newest) for arm in ARMS]
        return Sample(metric="restarts", view=OWN, control=arms[0], canary=arms[1], origin=self.number(origin))


def restarts(members: tuple[Member, ...], start: float, at: float) -> Counts | None:
    """Give pod seconds and restarts of proxies since the comparison began; None of no pods. None within: not said.

    A pod that is gone counts to the look that saw it last.
    """
    if not members:
        return None
    seconds: Number = 0.0
    count: Number = 0.0
    for each in members:
        if each.began is None or seconds is None:
            seconds = None
        else:
            seconds += max(0.0, min(each.last, at) - max(each.began, start))
        count = None if count is None or each.restarts is None else count + each.restarts - each.restarts_before
    return Counts(n=seconds, bad=count)
