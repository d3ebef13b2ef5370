"""The runbook as the rest of the program sees it: typed, complete, already checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from meshup.model.holds import HoldAt
from meshup.model.objects import Object, Ref
from meshup.model.problem import Where
from meshup.model.verdict import Patience


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifests:
    """Where the mesh's manifests come from.

    source: istioctl (program, its version is checked), helm (charts directory), directory (vendored files), stand-in
    (our own templates, refused by any server but the simulator). path: program or directory, "" = found on PATH.
    digest: "sha256:..." over the rendered or vendored bytes as pinned in meshup.lock, "" = not pinned yet.
    """

    source: Literal["istioctl", "helm", "directory", "stand-in"]
    path: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """Which mesh, at which release, as which revision. namespace: of the control plane."""

    driver: str
    release: str
    revision: str
    namespace: str
    manifests: Manifests
    values: Mapping[str, Any] = field(default_factory=dict)
    managed_by: Literal["meshup", "external"] = "meshup"
    keep_revisions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """One path of a host and the service port behind it. kind: how the path matches."""

    path: str
    service: str
    namespace: str
    port: int
    kind: Literal["Prefix", "Exact"] = "Prefix"
    expect: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One host name at the ingress. tls_secret: name of the Secret in the gateway's namespace, "" = plain HTTP."""

    host: str
    paths: tuple[Path, ...]
    tls_secret: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficHandoff:
    """How real traffic moves to the new ingress, by whom, until what is seen, and the way back."""

    to: str
    what: str
    back: str
    on: Ref | None = None
    until: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingress:
    """The ingress gateway and its routes. api: gateway (Gateway API) or istio. source: Ingress objects it stands for."""

    api: Literal["gateway", "istio"]
    name: str
    namespace: str
    hosts: tuple[Host, ...]
    source: tuple[Ref, ...] = ()
    untranslated: tuple[str, ...] = ()
    handoff: TrafficHandoff | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OptIn:
    """Who opted a service in, and when. wave, not_before: what the owner wishes for; "" and None = nothing."""

    by: str
    at: datetime
    wave: str = ""
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """How a service is probed: GET of a path at a port of its pods. expect: the status that is right."""

    path: str
    port: int
    expect: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service that may join the mesh.

    id: "namespace/name", unique in the runbook. workload: what its pods come from. owner: "" = unknown.
    opt_in: None = its owner did not opt in, so no wave touches it. client_only: calls others and serves nobody.
    baseline_query: PromQL for its success ratio before it is meshed, "" = none. low_traffic: it is declared to have too
    little traffic to be compared, and is probed so; it qualifies nothing. at: its line in the runbook.
    """

    name: str
    namespace: str
    workload: Ref
    owner: str
    critical: bool = False
    opt_in: OptIn | None = None
    baseline_query: str = ""
    client_only: bool = False
    low_traffic: Probe | None = None
    at: Where | None = None

    @property
    def id(self) -> str:
        """namespace/name."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """Services that move together. services: ids in order, selectors already resolved where they can be offline.

    selector: LabelSelector over workloads, resolved against the snapshot and frozen by the plan; None = by list.
    require: all = every service must be opted in (else the run waits, exit 5); opted-in = the rest is left out.
    qualifies: the release is qualified by this wave: its services are critical, and go first.
    """

    name: str
    services: tuple[str, ...] = ()
    selector: Object | None = None
    require: Literal["all", "opted-in"] = "opted-in"
    qualifies: bool = False
    at: Where | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSpec:
    """One step of a stage: its kind and parameters, unchecked here; the step's own dataclass checks them at load."""

    kind: str
    params: Mapping[str, Any]
    at: Where | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSpec:
    """One gate of a stage: kind, parameters, patience."""

    kind: str
    params: Mapping[str, Any]
    patience: Patience
    at: Where | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage: gates that must hold before it, its steps, gates that must hold after; per wave when it names waves.

    on_fail: what happens to the wave when a gate says fail: it is undone, or held as it is.
    """

    name: str
    steps: tuple[StepSpec, ...]
    gates: tuple[GateSpec, ...]
    before: tuple[GateSpec, ...] = ()
    waves: tuple[str, ...] = ()
    on_fail: Literal["undo", "hold"] = "undo"
    at: Where | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pacing:
    """in_flight: services moving at once. new_connections_per_s: 0 = no limit; services wait for their turn.

    failed_connections: share of a caller's new connections to a service that may fail while it restarts, above what is usual;
    1 = never stops it. blind: what happens when callers can't be watched meanwhile.
    """

    in_flight: int = 4
    new_connections_per_s: float = 0.0
    failed_connections: float = 0.1
    blind: Literal["go on", "hold"] = "go on"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """What the mesh may cost; 0 = no limit. latency_ms: added per hop at p99. memory_mib, cpu_m: for all sidecars."""

    latency_ms: float = 0.0
    memory_mib: int = 0
    cpu_m: int = 0
    restarts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """A skip written down: which gate (or check id) of which stage, by whom, why, until when. service: "" = all."""

    gate: str
    stage: str
    owner: str
    reason: str
    until: datetime
    service: str = ""
    at: Where | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Where a Prometheus is. service: "namespace/name:port" read through the API server, "" = none.

    ingest_delay_s: how far it lags behind. pod_label, namespace_label: what a scrape adds to every series of a pod.
    """

    service: str = ""
    ingest_delay_s: float = 15.0
    pod_label: str = "pod"
    namespace_label: str = "namespace"


@dataclass(frozen=True, slots=True, kw_only=True)
class Runbook:
    """A whole runbook. cluster_uid: "" = not bound to a cluster. digest: sha256 of the file's bytes. path: as given."""

    name: str
    path: str
    digest: str
    cluster_uid: str
    mesh: Mesh
    ingress: Ingress | None
    services: tuple[Service, ...]
    waves: tuple[Wave, ...]
    stages: tuple[Stage, ...]
    pacing: Pacing
    budgets: Budgets
    metrics: Metrics
    waivers: tuple[Waiver, ...] = ()
    accept_one_way: tuple[str, ...] = ()
    holds: HoldAt = HoldAt()
    lock_digest: str = ""

    @property
    def hold_at(self) -> HoldAt:
        """When a release goes on hold: `holds`, and the critical services, any of which that is back holds it alone."""
        alone = tuple(each.id for each in self.services if each.critical) if self.holds.critical else ()
        return replace(self.holds, alone=alone)
