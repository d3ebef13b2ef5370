"""What `init` proposes: services, waves and stages, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass

from meshup.model.runbook import Ingress, Mesh, Metrics, Service, Wave


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A runbook to be, and what was found on the way.

    why: service id or wave name -> the reason it is where it is. blocked: (workload, why) left out of every wave.
    owners: where each owner was read (annotation, label, namespace), by service id; "" = unknown.
    """

    name: str
    cluster_uid: str
    context: str
    server: str
    user: str
    mesh: Mesh
    chosen: str
    ingress: Ingress | None
    services: tuple[Service, ...]
    waves: tuple[Wave, ...]
    metrics: Metrics
    why: tuple[tuple[str, str], ...]
    owners: tuple[tuple[str, str], ...]
    blocked: tuple[tuple[str, str], ...] = ()
    workloads: int = 0
    namespaces: int = 0
    quiet: bool = False
