"""Who runs what, read from the pods and never from labels that only say what somebody wished."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from meshup.cluster.ports import Reader
from meshup.meshes.driver import Driver
from meshup.model.ledger import Running
from meshup.model.objects import Object, dig, labels, matches, ref_of, template
from meshup.model.runbook import Service
from meshup.model.snapshot import Identity, Snapshot

ENDED = frozenset({"Succeeded", "Failed"})


def running(services: Iterable[Service], snapshot: Snapshot, driver: Driver) -> tuple[Running, ...]:
    """Give what each service's live pods run, in the order of the services; no pods gives no releases."""
    pods = _by_namespace(snapshot)
    found = []
    for service in services:
        releases: Counter[str] = Counter()
        revisions: Counter[str] = Counter()
        for pod in pods_of(service, snapshot, pods.get(service.namespace, ())):
            proxy = driver.proxy(pod)
            releases[proxy.release if proxy is not None else ""] += 1
            if proxy is not None:
                revisions[proxy.revision] += 1
        found.append(
            Running(
                service=service.name,
                namespace=service.namespace,
                owner=service.owner,
                releases=tuple(sorted(releases.items(), key=lambda each: (-each[1], each[0]))),
                revision=revisions.most_common(1)[0][0] if revisions else "",
            )
        )
    return tuple(found)


def asked(service: Service, snapshot: Snapshot, driver: Driver) -> str:
    """Give the revision that a workload's template asks for, "" = none, or no workload."""
    workload = snapshot.get(service.workload)
    return driver.enrolment(workload, snapshot, None).revision_before if workload is not None else ""


def runs_now(cluster: Reader, service: Service, driver: Driver) -> Running:
    """Read what a service's live pods run at this moment, from the pods alone."""
    workload = cluster.find(service.workload)
    several = list(cluster.list("v1", "Pod", namespace=service.namespace))
    objects = {ref_of(each): each for each in several}
    if workload is not None:
        objects[service.workload] = workload
    seen = Snapshot(
        cluster_uid="",
        server_version="",
        identity=Identity(user=""),
        taken_at=datetime.min.replace(tzinfo=UTC),
        objects=objects,
    )
    return running((service,), seen, driver)[0]


def pods_of(service: Service, snapshot: Snapshot, pods: Iterable[Object]) -> list[Object]:
    """Give the live pods of a service's workload among those of its namespace."""
    workload = snapshot.get(service.workload)
    if workload is None:
        return []
    selector = dig(workload, "spec", "selector")
    if selector is None:
        wanted = dig(template(workload), "metadata", "labels") or {}
        selector = {"matchLabels": {key: value for key, value in wanted.items() if "/" not in key}}
        if not selector["matchLabels"]:
            return []
    return [
        each
        for each in pods
        if matches(selector, labels(each))
        and not dig(each, "metadata", "deletionTimestamp")
        and dig(each, "status", "phase") not in ENDED
    ]


def _by_namespace(snapshot: Snapshot) -> Mapping[str, list[Object]]:
    found: dict[str, list[Object]] = defaultdict(list)
    for ref, obj in snapshot.objects.items():
        if ref.kind == "Pod" and ref.api_version == "v1":
            found[ref.namespace].append(obj)
    return found


def release_now(found: Running) -> str:
    """Give the release most pods of a service run; "" = out of the mesh, or no pods."""
    return found.releases[0][0] if found.releases else ""
