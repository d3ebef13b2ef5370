"""Proxy counters from the proxies' own pages, one per pod through the pod proxy; and what counters say together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from meshup.gates.finding import must
from meshup.gates.gate import Blind, Eyes
from meshup.meshes.driver import Edge, ProxyCounters
from meshup.model.objects import Object, dig
from meshup.model.runbook import Service
from meshup.model.verdict import Reading


def page(eyes: Eyes, pod: Object) -> ProxyCounters:
    """Read one proxy. Raises Blind naming the pod."""
    source = eyes.driver.counters()
    namespace, name = str(dig(pod, "metadata", "namespace")), str(dig(pod, "metadata", "name"))
    answer = eyes.cluster.pod_proxy(namespace, name, port=source.port, path=source.path)
    if answer.status != 200:
        raise Blind(f"the counters of pod {namespace}/{name} answered {answer.status}")
    try:
        return eyes.driver.read_counters(answer.body.decode("utf-8", "replace"))
    except ValueError as error:
        raise Blind(f"the counters of pod {namespace}/{name} can't be read: {error}") from error


def pages(eyes: Eyes, pods: Sequence[Object]) -> dict[str, ProxyCounters]:
    """Read several proxies side by side; key: pod UID."""
    must(len(pods), "proxies")
    found = eyes.cluster.gather([lambda pod=pod: page(eyes, pod) for pod in pods])  # type: ignore[misc]
    return {str(dig(pod, "metadata", "uid")): each for pod, each in zip(pods, found, strict=True)}


def edge_data(edge: Edge) -> dict[str, Any]:
    """Write one edge as JSON values."""
    return {
        "requests": edge.requests,
        "failed": edge.failed,
        "connections": edge.connections,
        "connect_failures": edge.connect_failures,
        "buckets": [[bound if bound != float("inf") else None, count] for bound, count in edge.buckets.items()],
    }


def edges(eyes: Eyes, by_service: Mapping[str, Sequence[Object]], wanted: Sequence[Service]) -> dict[str, Any]:
    """Read both sides of every service: inbound at its own proxies, outbound towards it at its callers'.

    Shape: {"services": {id: {"own": {uid: edge}, "callers": {caller id or "ingress gateway": {uid: edge}}}}}.
    """
    clients = {each.id for each in wanted if each.client_only}
    counters = pages(eyes, [pod for several in by_service.values() for pod in several])
    services: dict[str, dict[str, Any]] = {
        name: {"own": {}, "callers": {}} for name in sorted(each.id for each in wanted)
    }
    for caller, pods in by_service.items():
        for pod in pods:
            uid = str(dig(pod, "metadata", "uid"))
            for edge in counters[uid].edges:
                own_side = "outbound" if caller in clients else "inbound"
                if edge.direction == own_side and caller in services:
                    own = services[caller]["own"]
                    own[uid] = _plus(own.get(uid), edge_data(edge))
                if edge.direction == "outbound" and edge.peer in services and edge.peer != caller:
                    callers = services[edge.peer]["callers"].setdefault(caller or "ingress gateway", {})
                    callers[uid] = _plus(callers.get(uid), edge_data(edge))
    return {"services": services}


def _plus(left: dict[str, Any] | None, right: dict[str, Any]) -> dict[str, Any]:
    if left is None:
        return right
    both = {key: left[key] + right[key] for key in ("requests", "failed", "connections", "connect_failures")}
    counted: dict[Any, int] = dict(left["buckets"])
    for bound, count in right["buckets"]:
        counted[bound] = counted.get(bound, 0) + count
    return {**both, "buckets": [[bound, count] for bound, count in counted.items()]}


class Reset(Exception):
    """A counter went back although its pod stayed: the window can't be trusted."""


def deltas(first: Mapping[str, Any], last: Mapping[str, Any]) -> dict[str, float]:
    """Sum up what {uid: edge} counted between two readings; a pod that is new counts from zero, one that left not.

    Raises Reset for a counter that went back, ValueError for values that are no counts.
    """
    total: dict[str, float] = {"requests": 0, "failed": 0, "connections": 0, "connect_failures": 0}
    for uid, now in last.items():
        before = first.get(uid) or {}
        for name in total:
            value, old = _count(now.get(name)), _count(before.get(name, 0))
            if value < old:
                raise Reset(f"counter {name} went back from {old:g} to {value:g}")
            total[name] += value - old
    return total


def bucket_deltas(first: Mapping[str, Any], last: Mapping[str, Any]) -> list[tuple[float, float]]:
    """Give (upper bound in ms, cumulative count) between two readings, ascending. Raises Reset, ValueError."""
    counted: dict[float, float] = {}
    for uid, now in last.items():
        old = {_bound(bound): _count(count) for bound, count in (first.get(uid) or {}).get("buckets") or ()}
        for bound, count in now.get("buckets") or ():
            at, value = _bound(bound), _count(count)
            if value < old.get(at, 0):
                raise Reset(f"a latency bucket went back from {old[at]:g} to {value:g}")
            counted[at] = counted.get(at, 0) + value - old.get(at, 0)
    return sorted(counted.items())


def _bound(raw: Any) -> float:
    return float("inf") if raw is None else _count(raw)


def _count(raw: Any) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float) or raw != raw or raw < 0 or raw == float("inf"):  # noqa: PLR0124
        raise ValueError(f"{raw!r} is no count")
    return float(raw)


def window(readings: Sequence[Reading], window_s: float) -> tuple[Reading, Reading] | str:
    """Choose the two readings a delta is taken between: the newest, and the oldest one inside the window.

    Gives a sentence instead when there are not two that could read.
    """
    seen = [each for each in readings if not each.blind]
    if len(seen) < 2:
        return "one reading so far; a change needs two"
    last = seen[-1]
    inside = [each for each in seen[:-1] if not window_s or last.elapsed_s - each.elapsed_s <= window_s + 1e-6]
    if not inside:
        return "no earlier reading inside the window"
    return inside[0], last
