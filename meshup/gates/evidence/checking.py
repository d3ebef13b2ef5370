"""What a Prometheus could tell a comparison before anything moves, and what keeps it from telling enough."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from meshup.gates.canary.doubts import WINDOW_SCRAPES
from meshup.gates.evidence.holding import Chosen, Held, chosen, held, told_by
from meshup.gates.evidence.told import instant
from meshup.gates.finding import MOST_SCRAPED, pods_by_service
from meshup.gates.gate import Eyes
from meshup.gates.prometheus import filled
from meshup.meshes.asks import Family
from meshup.meshes.driver import ENDPOINT_COUNTS
from meshup.model.runbook import Runbook
from meshup.model.verdict import Patience

OWN_PODS = frozenset({"restarts"})
"""Metrics that the pods of the cluster tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was asked once for a whole plan. named: "namespace/pod" of every proxy with a fresh sample, "" for one without labels.

    proxies: pods of the runbook's services that run one now. asked: what would be asked, by families. begins: stage of the
    runbook in which callers begin to count by the pod they call, "" = none; what they will count is among `asked`.
    """

    held: Held
    named: frozenset[str] = frozenset()
    proxies: frozenset[str] = frozenset()
    asked: tuple[Chosen, ...] = ()
    begins: str = ""


@dataclass(frozen=True, slots=True)
class Unfit:
    """One reason why a gate would stay unknown."""

    what: str
    why: str
    fix: str


def facts(eyes: Eyes) -> Facts:
    """Ask a server: four queries at most, whatever the number of services. Raises only what reading pods raises."""
    found = held(eyes)
    newest = instant(eyes, filled(eyes, eyes.driver.scraping()["newest"], {}), at=None)
    metrics = eyes.book.metrics
    rows = [each.labels for each in newest.rows if each.values[0] is not None]
    # A row without any label is the server's own clock.
    whose = [(row.get(metrics.namespace_label, ""), row.get(metrics.pod_label, "")) for row in rows if row]
    named = {f"{home}/{pod}" if home and pod else "" for home, pod in whose}
    proxies = {
        f"{pod['metadata'].get('namespace')}/{pod['metadata'].get('name')}"
        for _, pods in pods_by_service(eyes).values()
        for pod in pods
        if eyes.driver.proxy(pod) is not None
    }
    clients = any(each.client_only for each in eyes.services)
    families = eyes.driver.comparison()
    asked = chosen(families, found.names, split="none", clients=clients)
    begins = "" if _of_callers(asked) else _begins(eyes.book)
    if begins:
        coming = {name for each in families for ask in each.asks if ask.split == "address" for name in each.needs}
        asked = chosen(families, found.names | coming, split="none", clients=clients)
    return Facts(held=found, named=frozenset(named), proxies=frozenset(proxies), asked=asked, begins=begins)


def _begins(book: Runbook) -> str:
    """Name the stage that has callers count by endpoint before anything is held half-way; "" when none has in time."""
    for stage in book.stages:
        for step in stage.steps:
            if step.kind == ENDPOINT_COUNTS:
                return stage.name
            if step.params.get("hold"):
                return ""
    return ""


def unfit(found: Facts, params: Mapping[str, Any], patience: Patience) -> Iterator[Unfit]:
    """Say why a gate with these terms would stay unknown; nothing where no proxy runs yet, as nothing can be known."""
    if found.held.error:
        yield Unfit(
            f"the server did not answer: {found.held.error}", "nothing of it is known", "correct metrics.service"
        )
        return
    if not found.proxies:
        return
    if "" in found.named:
        fix = "metrics.podLabel and metrics.namespaceLabel in the runbook, or relabel the scrape"
        yield Unfit(
            "samples of proxies do not say whose they are", "the labels of a pod and its namespace are missing", fix
        )
        return
    if not found.named & found.proxies:
        why = f"{len(found.proxies)} pods run a proxy, and none of them has a sample"
        yield Unfit(
            "no proxy of the runbook's services is scraped", why, "let the server scrape port 15020 of every pod"
        )
        return
    asked = [str(each) for each in params.get("metrics") or ()]
    known = {each.ask.metric for each in found.asked if each.ask.view != "callers"} | OWN_PODS
    for metric in asked:
        if metric not in known:
            yield Unfit(
                f"the server holds no metric that tells {metric}",
                "it would never be judged",
                "let the server scrape it, or leave it out of the gate's metrics",
            )
    if params.get("callers") == "needed" and not _of_callers(found.asked):
        yield Unfit(
            "the server holds no metric that tells callers' requests apart by the pod that was called",
            "what callers see could not be compared",
            f"the step {ENDPOINT_COUNTS} in a stage before, which has callers count by endpoint; or say callers: own",
        )
    yield from _pace(found.held.scrape_s, float(params.get("watch") or 0.0), patience)


def unfit_for_pages(families: Sequence[Family], params: Mapping[str, Any], services: int) -> Iterator[Unfit]:
    """Say why a gate would stay unknown where proxies' own pages are all there is. services: how many the wave has."""
    known = {ask.metric for each in families if each.on_pages for ask in each.asks if ask.view != "callers"} | OWN_PODS
    for metric in map(str, params.get("metrics") or ()):
        if metric not in known:
            yield Unfit(
                f"no page of a proxy tells {metric}",
                "it would never be judged",
                "name a Prometheus (metrics.service), or leave it out of the gate's metrics",
            )
    if 2 * services > MOST_SCRAPED:
        yield Unfit(
            f"the wave has {services} services, and both revisions of each need a page that is read",
            f"at most {MOST_SCRAPED} proxies are read",
            "name a Prometheus (metrics.service), or make the waves smaller",
        )


def _of_callers(asked: Sequence[Chosen]) -> bool:
    return any((each.ask.metric, each.ask.view) == ("errors", "callers") for each in asked)


def _pace(scrape_s: float | None, watch_s: float, patience: Patience) -> Iterator[Unfit]:
    if scrape_s is None:
        yield Unfit("how often the server scrapes proxies is not known", "a rate can't be told", "see its targets")
        return
    least = WINDOW_SCRAPES * scrape_s
    if scrape_s > patience.every_s + 1:
        why = f"by the last 5 min it scrapes every {scrape_s:.0f} s, and a look without a new sample is none"
        slower = patience.limit_s * scrape_s / max(patience.every_s, 1)
        fix = (
            f"patience.every of {scrape_s:.0f}s or more, and so a patience.limit of {slower / 60:.0f}m; "
            "of a server that began less than 5 min ago only wait"
        )
        yield Unfit(f"looks every {patience.every_s:.0f} s are too many", why, fix)
    if least > max(patience.limit_s, watch_s):
        why = f"by the last 5 min it scrapes every {scrape_s:.0f} s, and {WINDOW_SCRAPES} scrapes take {least:.0f} s"
        yield Unfit(f"a limit of {patience.limit_s:.0f} s is too short", why, f"patience.limit of {least:.0f}s or more")


def told(found: Facts, metrics: Sequence[str]) -> str:
    """Say which families would tell these metrics, for plans; "" when none would."""
    words = told_by([each for each in found.asked if each.ask.metric in metrics])
    return f"{words}, which callers begin to count in {found.begins}" if words and found.begins else words
