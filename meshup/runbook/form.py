"""The form of a runbook: pydantic models, one per block; what they refuse is reported with its path."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt

from meshup.model.duration import parse

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
HOST = re.compile(r"(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
RELEASE = re.compile(r"v?\d+\.\d+(\.\d+)?([-+.][0-9A-Za-z.-]+)?")
MEMORY = re.compile(r"\d+(Ki|Mi|Gi|Ti)?")
CPU = re.compile(r"\d+m|\d+(\.\d+)?")


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str):
        shown = "true" if value is True else "false" if value is False else value
        raise ValueError(f'must be text; quote it: "{shown}"')
    return value


def _matching(pattern: re.Pattern[str], what: str) -> Any:
    def check(value: Any) -> str:
        text = _text(value)
        if not pattern.fullmatch(text):
            raise ValueError(f'"{text[:60]}" is no {what}')
        return text

    return BeforeValidator(check)


def _release(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f'a release is text, and YAML reads {value} as a number; quote it: "{value}"')
    text = _text(value)
    if not RELEASE.fullmatch(text):
        raise ValueError(f'"{text[:60]}" is no release such as "1.30.3"')
    return text


def _seconds(value: Any) -> float:
    return float(parse(_text(value)))


def _time(value: Any) -> datetime:
    text = _text(value)
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        try:
            found = datetime.combine(date.fromisoformat(text), datetime.max.time().replace(microsecond=0))
        except ValueError as error:
            raise ValueError(f'"{text[:40]}" is no time such as 2026-12-31 or 2026-12-31T12:00:00Z') from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


Text = Annotated[str, BeforeValidator(_text)]
Name = Annotated[str, _matching(NAME, "name: small letters, digits and dashes, at most 63")]
HostName = Annotated[str, _matching(HOST, "host name")]
Release = Annotated[str, BeforeValidator(_release)]
Seconds = Annotated[float, BeforeValidator(_seconds)]
Time = Annotated[datetime, BeforeValidator(_time)]
Memory = Annotated[str, _matching(MEMORY, "amount of memory such as 2Gi")]
Cpu = Annotated[str, _matching(CPU, 'amount of CPU such as "2" or 500m')]


class Block(BaseModel):
    """A block of the file: unknown keys are refused, nothing is coerced silently."""

    model_config = ConfigDict(extra="forbid", strict=False, frozen=True, populate_by_name=True)


class Metadata(Block):
    """metadata."""

    name: Name = Field(description="name of the runbook; reports show it", examples=["shop"])


class ClusterBlock(Block):
    """cluster."""

    uid: Annotated[str, BeforeValidator(_text)] = Field(
        "", description="UID of namespace kube-system; init writes it, another cluster is refused"
    )


class ManifestsBlock(Block):
    """mesh.manifests."""

    source: Literal["istioctl", "helm", "directory", "stand-in"] = Field(
        alias="from", description="where the manifests come from"
    )
    path: Text = Field("", description="program, charts folder or vendored folder; empty = found on PATH")
    digest: Annotated[str, _matching(re.compile(r"(sha256:[0-9a-f]{64})?"), "digest such as sha256:...")] = Field(
        "", description="what the rendered bytes must be"
    )


class MeshBlock(Block):
    """mesh."""

    driver: Text = Field(description="which mesh", examples=["istio"])
    release: Release = Field(description="the pinned release, quoted", examples=["1.30.3"])
    revision: Name = Field(
        description="name of the control plane; other values mean another revision", examples=["1-30-3"]
    )
    namespace: Name = Field("istio-system", description="namespace of the control plane")
    manifests: ManifestsBlock
    managed_by: Literal["meshup", "external"] = Field(
        "meshup", alias="managedBy", description="who installs the control plane"
    )
    values: dict[str, Any] = Field(default_factory=dict, description="values for the mesh's own charts")
    keep_revisions: list[Name] = Field(
        default_factory=list, alias="keepRevisions", description="revisions that minimise leaves, as a way back"
    )


class PathBlock(Block):
    """ingress.hosts[].paths[]."""

    path: Annotated[str, _matching(re.compile(r"/[^\s?#]*"), "path such as /api")] = Field("/", description="path")
    kind: Literal["Prefix", "Exact"] = Field("Prefix", description="how the path matches")
    service: Name = Field(description="Service behind it")
    namespace: Name = Field(description="namespace of the Service")
    port: StrictInt = Field(ge=1, le=65535, description="port of the Service")
    expect: StrictInt = Field(0, ge=0, le=599, description="status the probe must see; 0 = any answer of the service")


class HostBlock(Block):
    """ingress.hosts[]."""

    host: HostName = Field(description="host name")
    tls_secret: Text = Field("", alias="tlsSecret", description="TLS Secret in the gateway's namespace")
    paths: list[PathBlock] = Field(min_length=1, description="paths and what is behind them")


class RefBlock(Block):
    """A reference to an object."""

    api_version: Text = Field("networking.k8s.io/v1", alias="apiVersion", description="group and version")
    kind: Text = Field("Ingress", description="kind")
    namespace: Name = Field(description="namespace")
    name: Text = Field(description="name")


class HandoffBlock(Block):
    """ingress.handoff."""

    to: Text = Field(description="who moves real traffic")
    what: Text = Field(description="what they do, in one sentence")
    back: Text = Field(description="how they take it back, in one sentence")
    on: RefBlock | None = Field(None, description="the object that shows that it is so")
    until: dict[str, Text] = Field(default_factory=dict, description="field -> value that shows that it is so")


class IngressBlock(Block):
    """ingress."""

    api: Literal["gateway", "istio"] = Field("gateway", description="Gateway API first, or Istio's own")
    name: Name = Field("edge", description="name of the gateway")
    namespace: Name = Field("istio-ingress", description="namespace of the gateway")
    source: list[RefBlock] = Field(
        default_factory=list, alias="from", description="existing Ingress objects; used when hosts is empty"
    )
    hosts: list[HostBlock] = Field(default_factory=list, description="hosts and paths")
    untranslated: list[Text] = Field(default_factory=list, description="what the existing ingress says and this can't")
    handoff: HandoffBlock | None = Field(None, description="how real traffic moves, and back")


class OptInBlock(Block):
    """services[].optIn."""

    by: Text = Field(min_length=1, description="who opted in")
    at: Time = Field(description="when")


class BaselineBlock(Block):
    """services[].baseline."""

    query: Text = Field(description="PromQL for the success ratio before it is meshed")


class LowTrafficBlock(Block):
    """services[].lowTraffic."""

    path: Annotated[str, _matching(re.compile(r"/[^\s?#]*"), "path such as /healthz")] = Field(
        description="path that a probe GETs"
    )
    port: StrictInt = Field(ge=1, le=65535, description="port of its pods")
    expect: StrictInt = Field(200, ge=100, le=599, description="status that is right")


class ServiceBlock(Block):
    """services[]."""

    name: Name = Field(description="name of the service")
    namespace: Name = Field(description="its namespace")
    workload: Annotated[
        str,
        _matching(
            re.compile(r"(Deployment|StatefulSet|DaemonSet|CronJob|Job)/[a-z0-9]([-a-z0-9.]*[a-z0-9])?"),
            "workload such as Deployment/cart",
        ),
    ] = Field(description="what its pods come from")
    owner: Text = Field("", description="who answers for it; empty = unknown")
    critical: StrictBool = Field(False, description="on the critical path: onboarded last")
    opt_in: OptInBlock | None = Field(None, alias="optIn", description="without it nobody touches the service")
    baseline: BaselineBlock | None = Field(None, description="evidence from before it is meshed")
    client_only: StrictBool = Field(False, alias="clientOnly", description="calls others and serves nobody")
    low_traffic: LowTrafficBlock | None = Field(
        None,
        alias="lowTraffic",
        description="declared: too little traffic to compare two revisions; it is probed, which is no statistical evidence",
    )


class SelectorBlock(Block):
    """waves[].selector."""

    match_labels: dict[str, Text] = Field(default_factory=dict, alias="matchLabels")
    match_expressions: list[dict[str, Any]] = Field(default_factory=list, alias="matchExpressions")


class WaveBlock(Block):
    """waves[]."""

    name: Name = Field(description="name of the wave")
    services: list[Text] = Field(default_factory=list, description="services as namespace/name, in order")
    selector: SelectorBlock | None = Field(
        None, description="or by labels of their workloads; the plan freezes the members"
    )
    require: Literal["all", "opted-in"] = Field(
        "opted-in", description="all = the run waits until every owner opted in"
    )
    qualifies: StrictBool = Field(
        False, description="critical services that go first and qualify the release; `upgrade` writes it"
    )


class PatienceBlock(Block):
    """patience of a gate."""

    limit: Seconds | None = Field(None, gt=0, description="an answer that is not pass by then stops the run")
    every: Seconds | None = Field(None, gt=0, description="time between looks")
    in_a_row: StrictInt | None = Field(
        None, ge=1, le=1000, alias="inARow", description="passes needed one after the other"
    )
    least: StrictInt | None = Field(None, ge=0, description="least evidence: requests, connections")
    window: Seconds | None = Field(None, ge=0, description="length of the window a rate is taken over")


class StageBlock(Block):
    """stages[]."""

    name: Name = Field(description="name of the stage")
    waves: list[Name] = Field(default_factory=list, description="waves that move in it, in order")
    before: list[dict[str, Any]] = Field(default_factory=list, description="gates that must hold before it begins")
    steps: list[dict[str, Any]] = Field(default_factory=list, description="what changes, in order")
    gates: list[dict[str, Any]] = Field(default_factory=list, description="gates that must hold after it")
    on_fail: Literal["undo", "hold"] = Field(
        "undo", alias="onFail", description="what happens to a wave whose gate fails"
    )


class PacingBlock(Block):
    """pacing."""

    in_flight: StrictInt = Field(4, ge=1, le=500, alias="inFlight", description="services that move at once")
    new_connections: float = Field(
        0.0, ge=0, alias="newConnectionsPerSecond", description="callers' new connections; 0 = no limit"
    )
    failed_connections: float = Field(
        0.1,
        gt=0,
        le=1,
        alias="failedConnections",
        description="share of a caller's new connections that may fail while a service restarts, above the usual; 1 = any",
    )
    blind: Literal["go on", "hold"] = Field(
        "go on", description="when callers can't be watched while services restart: go on, or hold the wave"
    )


class BudgetsBlock(Block):
    """budgets."""

    latency: Seconds | None = Field(None, ge=0, description="added per hop at p99")
    memory: Memory | None = Field(None, description="for all sidecars together")
    cpu: Cpu | None = Field(None, description="for all sidecars together")
    restarts: StrictInt | None = Field(None, ge=0, description="pods that may restart in one run")


LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class MetricsBlock(Block):
    """metrics."""

    service: Annotated[
        str, _matching(re.compile(r"([a-z0-9-]+/[a-z0-9-]+:\d+)?"), "Service such as monitoring/prometheus:9090")
    ] = Field("", description="Prometheus, read through the API server")
    ingest_delay: Seconds = Field(15.0, ge=0, alias="ingestDelay", description="how far Prometheus lags behind")
    pod_label: Annotated[str, _matching(LABEL_NAME, "the name of a label")] = Field(
        "pod", alias="podLabel", description="label that a scrape adds for the pod's name"
    )
    namespace_label: Annotated[str, _matching(LABEL_NAME, "the name of a label")] = Field(
        "namespace", alias="namespaceLabel", description="label that a scrape adds for the pod's namespace"
    )


class HoldsBlock(Block):
    """holds."""

    users: StrictInt = Field(
        3, ge=0, description="a release is on hold when more distinct users than this went back from it"
    )
    percent: float = Field(
        10.0, ge=0, le=100, description="or a larger share than this of the services that reached it"
    )
    least: StrictInt = Field(10, ge=1, description="the share is judged from that many services on")
    window: Seconds = Field(30 * 86400.0, ge=0, description="rollbacks begun that long ago count, and any in effect")
    critical: StrictBool = Field(
        True, description="one critical service that is back holds a release that is not supported yet"
    )


class WaiverBlock(Block):
    """waivers[]."""

    gate: Text = Field(description="kind of the gate, or id of the preflight check")
    stage: Name = Field(description="stage it belongs to")
    service: Text = Field("", description="only for this service")
    owner: Text = Field(min_length=1, description="who answers for the skip")
    reason: Text = Field(min_length=1, max_length=256, description="why")
    until: Time = Field(description="when it ends")


class OneWayBlock(Block):
    """oneWay."""

    accept: list[Text] = Field(default_factory=list, description="one-way changes accepted by name")


class RunbookFile(Block):
    """A whole runbook."""

    api_version: Literal["meshup.dev/v1"] = Field(alias="apiVersion")
    kind: Literal["Runbook"]
    metadata: Metadata
    cluster: ClusterBlock = Field(default_factory=lambda: ClusterBlock.model_validate({}), description="which cluster")
    mesh: MeshBlock = Field(description="which mesh, release and revision")
    ingress: IngressBlock | None = Field(None, description="the ingress gateway and its routes")
    services: list[ServiceBlock] = Field(default_factory=list, description="services that may join")
    waves: list[WaveBlock] = Field(default_factory=list, description="services that move together")
    stages: list[StageBlock] = Field(min_length=1, description="what happens, in order")
    pacing: PacingBlock = Field(default_factory=lambda: PacingBlock.model_validate({}), description="how fast")
    budgets: BudgetsBlock = Field(
        default_factory=lambda: BudgetsBlock.model_validate({}), description="what it may cost"
    )
    metrics: MetricsBlock = Field(
        default_factory=lambda: MetricsBlock.model_validate({}), description="where a Prometheus is"
    )
    holds: HoldsBlock = Field(
        default_factory=lambda: HoldsBlock.model_validate({}), description="when a release must not spread any further"
    )
    waivers: list[WaiverBlock] = Field(default_factory=list, description="skips, written down")
    one_way: OneWayBlock = Field(
        default_factory=lambda: OneWayBlock.model_validate({}),
        alias="oneWay",
        description="one-way changes accepted by name",
    )
