"""What a driver of one mesh must be able to say; everything above asks through this and names no mesh."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from re import Pattern
from typing import ClassVar, Literal, Protocol

from meshup.meshes.asks import Endpoint, Family, Whose
from meshup.meshes.leading import Beside, Tag
from meshup.model.jump import Gone, Trust
from meshup.model.objects import Object, Ref
from meshup.model.runbook import Host, Ingress, Manifests, Mesh, Service
from meshup.model.snapshot import Snapshot

ENDPOINT_COUNTS = "endpoint-counts"
"""The capability of a mesh whose proxies can count by the pod they call, and the kind of the step that has them do so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """The proxy found in one pod. release: read from the running container's image, "" when it can't be told."""

    release: str
    revision: str
    container: str
    ready: bool
    native: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """What makes the pods of one workload join at a revision, or why that can't be done.

    at: path of the label map. set: labels wanted there. blocked: reason in one line, "" when it can be done. way_out:
    what somebody can do about that, "" = nothing beyond the reason.
    annotations: of the pod template beside the labels (evidence that must be switched on), written in the same patch.
    right: the workload already carries it. before: the same keys now. revision_before: what its template asks for now, or
    its namespace for it. tag: what its namespace leads its pods by: its own labels say nothing then, and it is blocked for
    everybody who moves one workload alone; None = its own labels decide.
    """

    at: tuple[str, ...] = ()
    set: Mapping[str, str | None] = field(default_factory=dict)
    before: Mapping[str, str | None] = field(default_factory=dict)
    annotations: Mapping[str, str | None] = field(default_factory=dict)
    annotations_before: Mapping[str, str | None] = field(default_factory=dict)
    blocked: str = ""
    way_out: str = ""
    right: bool = False
    revision_before: str = ""
    tag: Tag | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the API server's pod proxy reaches a pod's counters. path: with query, below the proxy."""

    port: int
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """What one proxy counted on one direction of one cluster of endpoints, since the proxy started.

    name: the mesh's own cluster name. peer: "namespace/name" of the service called, "" for inbound.
    buckets: upper bound in ms -> cumulative count; empty when not exposed. tls_errors: TLS connections that came to nothing,
    refused certificates included; None when not exposed.
    """

    name: str
    direction: Literal["inbound", "outbound"]
    peer: str
    requests: int = 0
    failed: int = 0
    connections: int = 0
    connect_failures: int = 0
    active_connections: int = 0
    buckets: Mapping[float, int] = field(default_factory=dict)
    latency_sum_ms: float = 0.0
    tls_errors: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyCounters:
    """Counters of one proxy at one moment. rejected: refused configurations, connected: xDS link up; None = not on the page.

    inbound_connections, inbound_tls: on ports that accept both; their difference is plaintext. refused_plaintext:
    connections a strict port turned away. handshakes: mutual TLS handshakes completed inbound. sampled: Unix time at
    which a scrape took them, None when they were just read from the proxy itself. signs: counts that point to a cause, by the
    proxy's own names, since it began; those that its page does not have are left out.
    """

    edges: tuple[Edge, ...] = ()
    rejected: int | None = None
    connected: bool | None = None
    inbound_connections: int | None = None
    inbound_tls: int | None = None
    active_plaintext: int | None = None
    active_tls: int | None = None
    refused_plaintext: int | None = None
    handshakes: int | None = None
    started: str = ""
    sampled: float | None = None
    signs: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One inbound request from an access log. address: the caller's IP, without port. tls: None when not logged."""

    at: str
    address: str
    status: int
    path: str
    tls: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Translated:
    """Existing ingress objects read as hosts. dropped: what can't be said, one line each with object and field."""

    hosts: tuple[Host, ...]
    dropped: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One mTLS policy to be applied. level: how wide. covers: service ids.

    plural: path segment of its kind. field, back: the one field a guard puts back (dotted) and the permissive value.
    """

    level: Literal["workload", "namespace", "mesh"]
    mode: Literal["permissive", "strict"]
    body: Object
    covers: tuple[str, ...]
    plural: str = ""
    field: str = ""
    back: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unused:
    """One component that nothing uses, with the proof and what removing it gives back. stays: why it can't go, "" = it can."""

    ref: Ref
    why: str
    cpu_m: int = 0
    memory_mib: int = 0
    stays: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """Manifests of a control plane, in the order they must be applied. digest: sha256 over the canonical bytes.

    ready: workloads to wait for. origin: program and version, or directory, for people. shared: objects that belong to
    no revision alone; another owner's are left as they are. again: what is applied where the object is there already,
    without the fields that the control plane itself keeps.
    """

    objects: tuple[Object, ...]
    digest: str
    origin: str
    ready: tuple[Ref, ...]
    shared: frozenset[Ref] = frozenset()
    again: Mapping[Ref, Object] = field(default_factory=dict)


class Driver(Protocol):
    """One mesh. Pure but for `render`, which may run the mesh's own program offline; no effects on any cluster."""

    name: ClassVar[str]
    capabilities: ClassVar[frozenset[str]]
    groups: ClassVar[tuple[str, ...]]
    proxy_uid: ClassVar[int]
    taken_ports: ClassVar[tuple[int, ...]]
    assumed_tcp: ClassVar[frozenset[int]]
    """Service ports that the mesh takes for TCP although they declare nothing."""

    def render(self, mesh: Mesh) -> Rendered:
        """Give the control plane's objects for this release and revision. Raises MeshupError with code MU4xxx."""
        ...

    def at_hand(self) -> tuple[Manifests, str]:
        """Give the source of manifests that fits this machine best, and the release it is of ("" = any)."""
        ...

    def conflicts(self, snapshot: Snapshot, mesh: Mesh) -> tuple[str, ...]:
        """Name other meshes, or other owners of the mesh's shared definitions, one line each."""
        ...

    def installed(self, snapshot: Snapshot) -> Mapping[str, str]:
        """Give revision -> release of every control plane that is there; release "" when it can't be told."""
        ...

    def gateway(self, ingress: Ingress, mesh: Mesh) -> tuple[Object, ...]:
        """Give the ingress gateway and its routes, in the order they must be applied."""
        ...

    def gateway_service(self, ingress: Ingress) -> Ref:
        """Name the Service that the gateway answers at."""
        ...

    def gateway_beside(self, ingress: Ingress, mesh: Mesh, snapshot: Snapshot) -> Beside | None:
        """Say how a second Deployment takes a gateway's traffic; None when there is no gateway yet."""
        ...

    def translate(self, ingresses: Sequence[Object]) -> Translated:
        """Read Ingress objects as hosts and paths; what can't be said is listed, never guessed."""
        ...

    def enrolment(self, workload: Object, snapshot: Snapshot, revision: str | None) -> Enrolment:
        """Say what puts this workload on a revision (None = out of the mesh), by the cluster's own selectors."""
        ...

    def proxy(self, pod: Object) -> Proxy | None:
        """Find the proxy in a pod, ordinary or native; None when the pod is bare."""
        ...

    def asks(self, pod: Object) -> str:
        """Give the revision that a pod's own labels ask for; "" when they name none."""
        ...

    def policies(
        self, services: Sequence[Service], snapshot: Snapshot, mesh: Mesh, *, level: str, mode: str
    ) -> tuple[Policy, ...]:
        """Give the policies of one level that put these services in a mode; foreign policies are not touched."""
        ...

    def policy_conflicts(self, services: Sequence[Service], snapshot: Snapshot, *, level: str) -> tuple[str, ...]:
        """Name policies and rules of others that select the same workloads or defeat mutual TLS, one line each."""
        ...

    def is_strict(self, service: Service, snapshot: Snapshot) -> bool:
        """Tell whether policies in force refuse plaintext to this service."""
        ...

    def outside(self) -> Mapping[str, str]:
        """Give the pod labels that keep a pod of ours out of the mesh."""
        ...

    def counters(self) -> Source:
        """Say where a pod's proxy counters are."""
        ...

    def read_counters(self, text: str) -> ProxyCounters:
        """Parse what `counters` answered. Raises ValueError when it is not that format."""
        ...

    def read_samples(
        self, text: str, lines: Mapping[str, Pattern[str]]
    ) -> Iterator[tuple[str, Mapping[str, str], float]]:
        """Yield (name, labels, value) of what `counters` answered: by metric, its first line and those that match.

        Raises ValueError.
        """
        ...

    def read_calls(self, log: str) -> tuple[Call, ...]:
        """Parse a proxy's access log; lines that are not access log lines are passed over."""
        ...

    def queries(self) -> Mapping[str, str]:
        """Give PromQL templates by meaning (success-rate, latency, plaintext, ...), with ${...} placeholders."""
        ...

    def comparison(self) -> tuple[Family, ...]:
        """Give what a Prometheus can tell of two revisions of a service, in the order of preference."""
        ...

    def whose(self, labels: Mapping[str, str]) -> Whose:
        """Say who a row of `comparison` is about."""
        ...

    def split_word(self, pod: Object) -> str:
        """Give what the mesh's own metrics call the revision of a pod that is called."""
        ...

    def scraping(self) -> Mapping[str, str]:
        """Give the queries about scraping itself: newest (and the server's clock), before, scrapes, restarts."""
        ...

    def read_endpoints(self, text: str) -> tuple[Endpoint, ...]:
        """Parse what `counters` answered for counts by endpoint; () when the proxy keeps none. Raises ValueError."""
        ...

    def endpoint_counts(self, mesh: Mesh, namespaces: Sequence[str]) -> tuple[Object, ...]:
        """Give the objects that let callers' proxies count by endpoint, where these namespaces' pods call. No restart."""
        ...

    def unused(self, snapshot: Snapshot, mesh: Mesh, *, keep: Sequence[str]) -> tuple[Unused, ...]:
        """Name components and revisions that nothing uses; one that a pod, gateway or pin uses is never named."""
        ...

    def sidecar_requests(self, snapshot: Snapshot, mesh: Mesh) -> tuple[int, int]:
        """Give (cpu in millicores, memory in MiB) that one proxy asks for."""
        ...

    def supports(self, release: str, kubernetes: str) -> str | None:
        """Say why a server's version does not fit a release: "" = it fits, None = nothing is known of one of them."""
        ...

    def lines(self) -> tuple[str, ...]:
        """Name the lines of releases that anything is known of, oldest first."""
        ...

    def skew(self, plane: str, proxy: str) -> str | None:
        """Say why proxies of one release may not be served by, or go in one step to, a control plane of another.

        "" = they may; None = nothing is known of one of them.
        """
        ...

    def kinds_ignored(self, snapshot: Snapshot, release: str) -> Mapping[Ref, str]:
        """Name shared definitions of bundles that a release does not read, and why; their objects would be ignored."""
        ...

    def gone(self, snapshot: Snapshot, mesh: Mesh) -> tuple[Gone, ...]:
        """Name what is in use and no longer in the mesh's release, where no schema says so. Raises ValueError."""
        ...

    def trust(self, mesh: Mesh) -> Trust:
        """Say where the mesh's certificates stand."""
        ...

    def sidecar_resources(self, workload: Object, mesh: Mesh) -> Mapping[str, Decimal]:
        """Give what the proxy of a workload's pods states: requests.cpu, requests.memory, limits.cpu, limits.memory.

        Cores and bytes; a key that is absent is left unset in the pod.
        """
        ...

    def declares(self, port: Object) -> bool:
        """Tell whether a port of a Service says its protocol in a way that this mesh understands."""
        ...

    def refused_by_level(self, workload: Object, mesh: Mesh, *, level: str) -> str:
        """Say what of the sidecar a Pod Security level (baseline, restricted) refuses in such pods; "" = nothing."""
        ...

    def keeps_jobs(self, workload: Object, snapshot: Snapshot, mesh: Mesh) -> str | None:
        """Say why the pods of a Job would never end beside the sidecar: "" = they end, None = it can't be told."""
        ...
