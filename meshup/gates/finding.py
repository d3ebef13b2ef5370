"""Finding a service's workload and pods, and the pods of those who call it, through a reader."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from meshup.cluster.errors import NotFound
from meshup.cluster.ports import Reader
from meshup.gates.gate import Blind, Eyes
from meshup.model.objects import Object, dig, labels, matches, template
from meshup.model.runbook import Service

MOST_SCRAPED = 50
ENDED = frozenset({"Succeeded", "Failed"})


def all_pods(cluster: Reader, namespaces: Iterable[str]) -> dict[str, list[Object]]:
    """Give the pods of each namespace: one list for one namespace, one list of all for several."""
    wanted = sorted(set(namespaces))
    found: dict[str, list[Object]] = {name: [] for name in wanted}
    listed = cluster.list("v1", "Pod", namespace=wanted[0]) if len(wanted) == 1 else cluster.list("v1", "Pod")
    for pod in listed:
        name = str(dig(pod, "metadata", "namespace"))
        if name in found:
            found[name].append(pod)
    return found


def workloads(cluster: Reader, services: Sequence[Service]) -> dict[str, Object]:
    """Give service id -> workload; those that are not there are left out. One list per kind."""
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
            for obj in cluster.list(api_version, kind):
                key = (str(dig(obj, "metadata", "namespace")), str(dig(obj, "metadata", "name")))
                if key in by_name:
                    found[by_name[key]] = obj
        except NotFound:
            continue
    return found


def own_pods(service: Service, workload: Object | None, pods: Iterable[Object], *, ended: bool = False) -> list[Object]:
    """Give the pods of a service that are not on their way out; ended: finished ones too."""
    if workload is None:
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
        for pod in pods
        if matches(selector, labels(pod))
        and not dig(pod, "metadata", "deletionTimestamp")
        and (ended or dig(pod, "status", "phase") not in ENDED)
    ]


def pods_by_service(eyes: Eyes, *, ended: bool = False) -> dict[str, tuple[Object | None, list[Object]]]:
    """Give service id -> (workload, pods) for everything a gate is about."""
    found = workloads(eyes.cluster, eyes.services)
    pods = all_pods(eyes.cluster, {each.namespace for each in eyes.services}) if eyes.services else {}
    return {
        each.id: (found.get(each.id), own_pods(each, found.get(each.id), pods.get(each.namespace, ()), ended=ended))
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
