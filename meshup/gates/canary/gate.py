"""canary: pods of the new revision against pods of the old one, both serving at once, by samples of the same minutes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar, TypeAlias

from meshup.gates.canary import thinning
from meshup.gates.canary.acting import USUAL, decide
from meshup.gates.canary.judge import findings, seen, verdict
from meshup.gates.canary.metrics import ALL_CALLERS
from meshup.gates.canary.port import Wanted
from meshup.gates.canary.terms import PARAMS, comparing, rules, watch_s
from meshup.gates.evidence import records
from meshup.gates.evidence.arms import Member
from meshup.gates.evidence.paged import Paged
from meshup.gates.evidence.probing import Probing
from meshup.gates.evidence.scraped import Scraped
from meshup.gates.failing import MOST_CALLERS, since
from meshup.gates.finding import pods_by_service, ready
from meshup.gates.gate import Blind, Eyes, Terms
from meshup.gates.judging import careful
from meshup.gates.sources import PAGES, source
from meshup.model.canary import METRICS, Act, Decision, Finding
from meshup.model.duration import span
from meshup.model.objects import Object, dig
from meshup.model.rules import said
from meshup.model.runbook import Runbook, Service
from meshup.model.sampled import read, written
from meshup.model.samples import OWN, Look
from meshup.model.scene import Failing
from meshup.model.text import amount, clean
from meshup.model.verdict import Answer, Patience, Reading, Verdict

SLOWER = 3
"""A rule that slows has both revisions watched so many times as long before the rest moves."""
Pods: TypeAlias = Mapping[str, Sequence[Object]]
"""Service id -> its pods, read once a look."""
PERIODIC = frozenset({"CronJob", "Job"})
"""Their pods end: two revisions of them never serve at once."""


class Canary:
    """Asked while both revisions of each service serve: a rollout that is held half-way, such as a partitioned StatefulSet.

    Where a service has pods of the new revision alone its limits still fail it, and nothing passes it.
    """

    kind: ClassVar[str] = "canary"
    title: ClassVar[str] = "the new revision does no harm that the old one beside it does not do"
    reads: ClassVar[str] = (
        "one grouped query per count from Prometheus, for pods of both revisions and their callers; "
        "without one the pages of at most 50 of their proxies; pins of the wave's services"
    )
    params: ClassVar[Mapping[str, tuple[type, Any, str]]] = PARAMS
    needs: ClassVar[frozenset[str]] = frozenset({"proxy-counters"})
    halfway: ClassVar[bool] = True
    patience: ClassVar[Patience] = Patience(limit_s=5400, every_s=30, in_a_row=1)
    """As long as one pod of the new revision, scraped every 30 s, takes to have the points that memory needs among 50 services."""

    def observe(self, eyes: Eyes, terms: Terms) -> Mapping[str, Any]:
        """Give one look at both revisions and what it is about; ahead of the wave's changes, which revisions run.

        A comparison begins when both revisions of every service serve for the first time, and anew when they do so only
        later: what one of them counted alone is no comparison. Raises Blind.
        """
        if eyes.since is not None and not eyes.revision:
            raise Blind("the wave moves nothing onto a revision that could be compared")
        pods = {name: several for name, (_, several) in pods_by_service(eyes).items()}
        if eyes.since is None:
            return {"before": _before(eyes, pods), "addresses": _addresses(eyes, pods)}
        control = str(terms.params.get("control") or "") or _control(eyes, pods)
        whole = _serve(eyes, pods, {control, eyes.revision})
        memory = eyes.memory
        if "source" not in memory or (whole and not memory["whole"]):
            roll = memory["source"].roll if "source" in memory else None
            now = eyes.clock.now()
            known = roll.members if roll is not None else _gone(eyes, pods, control, at=now.timestamp())
            memory.update(probes=Probing(eyes, every_s=terms.patience.every_s))
            memory.update(source=_source(eyes, terms, control, known), began=now, whole=whole, before=None)
        wanted = [
            Wanted(service=each.id, control=(), canary=(), callers=_callers(each, terms)) for each in _compared(eyes)
        ]
        before: Look | None = memory["before"]
        began: datetime = memory["began"]
        look = memory["source"].look(wanted, began=began, before=before)
        look = memory["probes"].added(look, memory["source"].roll.index())
        memory["before"] = look
        return {
            **written(look if before is None else _shortened(look)),
            "began": began.isoformat(),
            "away": records.went_back(eyes),
            "about": {
                "cluster": eyes.book.cluster_uid or eyes.cluster.uid(),
                "control": control,
                "canary": eyes.revision,
                "services": max(compared(eyes.book), len(_wave(eyes))),
                "wave": list(_wave(eyes)),
                "periodic": [each.id for each in eyes.services if each.workload.kind in PERIODIC],
                **(
                    {"low": low} if (low := [each.id for each in eyes.services if each.low_traffic is not None]) else {}
                ),
                **({"told": told} if (told := memory["source"].told) else {}),
            },
        }

    @careful
    def judge(self, readings: Sequence[Reading], terms: Terms) -> Verdict:
        """Decide from all looks since the comparison began. One revision alone can fail, and never passes."""
        found = self._judged(readings, terms)
        about = readings[-1].data.get("about") or {}
        told = clean(about.get("told") or "", limit=120) if isinstance(about, Mapping) else ""
        return replace(found, because=f"{found.because}; {told}") if told else found

    def _judged(self, readings: Sequence[Reading], terms: Terms) -> Verdict:
        newest = readings[-1].data
        if "about" not in newest:
            return Verdict(answer=Answer.UNKNOWN, because="nothing was compared yet")
        settings = comparing(newest["about"], terms)
        own = [each for each in readings if each.blind or each.data.get("began") == newest["began"]]
        looks = seen(own)
        if isinstance(looks, Verdict):
            return looks
        went = records.findings(newest.get("away") or (), most=int(terms.params.get("rollbacks", 0)))
        told = (*went, *findings(looks, settings))
        decision = decide(rules(terms), told)
        found = decided(verdict(told, settings), decision)
        watched, wanted = float(newest["elapsed"]), watch_s(terms) * (SLOWER if decision.act is Act.SLOW else 1)
        if found.answer is not Answer.PASS:
            return found
        if watched + 1e-6 < wanted:
            because = (
                f"not enough data: {watched:.0f} of {wanted:.0f} s in which both revisions are watched; {found.because}"
            )
            return replace(found, answer=Answer.UNKNOWN, because=because)
        periodic = [str(each) for each in newest["about"]["periodic"]]
        words = f", control {settings.control}, canary {settings.canary}, in {span(watched)}"
        if periodic:
            words += f"; {', '.join(periodic[:3])} run by schedule and are not compared"
        return replace(found, because=found.because + words)

    def handed_on(self, older: Reading, newer: Reading, terms: Terms) -> Reading:
        """Give the newer reading with the points of the older one, which is left out to save room."""
        return thinning.handed_on(older, newer, terms)

    def failing(self, readings: Sequence[Reading], terms: Terms, found: Verdict) -> tuple[Failing, ...]:
        """Say what failed, the earliest harm first, and which callers saw it."""
        newest = readings[-1].data
        settings = comparing(newest["about"], terms)
        own = [each for each in readings if not each.blind and each.data.get("began") == newest["began"]]
        bad = [each for each in findings([read(each.data) for each in own], settings) if each.answer is Answer.FAIL]
        bad.sort(key=lambda each: each.since_s if each.since_s is not None else float("inf"))
        callers = tuple(dict.fromkeys(each.because for each in bad if each.view not in (OWN, ALL_CALLERS)))
        return tuple(_failing(each, own, callers) for each in bad[:MOST_FAILING])


MOST_FAILING = 3


def _failing(found: Finding, readings: Sequence[Reading], callers: Sequence[str]) -> Failing:
    metric = METRICS[found.metric]
    first = next((each for each in readings if float(each.data["elapsed"]) >= (found.since_s or 0.0)), None)
    return Failing(
        metric=f"canary {found.metric}",
        service=found.service,
        view={OWN: "itself", ALL_CALLERS: "callers"}.get(found.view, f"caller {found.view}"),
        unit="share" if metric.sort in ("share", "latency") else metric.unit,
        of=metric.of,
        value=found.canary,
        bound=None if found.by == "comparison" else found.bound,
        stops_at=int(found.bound) if found.by == "comparison" and found.bound is not None else None,
        control=found.control,
        n=found.n,
        window_s=found.window_s,
        since=since(readings, first=first),
        source=found.source,
        query=found.query,
        callers=tuple(callers[:MOST_CALLERS]),
    )


def _source(eyes: Eyes, terms: Terms, control: str, known: Iterable[Member]) -> Scraped | Paged:
    """Give the source that the runbook has: its Prometheus, or the proxies' own pages where it names none."""
    if source(eyes.book, eyes.driver) == PAGES:
        every_s = terms.patience.every_s
        return Paged(eyes, control=control, canary=eyes.revision, every_s=every_s, known=known)
    return Scraped(eyes, control=control, canary=eyes.revision, known=known)


def decided(found: Verdict, decision: Decision) -> Verdict:
    """Make the verdict of a decision: a runbook's rule may hold what failed, or take back what is unknown or passed.

    Without a rule of the runbook that asked for it the judge's own words stand, whatever the decision.
    """
    if not set(decision.rules) - set(USUAL):
        return found
    by = " by the rule " + ", ".join(f'"{said(each)}"' for each in decision.rules)
    names = tuple(dict.fromkeys(each.service for each in decision.findings))
    match decision.act:
        case Act.ROLL_BACK:
            return replace(
                found, answer=Answer.FAIL, because=f"{decision.because}; taken back{by}", names=names, missing=0
            )
        case Act.HOLD:
            return replace(found, answer=Answer.UNKNOWN, because=f"{decision.because}; held{by}", names=names)
        case _:
            return replace(found, because=f"{found.because}; {decision.act.word}{by}")


def compared(book: Runbook) -> int:
    """Count the services that a whole rollout compares, which share the chance of a false stop: those that opted in."""
    waves = {
        name for stage in book.stages if any(each.kind == Canary.kind for each in stage.gates) for name in stage.waves
    }
    named = {service for wave in book.waves if wave.name in waves for service in wave.services}
    return sum(each.id in named and each.opt_in is not None for each in book.services)


def _compared(eyes: Eyes) -> tuple[Service, ...]:
    return tuple(each for each in eyes.services if each.workload.kind not in PERIODIC)


def _wave(eyes: Eyes) -> tuple[str, ...]:
    return tuple(each.id for each in _compared(eyes))


def _callers(service: Service, terms: Terms) -> tuple[str, ...]:
    """Say who may call: anybody, as a runbook does not say who does.

    Nobody where the service's own view may stand alone, or probes stand for all views.
    """
    needed = terms.params.get("callers", "needed") == "needed" and service.low_traffic is None
    return ("anybody",) if needed else ()


def _before(eyes: Eyes, pods: Pods) -> dict[str, list[str]]:
    """Give service -> the revisions that its pods run."""
    return {
        name: sorted({proxy.revision for pod in several if (proxy := eyes.driver.proxy(pod)) is not None})
        for name, several in pods.items()
    }


def _addresses(eyes: Eyes, pods: Pods) -> dict[str, list[list[str]]]:
    """Give service -> [UID, address, revision, what the mesh's metrics call it] of each of its pods with a proxy."""
    return {
        name: [
            [
                str(dig(pod, "metadata", "uid")),
                str(dig(pod, "status", "podIP") or ""),
                proxy.revision,
                eyes.driver.split_word(pod),
            ]
            for pod in several
            if (proxy := eyes.driver.proxy(pod)) is not None
        ]
        for name, several in pods.items()
    }


def _gone(eyes: Eyes, pods: Pods, control: str, *, at: float) -> tuple[Member, ...]:
    """Give the pods that the look ahead of the changes saw and that are gone now: callers still told of some of their last calls.

    They are known by their addresses alone, as a StatefulSet gives the name of a pod to the next one.
    """
    seen = eyes.first.data.get("addresses") if eyes.first is not None else None
    there = {str(dig(pod, "metadata", "uid")) for several in pods.values() for pod in several}
    return tuple(
        Member(
            pod=f"gone/{uid}",
            uid=uid,
            service=service,
            arm="control" if revision == control else "",
            revision=revision,
            word=word,
            address=address,
            began=at,
            last=at,
            restarts=0,
            restarts_before=0,
            serves=False,
        )
        for service, rows in (seen or {}).items()
        for uid, address, revision, word in rows
        if uid not in there
    )


def _control(eyes: Eyes, pods: Pods) -> str:
    """Name the revision that the wave leaves: what its pods ran before, or run beside the new one now. Raises Blind."""
    first = eyes.first.data.get("before") if eyes.first is not None else None
    several = {
        each
        for ran in (first or {}, _before(eyes, pods))
        for service, revisions in ran.items()
        if service in _wave(eyes)
        for each in revisions
        if each not in ("", eyes.revision)
    }
    if len(several) > 1:
        names = ", ".join(sorted(several))
        raise Blind(
            f"the wave leaves {amount(len(several), 'revision')} ({names}): name one as control, or split the wave"
        )
    return next(iter(several), "")


def _serve(eyes: Eyes, pods: Pods, revisions: Collection[str]) -> bool:
    """Tell whether every service of the wave has a pod of each revision that is ready."""
    for service, several in pods.items():
        found = {proxy.revision for pod in several if ready(pod) and (proxy := eyes.driver.proxy(pod)) is not None}
        if service in _wave(eyes) and not set(revisions) <= found:
            return False
    return bool(_wave(eyes))


def _shortened(look: Look) -> Look:
    """Leave out the queries, which differ from those of the first look in their window alone."""
    return replace(look, origins=tuple(replace(each, query="") for each in look.origins))
