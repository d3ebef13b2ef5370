"""A cluster in memory for a command: its session, a runbook proposed for it, and a copy of a real cluster."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from meshup.journal.home import HOME
from meshup.model.objects import TEMPLATE_PATH, Object, dig, ref_of, template

if TYPE_CHECKING:
    from meshup.cluster.door import Cluster
    from meshup.engine.session import Session
    from meshup.meshes.driver import Driver
    from meshup.model.events import Watcher
    from meshup.model.runbook import Runbook
    from meshup.model.snapshot import ApiKind
    from meshup.simulate.scenario import Simulation


def session_of(simulation: Simulation, watcher: Watcher) -> Session:
    """Bundle what the engine needs, over the direct transport and on virtual time."""
    from meshup.cli.kinds import drivers, gates, steps
    from meshup.cluster.connect import over
    from meshup.engine.session import Session
    from meshup.journal.holder import this_process

    cluster = over(simulation.server, simulation.clock, in_flight=1, context=simulation.name)
    identity = cluster.whoami()
    return Session(
        cluster=cluster,
        clock=simulation.clock,
        drivers=drivers(),
        steps=steps(),
        gates=gates(),
        identity=identity,
        holder=this_process(identity.user),
        fenced=cluster.fenced,
        watcher=watcher,
    )


def proposed(around: Session) -> Runbook:
    """Give the runbook that init would write for the cluster of a session."""
    from meshup.cli.kinds import kinds
    from meshup.engine.planning import snapshot_for
    from meshup.engine.propose import propose
    from meshup.model.problem import UsageError
    from meshup.runbook import load, write

    driver = around.drivers["istio"]
    text = write.text(propose(snapshot_for(around, driver), driver))
    loaded = load.load(text.encode(), name="proposed", kinds=kinds())
    if loaded.runbook is None:
        raise UsageError(
            "the scenario does not make a runbook that lints",
            code="MU1101",
            problems=loaded.problems,
            fix="meshup lint",
            cluster="only read",
        )
    return loaded.runbook


INJECTORS = ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration")
COPIED = (
    ("v1", "Namespace"),
    ("v1", "ServiceAccount"),
    ("v1", "ConfigMap"),
    ("v1", "Service"),
    ("v1", "ResourceQuota"),
    ("v1", "LimitRange"),
    INJECTORS,
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("batch/v1", "CronJob"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("policy/v1", "PodDisruptionBudget"),
    ("networking.k8s.io/v1", "Ingress"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
    ("rbac.authorization.k8s.io/v1", "Role"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
)


def copied(cluster: Cluster, driver: Driver, programs: Any, book: Runbook | None = None) -> Simulation:
    """Build a cluster in memory from what the real one holds; nothing but reads is sent to it.

    The mesh's own objects and injectors come along. What calls what is not to be read from a cluster, so traffic is
    assumed (calls): the rehearsal shows changes, rollouts, limits and the way back, not how services fare.
    """
    from meshup.engine.planning import groups_of
    from meshup.simulate.scenario import from_objects

    cluster.whoami()
    served = cluster.kinds()
    found: list[Object] = []
    definitions = list(cluster.list("apiextensions.k8s.io/v1", "CustomResourceDefinition"))
    home = book.mesh.namespace if book is not None else "istio-system"
    for kind in [*COPIED, *_of_mesh(served, {*groups_of(driver), "gateway.networking.k8s.io"})]:
        if kind in served:
            found += [
                each
                for each in cluster.list(*kind, owners=True)
                if (kind != INJECTORS or _served_from(each, home)) and not _is_record(each)
            ]
    nodes = max(1, sum(1 for _ in cluster.list("v1", "Node")))
    return from_objects(
        [*definitions, *found], nodes=nodes, programs=programs, calls=calls(book, found) if book is not None else ()
    )


def _of_mesh(served: Mapping[tuple[str, str], ApiKind], groups: Collection[str]) -> list[tuple[str, str]]:
    """Name the newest served version of every kind of some groups."""
    newest: dict[tuple[str, str], str] = {}
    for version, kind in sorted(served, key=lambda key: ("alpha" not in key[0], "beta" not in key[0], key)):
        group = version.rpartition("/")[0]
        if group in groups:
            newest[group, kind] = version
    return [(version, kind) for (_, kind), version in sorted(newest.items())]


def _served_from(webhooks: Object, namespace: str) -> bool:
    """Tell whether a webhook configuration is the mesh's: others can't be asked in memory, and would refuse all pods."""
    found = [dig(each, "clientConfig", "service", "namespace") for each in webhooks.get("webhooks") or ()]
    return namespace in found


def _is_record(each: Object) -> bool:
    """Tell whether an object is of meshup's own namespace: the runs of the real cluster are not those of its copy."""
    return HOME in (dig(each, "metadata", "namespace"), dig(each, "metadata", "name"))


def calls(book: Runbook, objects: Iterable[Object]) -> tuple[tuple[str, str, int], ...]:
    """Give the traffic that is assumed, as (caller, callee, port): each opted-in service calls the next that serves.

    The front door ("ingress") calls what has a host. Nobody calls in plaintext once all of these are enrolled.
    """
    doors = [each for each in objects if each.get("kind") == "Service"]
    workloads = {ref_of(each): each for each in objects if each.get("kind") in TEMPLATE_PATH}
    ports: dict[str, int] = {}
    willing = [each for each in book.services if each.opt_in is not None]
    for service in willing:
        own = dig(template(workloads.get(service.workload, {})), "metadata", "labels") or {}
        for door in doors:
            selector = dig(door, "spec", "selector")
            if dig(door, "metadata", "namespace") == service.namespace and selector and selector.items() <= own.items():
                port = dig(door, "spec", "ports", 0, "targetPort") or dig(door, "spec", "ports", 0, "port")
                ports[service.id] = port if isinstance(port, int) else int(dig(door, "spec", "ports", 0, "port") or 80)
                break
    serving = list(ports)
    found = [(caller, serving[(at + 1) % len(serving)], 0) for at, caller in enumerate(serving)]
    found += [(each.id, serving[0], 0) for each in willing if each.id not in ports and serving]
    hosts = book.ingress.hosts if book.ingress is not None else ()
    behind = {f"{path.namespace}/{path.service}" for host in hosts for path in host.paths}
    found += [("ingress", each, 0) for each in sorted(behind) if each in ports]
    return tuple((caller, callee, ports[callee]) for caller, callee, _ in found)
