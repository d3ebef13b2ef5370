"""Synthetic probes of services with little traffic: GETs of a declared path at pods of both revisions. Never statistical evidence.

The API server asks the pods in plaintext, so pods under strict mode answer none of them; neither do those of the control
then, and what both revisions fail at says nothing of one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from meshup.cluster.errors import ApiError
from meshup.gates.evidence.arms import ARMS, Arm, Index, Member
from meshup.gates.gate import Eyes
from meshup.model.problem import Refused, Unreachable
from meshup.model.runbook import Probe, Service
from meshup.model.samples import Counts, Look, Origin, Sample
from meshup.model.text import clean

EACH_LOOK = 10
"""GETs to each revision of a service in one look, over its pods in turn."""
MOST = 200
"""GETs of one look together; with more services each has fewer, and at least one."""
CONTROL_FAILS = 0.25
"""Where the control's share of failed probes is as high as this, they are no measure of the canary."""
VIEW = "meshup"


@dataclass(slots=True)
class _Tally:
    """Probes of one revision of a service since the comparison began. last: what the newest that failed answered."""

    n: int = 0
    bad: int = 0
    last: str = ""


class Probing:
    """Probes the services of a wave that are declared to have little traffic, and adds what they answered to looks."""

    def __init__(self, eyes: Eyes, *, every_s: float) -> None:
        """every_s: how often looks are taken."""
        self._eyes, self._every_s = eyes, every_s
        self._tallies: dict[tuple[str, Arm], _Tally] = {}

    def added(self, look: Look, index: Index) -> Look:
        """Give a look with the samples of one more round of probes. Raises only Unreachable."""
        low = {each.id: each for each in self._eyes.services if each.low_traffic is not None}
        asked = [pair.service for pair in look.pairs if pair.service in low]
        if not asked:
            return look
        each_look = max(1, min(EACH_LOOK, MOST // (len(ARMS) * len(asked))))
        targets = [
            (name, arm, member)
            for name in asked
            for arm in ARMS
            for member in _in_turn(index, index.of(name, arm), each_look)
        ]
        calls = [partial(self._asked, member, low[name].low_traffic) for name, _, member in targets]
        for (name, arm, _), failed in zip(targets, self._eyes.cluster.gather(calls), strict=True):
            tally = self._tallies.setdefault((name, arm), _Tally())
            tally.n += 1
            if failed:
                tally.bad, tally.last = tally.bad + 1, failed
        origins, pairs = list(look.origins), []
        for pair in look.pairs:
            samples = pair.samples
            if pair.service in low:
                samples = (*samples, self._sample(low[pair.service], look, number=len(origins)))
                origins.append(self._origin(low[pair.service], look))
            pairs.append(replace(pair, samples=samples))
        return replace(look, origins=tuple(origins), pairs=tuple(pairs))

    def _asked(self, member: Member, probe: Probe | None) -> str:
        """Send one GET; give what went wrong, "" = it was answered as it should be."""
        assert probe is not None
        namespace, _, name = member.pod.partition("/")
        try:
            answer = self._eyes.cluster.pod_proxy(namespace, name, port=probe.port, path=probe.path)
        except Unreachable:
            raise
        except (ApiError, Refused) as error:
            return clean(error.what, limit=160)
        return "" if answer.status == probe.expect else f"{member.pod} answered {answer.status}, not {probe.expect}"

    def _counts(self, service: str, arm: Arm) -> Counts | None:
        tally = self._tallies.get((service, arm))
        return None if tally is None else Counts(n=float(tally.n), bad=float(tally.bad))

    def _sample(self, service: Service, look: Look, *, number: int) -> Sample:
        del look
        control, canary = (self._counts(service.id, arm) for arm in ARMS)
        return Sample(metric="errors", view=VIEW, control=control, canary=canary, origin=number, synthetic=True)

    def _origin(self, service: Service, look: Look) -> Origin:
        probe, control = service.low_traffic, self._tallies.get((service.id, "control"))
        assert probe is not None
        error = ""
        if control is not None and control.bad >= CONTROL_FAILS * control.n:
            error = f"{control.bad} of {control.n} probes of the control failed as well ({control.last})"
        return Origin(
            source="probes, no statistical evidence",
            query=f"GET {probe.path}, port {probe.port} of its pods, {probe.expect} is wanted",
            scrape_s=self._every_s,
            newest=look.at.timestamp() + float(look.skew_s or 0.0),
            cluster=self._eyes.cluster.uid(),
            series=(int((service.id, "control") in self._tallies), int((service.id, "canary") in self._tallies)),
            error=error,
        )


def _in_turn(index: Index, members: Sequence[Member], count: int) -> list[Member]:
    serving = sorted((each for each in members if each.serves and each.last == index.newest), key=lambda each: each.pod)
    return [serving[number % len(serving)] for number in range(count)] if serving else []
