"""Proxy counters of many pods from a Prometheus: one grouped query per count, whatever the number of services."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from meshup.gates.finding import name_of
from meshup.gates.gate import Blind, Eyes
from meshup.gates.prometheus import Row, filled, moment, vector
from meshup.meshes.driver import ProxyCounters
from meshup.model.objects import Object, dig
from meshup.model.runbook import Service

LEAST_WINDOW_S = 45.0
"""A shorter window holds too few scrapes for a rate: a counter's change needs two samples."""
YOUNG_S = 20.0
"""A proxy that began so shortly before the window may count from its first second."""
STALE_S = 90.0
"""A proxy whose newest sample is older than this, beside the ingest delay, is not being scraped."""
Edges = dict[str, dict[str, Any]]
TRAFFIC = ("requests", "failed")
FAMILIES: Mapping[str, str] = {"": "the mesh's standard metrics", "envoy ": "Envoy's own metrics"}
"""In the order they are tried: a server that holds none of the first is asked for the second."""
COUNTS: Mapping[str, tuple[str, ...]] = {
    "requests": TRAFFIC,
    "buckets": ("buckets",),
    "connections": ("connections", "connect_failures"),
}


def pages(eyes: Eyes, pods: Sequence[Object]) -> dict[str, ProxyCounters]:
    """Give pod UID -> what its proxy says of itself and its listener, without edges. Raises Blind.

    A pod whose newest sample is older than STALE_S is refused by name: old counters would pass for new ones.
    """
    wanted = {name_of(pod): str(dig(pod, "metadata", "uid")) for pod in pods}
    taken = _fresh(eyes, wanted)
    names = [name.removeprefix("each ") for name in eyes.driver.queries() if name.startswith("each ")]
    asked = [partial(_each, eyes, f"each {name}", wanted) for name in names]
    found = dict(zip(names, eyes.cluster.gather(asked), strict=True))

    def whole(name: str, uid: str) -> int | None:
        value = found.get(name, {}).get(uid)
        return None if value is None else int(value)

    result = {}
    for name, uid in wanted.items():
        active, tls, up = whole("active", uid), whole("active_tls", uid), whole("connected", uid)
        rejected = whole("rejected", uid)
        if rejected is None:
            raise Blind(f"Prometheus has no update_rejected counter of {name}")
        result[uid] = ProxyCounters(
            rejected=rejected,
            connected=None if up is None else up >= 1,
            inbound_connections=whole("inbound_connections", uid),
            inbound_tls=whole("inbound_tls", uid),
            active_plaintext=None if active is None or tls is None else active - tls,
            active_tls=tls,
            refused_plaintext=whole("refused_plaintext", uid),
            handshakes=whole("handshakes", uid),
            sampled=taken[uid],
        )
    return result


def _each(
    eyes: Eyes, meaning: str, wanted: Mapping[str, str], words: Mapping[str, str] | None = None
) -> dict[str, float | None]:
    """Run one query by pod; key: pod UID. Pods that are not wanted are left out."""
    metrics = eyes.book.metrics
    found: dict[str, float | None] = {}
    for labels, value in _asked(eyes, meaning, words or {}):
        uid = wanted.get(f"{labels.get(metrics.namespace_label)}/{labels.get(metrics.pod_label)}")
        if uid is not None:
            found[uid] = value
    return found


def _fresh(eyes: Eyes, wanted: Mapping[str, str], excused: Collection[str] = ()) -> dict[str, float]:
    """Give pod UID -> Unix time of its newest sample. Raises Blind naming a pod without a fresh one.

    After the wave's changes a sample must be younger than those. excused: names of pods that may be missing, because
    they began too short a time ago.
    """
    taken, at = _each(eyes, "newest", wanted), moment(eyes)
    found: dict[str, float] = {}
    for name, uid in sorted(wanted.items()):
        sampled = taken.get(uid)
        if sampled is None:
            if name in excused:
                continue
            raise Blind(f"Prometheus has no samples of the proxy of {name}")
        if at - sampled > STALE_S:
            raise Blind(f"Prometheus has scraped the proxy of {name} {at - sampled:.0f} s ago at last")
        if eyes.since is not None and sampled < eyes.since.timestamp():
            raise Blind(f"Prometheus has not scraped the proxy of {name} since the change")
        found[uid] = sampled
    return found


def window(eyes: Eyes, longest_s: float, own: Collection[Object]) -> float:
    """Give the seconds to ask about. Raises Blind when they are too few for a rate.

    At most longest_s, since the wave began if it changes anything, and within the life of every pod that keeps its name over a restart.
    """
    at = moment(eyes)
    since = [at - longest_s] if longest_s else []
    if eyes.first is not None and eyes.moved:
        since.append(eyes.first.at.timestamp())
    for pod in own:
        if any(each.get("kind") == "StatefulSet" for each in dig(pod, "metadata", "ownerReferences") or ()):
            since.append(_began(pod))
    seconds = at - max(since, default=at - 300)
    if seconds < LEAST_WINDOW_S:
        raise Blind(f"{max(0.0, seconds):.0f} s of samples so far, a rate needs {LEAST_WINDOW_S:.0f} s")
    return seconds


def _began(pod: Object) -> float:
    try:
        return datetime.fromisoformat(str(dig(pod, "status", "startTime") or "")).timestamp()
    except ValueError:
        return 0.0


def _whole(eyes: Eyes, pods: Sequence[Object], seconds: float) -> None:
    """Raise Blind when what counters grew over the window can't be told.

    A proxy whose counters restarted has lost what it counted before; one that is older than the window and was not
    scraped at its beginning would show the counts of its whole life as those of the window.
    """
    wanted = {name_of(pod): str(dig(pod, "metadata", "uid")) for pod in pods}
    words = {"window": f"{int(seconds)}s", "homes": any_of({str(dig(pod, "metadata", "namespace")) for pod in pods})}
    restarts, before = eyes.cluster.gather(
        [partial(_each, eyes, each, wanted, words) for each in ("restarts", "known before")]
    )
    start = moment(eyes) - seconds
    for pod in pods:
        name, uid = name_of(pod), str(dig(pod, "metadata", "uid"))
        if restarts.get(uid):
            raise Blind(f"counters of the proxy of {name} went back within {seconds:.0f} s: it restarted")
        if before.get(uid) is None and _began(pod) < start - YOUNG_S:
            raise Blind(f"Prometheus has no samples of the proxy of {name} from {seconds:.0f} s ago")


def edges(
    eyes: Eyes, by_service: Mapping[str, Sequence[Object]], wanted: Sequence[Service], *, reads: str, longest_s: float
) -> dict[str, Any]:
    """Read both sides of every wanted service over one window. Raises Blind.

    reads: requests, buckets or connections. by_service: service id ("" = the gateway) -> ready pods with a proxy.
    Shape: {"services": as edges() in scrape.py gives it, with one row per pod or caller, "window_s": seconds, "at": Unix,
    "family": which metrics they are, "query": the one for what failed at callers}.
    """
    own = {name_of(pod): each.id for each in wanted for pod in by_service.get(each.id, ())}
    pods = [pod for each in wanted for pod in by_service.get(each.id, ())]
    every = [pod for several in by_service.values() for pod in several]
    young = {name_of(pod) for pod in every if moment(eyes) - _began(pod) < STALE_S} - set(own)
    _fresh(eyes, {name_of(pod): str(dig(pod, "metadata", "uid")) for pod in every}, young)
    seconds = window(eyes, longest_s, pods)
    _whole(eyes, every, seconds)
    words = {**naming(wanted), "window": f"{int(seconds)}s"}
    clients = {each.id for each in wanted if each.client_only}
    sides = ["own", "callers", *(["client"] if clients and reads != "connections" else [])]
    asked = [(side, count) for side in sides for count in COUNTS[reads]]
    for family in ("",) if reads == "connections" else FAMILIES:
        found = eyes.cluster.gather([partial(_asked, eyes, f"{family}{side} {count}", words) for side, count in asked])
        if any(found):
            break
    else:
        raise Blind(f"the queries ran and found 0 series of {words['workload'][:80]} in {words['window']}")
    services: dict[str, dict[str, Any]] = {each.id: {"own": {}, "callers": {}} for each in wanted}
    names = Names(eyes, by_service, wanted)
    for (side, count), rows in zip(asked, found, strict=True):
        for labels, value in rows:
            if side == "callers":
                target, caller = names.target(labels), names.caller(labels)
                if target is not None and caller != target:
                    who = caller or "ingress gateway"
                    _add(services[target]["callers"].setdefault(who, {}), who, count, labels, value)
                continue
            pod = names.pod(labels)
            if family or reads == "connections":
                name = own.get(pod)
            else:
                name = names.service(labels, "source" if side == "client" else "destination")
            # Pods that are on their way out, or were of another revision, are no evidence for those that came.
            if name is not None and own.get(pod) == name and (name in clients) == (side == "client"):
                _add(services[name]["own"], pod, count, labels, value)
    return {
        "services": services,
        "window_s": seconds,
        "at": moment(eyes),
        "family": FAMILIES["envoy " if reads == "connections" else family],
        "query": filled(eyes, eyes.driver.queries()[f"{family}callers {COUNTS[reads][-1]}"], words),
    }


def _asked(eyes: Eyes, meaning: str, words: Mapping[str, str]) -> list[Row]:
    return vector(eyes, filled(eyes, eyes.driver.queries()[meaning], words))


class Names:
    """Whose a row is: services of the runbook by what the mesh and the scrape call them."""

    def __init__(self, eyes: Eyes, by_service: Mapping[str, Sequence[Object]], wanted: Sequence[Service]) -> None:
        metrics = eyes.book.metrics
        self._home, self._pod, self._whose = metrics.namespace_label, metrics.pod_label, eyes.driver.whose
        self._wanted = {(each.namespace, each.workload.name): each.id for each in wanted}
        self._ids = {each.id for each in wanted}
        self._all = {(each.namespace, each.workload.name): each.id for each in eyes.book.services}
        self._callers = {name_of(pod): caller for caller, several in by_service.items() for pod in several}
        self._gateway = tuple(name_of(pod) for pod in by_service.get("", ()))

    def pod(self, labels: Mapping[str, str]) -> str:
        """Give namespace/name of the pod that was scraped."""
        return f"{labels.get(self._home)}/{labels.get(self._pod)}"

    def service(self, labels: Mapping[str, str], side: str) -> str | None:
        """Give the wanted service that is the source or the destination of a row."""
        return self._wanted.get((labels.get(f"{side}_workload_namespace", ""), labels.get(f"{side}_workload", "")))

    def target(self, labels: Mapping[str, str]) -> str | None:
        """Give the wanted service that a row is about; rows of Envoy's clusters name its Service."""
        if not labels.get("cluster_name"):
            return self.service(labels, "destination")
        found = self._whose(labels).callee
        return found if found in self._ids else None

    def caller(self, labels: Mapping[str, str]) -> str:
        """Name who calls: a service of the runbook, "" for the gateway, else as the mesh names it."""
        if "cluster_name" in labels:
            return self._callers.get(self.pod(labels), "another caller")
        home, name = labels.get("source_workload_namespace", ""), labels.get("source_workload", "")
        known = self._all.get((home, name))
        if known is None and any(pod.startswith(f"{home}/{name}-") for pod in self._gateway):
            return ""
        return known or f"{home}/{name}"


def _add(rows: Edges, key: str, count: str, labels: Mapping[str, str], value: float | None) -> None:
    row = rows.setdefault(key, {"requests": 0, "failed": 0, "connections": 0, "connect_failures": 0, "buckets": []})
    if count == "buckets":
        bound = labels.get("le", "")
        row["buckets"].append([None if bound == "+Inf" else float(bound), value])
    elif value is None or row[count] is None:
        row[count] = None
    else:
        row[count] += value


def naming(services: Collection[Service]) -> dict[str, str]:
    """Give the words of a query that say which services it is about: namespace, workload, peers, each a pattern."""
    return {
        "namespace": any_of({each.namespace for each in services}),
        "workload": any_of({each.workload.name for each in services}),
        "peers": any_of({f"{each.id.partition('/')[2]}.{each.namespace}" for each in services}),
    }


def any_of(names: Collection[str]) -> str:
    """Write a pattern that matches these names and no other, as it stands between quotes in PromQL."""
    return "|".join(re.escape(each).replace("\\", "\\\\") for each in sorted(names))
