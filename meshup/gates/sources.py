"""Where counters come from: a Prometheus that the runbook names, else the proxies' own pages, few pods only.

One rule for a whole runbook, so that no gate changes its source while the mesh grows under it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from meshup.gates import grouped, scrape
from meshup.gates.finding import Shelf, all_pods, name_of, own_pods, ready, workloads
from meshup.gates.gate import Eyes
from meshup.meshes.driver import Driver, ProxyCounters
from meshup.model.objects import Object, dig
from meshup.model.runbook import Runbook, Service

PAGES = "the proxies' own pages"


def source(book: Runbook, driver: Driver) -> str:
    """Name where counters are read, as plans and verdicts say it: one rule, whatever the number of pods."""
    if book.metrics.service and "standard-metrics" in driver.capabilities:
        return f"Prometheus {book.metrics.service}"
    return PAGES


def counters(eyes: Eyes, pods: Sequence[Object]) -> dict[str, ProxyCounters]:
    """Give pod UID -> what its proxy counted. Raises Blind."""
    if not pods:
        return {}
    return scrape.pages(eyes, pods) if source(eyes.book, eyes.driver) == PAGES else grouped.pages(eyes, pods)


def observed(eyes: Eyes, *, reads: str, longest_s: float) -> dict[str, Any]:
    """Read both sides of every service, and how the last runs of periodic ones ended. Raises Blind.

    reads: requests, buckets or connections. Shape: as `edges` of the source gives it, with "runs" and "source". Pages
    hold counts since each proxy began; Prometheus gives counts over "window_s" seconds, so the look before the wave's
    changes only marks where that window may begin.
    """
    periodic = [each for each in eyes.services if each.workload.kind in PERIODIC]
    wanted = [each for each in eyes.services if each.workload.kind not in PERIODIC]
    found: dict[str, Any] = {"services": {}}
    where = source(eyes.book, eyes.driver)
    if where == PAGES:
        found = scrape.edges(eyes, meshed(eyes, everywhere=True), wanted)
    elif wanted and eyes.since is not None:
        found = grouped.edges(eyes, meshed(eyes, everywhere=True), wanted, reads=reads, longest_s=longest_s)
    if found.get("family"):
        where = f"{where} ({found['family']})"
    return {**found, "runs": last_runs(eyes, periodic), "source": where}


def meshed(eyes: Eyes, *, everywhere: bool) -> dict[str, list[Object]]:
    """Give service id -> ready pods with a proxy; everywhere: of all services of the runbook, and the gateway as ""."""
    services = eyes.book.services if everywhere else eyes.services
    found = workloads(eyes.cluster, services)
    namespaces = {each.namespace for each in services}
    ingress = eyes.book.ingress
    if everywhere and ingress is not None:
        namespaces.add(ingress.namespace)
    pods = {
        name: Shelf(pod for pod in several if eyes.driver.proxy(pod) is not None and ready(pod))
        for name, several in all_pods(eyes.cluster, namespaces).items()
    }
    result = {each.id: own_pods(found.get(each.id), pods.get(each.namespace)) for each in services}
    if everywhere and ingress is not None:
        result[""] = list(pods.get(ingress.namespace, ()))
    return result


PERIODIC = frozenset({"CronJob", "Job"})


def last_runs(eyes: Eyes, periodic: Sequence[Service]) -> dict[str, dict[str, Any]]:
    """Give, per periodic service, how its newest pod with a proxy ended; phase "" = none ran so far."""
    if not periodic:
        return {}
    found = workloads(eyes.cluster, periodic)
    pods = all_pods(eyes.cluster, {each.namespace for each in periodic})
    rows: dict[str, dict[str, Any]] = {}
    for each in periodic:
        own = own_pods(found.get(each.id), pods.get(each.namespace), ended=True)
        newest = max(own, key=lambda pod: str(dig(pod, "metadata", "creationTimestamp")), default=None)
        with_proxy = newest is not None and eyes.driver.proxy(newest) is not None
        rows[each.id] = {
            "pod": name_of(newest) if newest else "",
            "phase": str(dig(newest, "status", "phase") or "") if with_proxy else "",
        }
    return rows
