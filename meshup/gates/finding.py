"""Finding a service's workload and pods, and the pods of those who call it, through a reader."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from meshup.cluster.errors import NotFound
from meshup.cluster.ports import Reader
from meshup.gates.gate import Blind, Eyes
from meshup.model.objects import Object, dig, labels, matches, template
from meshup.model.runbook import Service

MOST_SCRAPED = 50
MOST_APART = 8
"""So many namespaces are listed one by one; of more, one list of everything is read."""
ENDED = frozenset({"Succeeded", "Failed"})


class Shelf:
    """The pods of one namespace, in order; those of a selector are found by one of its labels, not one by one."""

    def __init__(self, pods: Iterable[Object] = ()) -> None:
        self._pods = list(pods)
        self._by: dict[str, dict[str, list[Object]]] = {}

    def __iter__(self) -> Iterator[Object]:
        return iter(self._pods)

    def put(self, pod: Object) -> None:
        """Add one more; all of them before the first is looked for."""
        self._pods.append(pod)

    def of(self, selector: Mapping[str, Any]) -> Iterator[Object]:
        """Yield the pods that a LabelSelector chooses."""
        key, value = next(iter((selector.get("matchLabels") or {}).items()), ("", ""))
        for pod in self._with(key).get(value, ()) if key else self._pods:
            if matches(selector, labels(pod)):
                yield pod

    def _with(self, key: str) -> Mapping[str, Sequence[Object]]:
        found = self._by.get(key)
        if found is None:
            found = self._by[key] = {}
            for pod in self._pods:
                found.setdefault(labels(pod).get(key, ""), []).append(pod)
        return found


def listed(cluster: Reader, api_version: str, kind: str, namespaces: Iterable[str]) -> Iterator[Object]:
    """Yield the objects of some namespaces: a list of each while they are few, one list of all beyond."""
    wanted = set(namespaces)
    if len(wanted) > MOST_APART:
        for obj in cluster.list(api_version, kind):
            if dig(obj, "metadata", "namespace") in wanted:
                yield obj
        return
    lists = [partial(_listed, cluster, api_version, kind, name) for name in sorted(wanted)]
    for several in cluster.gather(lists):
        yield from several


def _listed(cluster: Reader, api_version: str, kind: str, namespace: str) -> list[Object]:
    return list(cluster.list(api_version, kind, namespace=namespace))


def all_pods(cluster: Reader, namespaces: Iterable[str]) -> dict[str, Shelf]:
    """Give the pods of each namespace."""
    found = {name: Shelf() for name in sorted(set(namespaces))}
    for pod in listed(cluster, "v1", "Pod", found):
        found[str(dig(pod, "metadata", "namespace"))].put(pod)
    return found


def workloads(cluster: Reader, services: Sequence[Service]) -> dict[str, Object]:
    """Give service id -> workload; those that are not there are left out."""
    kinds: dict[tuple[str, str], list[Service]] = {}
    for each in services:
        kinds.setdefault((each.workload.api_version, each.workload.kind), []).append(each)
    found: dict[str, Object] = {}
    for (api_version, kind), several in kinds.items():
        if len(several) == 1:
            one = cluster.find(several[0].workload)
            if one is not None:
                found[several[0].id] = one
            continue
        by_name = {(each.workload.namespace, each.workload.name): each.id for each in several}
        try:
            for obj in listed(cluster, api_version, kind, {each.workload.namespace for each in several}):
                key = (str(dig(obj, "metadata", "namespace")), str(dig(obj, "metadata", "name")))
                if key in by_name:
                    found[by_name[key]] = obj
        except NotFound:
            continue
    return found


def own_pods(workload: Object | None, pods: Shelf | None, *, ended: bool = False) -> list[Object]:
    """Give the pods of a service's workload that are not on their way out; ended: finished ones too."""
    if workload is None or pods is None:
        return []
    selector = dig(workload, "spec", "selector")
    if selector is None:
        own = dig(template(workload), "metadata", "labels") or {}
        stable = {key: value for key, value in own.items() if "/" not in key}
        if not stable:
            return []
        selector = {"matchLabels": stable}
    return [
        pod
        for pod in pods.of(selector)
        if not dig(pod, "metadata", "deletionTimestamp") and (ended or dig(pod, "status", "phase") not in ENDED)
    ]


def pods_by_service(eyes: Eyes, *, ended: bool = False) -> dict[str, tuple[Object | None, list[Object]]]:
    """Give service id -> (workload, pods) for everything a gate is about."""
    found = workloads(eyes.cluster, eyes.services)
    pods = all_pods(eyes.cluster, {each.namespace for each in eyes.services})
    return {
        each.id: (found.get(each.id), own_pods(found.get(each.id), pods.get(each.namespace), ended=ended))
        for each in eyes.services
    }


def ready(pod: Object) -> bool:
    """Tell whether a pod says that it is ready."""
    return any(
        each.get("type") == "Ready" and each.get("status") == "True" for each in dig(pod, "status", "conditions") or ()
    )


def name_of(pod: Object) -> str:
    """Give namespace/name."""
    return f"{dig(pod, 'metadata', 'namespace')}/{dig(pod, 'metadata', 'name')}"


def must(count: int, what: str) -> None:
    """Refuse to look at more pods than a scrape may. Raises Blind."""
    if count > MOST_SCRAPED:
        raise Blind(
            f"{count} {what} are too many to scrape one by one (at most {MOST_SCRAPED}): set metrics in the runbook"
        )


def number(found: Any) -> float | None:
    """Read a number that JSON may have carried; None for anything else, NaN and infinity included."""
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    return float(found) if found == found and abs(found) != float("inf") else None  # noqa: PLR0124 - NaN is not itself
