"""A cluster in memory for a command: its session, a runbook proposed for it, and a copy of a real cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshup.model.objects import Object

if TYPE_CHECKING:
    from meshup.cluster.door import Cluster
    from meshup.engine.session import Session
    from meshup.meshes.driver import Driver
    from meshup.model.events import Watcher
    from meshup.model.runbook import Runbook
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


COPIED = (
    ("v1", "Namespace"),
    ("v1", "ServiceAccount"),
    ("v1", "ConfigMap"),
    ("v1", "Service"),
    ("v1", "ResourceQuota"),
    ("v1", "LimitRange"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("batch/v1", "CronJob"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("policy/v1", "PodDisruptionBudget"),
    ("networking.k8s.io/v1", "Ingress"),
)


def copied(cluster: Cluster, driver: Driver, programs: Any) -> Simulation:
    """Build a cluster in memory from what the real one holds; nothing but reads is sent to it.

    Traffic is not known, so gates that need it are unknown there: the rehearsal shows changes, rollouts and the way back.
    """
    from meshup.simulate.scenario import from_objects

    cluster.whoami()
    del driver
    served = cluster.kinds()
    found: list[Object] = []
    definitions = list(cluster.list("apiextensions.k8s.io/v1", "CustomResourceDefinition"))
    for each in COPIED:
        if each in served:
            found += list(cluster.list(*each))
    return from_objects(
        [*definitions, *found], nodes=max(1, sum(1 for _ in cluster.list("v1", "Node"))), programs=programs
    )
