"""Connections that callers hold to a service now, which they open anew when its pods restart: counted while a plan is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from meshup.gates import grouped
from meshup.gates.finding import all_pods, name_of, own_pods, workloads
from meshup.gates.gate import Blind, Eyes
from meshup.gates.prometheus import Row, filled, vector
from meshup.gates.sources import PAGES, counters, meshed, source
from meshup.model.objects import dig
from meshup.model.pace import Reconnects
from meshup.model.text import amount, some

HELD, OWN = "upstream_cx_active of its callers", "downstream_cx_active of its own"
Counts = Mapping[str, tuple[float, int]]
"""Service -> connections, and proxies that counted them. Empty = none did."""


def reconnects(eyes: Eyes) -> tuple[Reconnects, ...]:
    """Give what each service would make its callers open anew, in the order of the services; assumed where nothing counts it.

    Two numbers say it: what the proxies of callers and of the gateway hold towards it, and what its own proxies hold, which
    see callers without a proxy too; the larger one counts, as neither sees more than there is. Never raises Blind.
    """
    found = workloads(eyes.cluster, eyes.services)
    pods = all_pods(eyes.cluster, {each.namespace for each in eyes.services})
    many = {each.id: len(own_pods(found.get(each.id), pods.get(each.namespace))) for each in eyes.services}
    try:
        held, own = _by_pages(eyes) if source(eyes.book, eyes.driver) == PAGES else _by_queries(eyes)
    except Blind:
        held, own = {}, {}
    where = source(eyes.book, eyes.driver)
    return tuple(told(each.id, many[each.id], held=held, own=own, where=where) for each in eyes.services)


def told(service: str, pods: int, *, held: Counts, own: Counts, where: str) -> Reconnects:
    """Make the number of one service from what was counted. Pure. A service without pods restarts none: nothing to count."""
    rows = [(word, *counted[service]) for word, counted in ((HELD, held), (OWN, own)) if service in counted]
    if not rows or pods < 1:
        return Reconnects(service=service, pods=pods)
    word, connections, proxies = max(rows, key=lambda row: row[1])
    said = f"{connections:.0f} {word} at {amount(proxies, 'proxy', 'proxies')}, from {where}"
    return Reconnects(service=service, per_pod=connections / pods, pods=pods, source=said)


def _by_pages(eyes: Eyes) -> tuple[Counts, Counts]:
    by_service = meshed(eyes, everywhere=True)
    counted = counters(eyes, [pod for several in by_service.values() for pod in several])
    wanted = {each.id for each in eyes.services}
    held: dict[str, tuple[float, int]] = {}
    own: dict[str, tuple[float, int]] = {}
    for caller, several in by_service.items():
        for pod in several:
            page = counted[str(dig(pod, "metadata", "uid"))]
            for peer in {edge.peer for edge in page.edges if edge.peer in wanted and edge.peer != caller}:
                active = sum(edge.active_connections for edge in page.edges if edge.peer == peer)
                _add(held, peer, float(active))
            if caller in wanted and page.active_plaintext is not None and page.active_tls is not None:
                _add(own, caller, float(page.active_plaintext + page.active_tls))
    return held, own


def _by_queries(eyes: Eyes) -> tuple[Counts, Counts]:
    by_service = meshed(eyes, everywhere=True)
    names = grouped.Names(eyes, by_service, eyes.services)
    words = grouped.naming(eyes.services)
    queries = eyes.driver.queries()

    def rows(meaning: str) -> list[Row]:
        return vector(eyes, filled(eyes, queries[meaning], words))

    callers, inbound = eyes.cluster.gather([partial(rows, each) for each in ("callers active", "each active")])
    whose = {name_of(pod): name for name, several in by_service.items() for pod in several}
    wanted = {each.id for each in eyes.services}
    held: dict[str, tuple[float, int]] = {}
    own: dict[str, tuple[float, int]] = {}
    for labels, value in callers:
        target = names.target(labels)
        if target is not None and value is not None and whose.get(names.pod(labels)) != target:
            _add(held, target, value)
    for labels, value in inbound:
        name = whose.get(names.pod(labels), "")
        if name in wanted and value is not None:
            _add(own, name, value)
    return held, own


def _add(counted: dict[str, tuple[float, int]], service: str, connections: float) -> None:
    before, proxies = counted.get(service, (0.0, 0))
    counted[service] = (before + connections, proxies + 1)


def said(several: Sequence[Reconnects], rate: float) -> tuple[str, ...]:
    """Say in a plan what paces it: the rate, and whose number is measured or assumed; empty without a rate."""
    if not rate or not several:
        return ()
    measured = [each for each in several if each.measured]
    assumed = [each for each in several if not each.measured]
    wait = sum(each.per_pod * each.pods for each in several) / rate
    lines = [f"pacing: at most {rate:g} new connections a second, so {wait:.0f} s of waiting in all"]
    if measured:
        largest = sorted(measured, key=lambda each: (-each.per_pod, each.service))[:3]
        few = ", ".join(f"{each.service} {each.per_pod:.1f} a pod ({each.source})" for each in largest)
        lines.append(f"pacing: measured for {amount(len(measured), 'service')}; the most: {few}")
    if assumed:
        names = some([each.service for each in assumed], 5)
        lines.append(f"pacing: assumed {assumed[0].per_pod:g} a pod, as no proxy counts them: {names}")
    return tuple(lines)
