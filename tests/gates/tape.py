"""Tapes: what a real API server answered while a gate observed; played back through the transport seam, the gate sees it again.

A tape is one JSON file: what it was recorded on, the gate, its parameters, what it was about, and per reading the moment
and every request with its answer. Answers are trimmed to what is read; lines and values that are left are verbatim.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from meshup.cluster.clock import RealClock
from meshup.cluster.connect import over
from meshup.gates import BUILT_IN
from meshup.gates.gate import Blind, Eyes, Terms
from meshup.journal.approvals import approvals
from meshup.meshes.istio.driver import IstioSidecar
from meshup.model.objects import Ref
from meshup.model.runbook import (
    Budgets,
    Host,
    Ingress,
    Manifests,
    Mesh,
    Metrics,
    OptIn,
    Pacing,
    Runbook,
    Service,
    Stage,
    StepSpec,
    Wave,
)
from meshup.model.runbook import Path as Route
from meshup.model.transport import Response
from meshup.model.verdict import Patience, Reading

TAPES = Path(__file__).parent.parent / "cases" / "recorded" / "tapes"
GATES = {each.kind: each for each in BUILT_IN}
DRIVER = IstioSidecar()
RELEASE, REVISION = "1.30.0-relabel", "1-30"
STARTED = datetime.fromisoformat("2026-11-01T09:00:00+00:00")


def service(name, kind="Deployment", version="apps/v1", *, namespace="shop", client_only=False):
    """Give a service of the recorded cluster whose owner opted in."""
    return Service(
        name=name,
        namespace=namespace,
        workload=Ref(api_version=version, kind=kind, namespace=namespace, name=name),
        owner=f"team-{name}",
        opt_in=OptIn(by="ana", at=STARTED),
        client_only=client_only,
    )


SERVICES = (
    service("echo"),
    service("client", client_only=True),
    service("reports", "CronJob", "batch/v1", namespace="data", client_only=True),
)
STEPS = ("install-control-plane", "ingress-gateway", "enrol", "permissive", "strict", "minimise")
BOOK = Runbook(
    name="shop",
    path="shop.yaml",
    digest="sha256:1",
    cluster_uid="",
    mesh=Mesh(
        driver="istio",
        release=RELEASE,
        revision=REVISION,
        namespace="istio-system",
        manifests=Manifests(source="istioctl"),
        values={"global": {"proxy": {"resources": {"requests": {"cpu": "10m", "memory": "40Mi"}}}}},
    ),
    ingress=Ingress(
        api="gateway",
        name="edge",
        namespace="edge",
        hosts=(
            Host(host="echo.example", paths=(Route(path="/", service="echo", namespace="shop", port=80, expect=200),)),
        ),
    ),
    services=SERVICES,
    waves=(Wave(name="wave-1", services=tuple(each.id for each in SERVICES)),),
    stages=tuple(
        Stage(
            name=each, steps=(StepSpec(kind=each, params={}),), gates=(), waves=("wave-1",) if each == "enrol" else ()
        )
        for each in STEPS
    ),
    pacing=Pacing(),
    budgets=Budgets(),
    metrics=Metrics(),
)


@dataclass
class Moment:
    """A clock that stands still."""

    at: datetime

    def now(self):
        return self.at

    def elapsed(self):
        return 0.0

    def sleep(self, seconds):
        raise AssertionError("nobody waits while observing")


def key(request):
    """Tell requests apart by all that decides their answer."""
    body = json.loads(request.body) if request.body else None
    return json.dumps([request.method, request.path, [list(each) for each in request.query], body], sort_keys=True)


class Playing:
    """A transport that answers what is on the tape, and nothing else."""

    def __init__(self, exchanges):
        self._answers = {json.dumps(each["asked"], sort_keys=True): each for each in exchanges}

    def send(self, request):
        found = self._answers.get(key(request))
        assert found is not None, f"not on this tape: {key(request)}"
        answer = found["answer"]
        body = answer if isinstance(answer, str) else json.dumps(answer)
        kind = "text/plain" if isinstance(answer, str) else "application/json"
        return Response(status=found["status"], headers={"content-type": kind}, body=body.encode())


class Taping:
    """A transport that keeps what it carries."""

    def __init__(self, inner):
        self._inner, self.exchanges = inner, {}

    def send(self, request):
        answer = self._inner.send(request)
        asked = json.loads(key(request))
        self.exchanges[key(request)] = {
            "asked": asked,
            "status": answer.status,
            "answer": trimmed(asked[1], answer.body),
        }
        return answer

    def take(self):
        """Give what was kept since the last time, in a stable order."""
        found, self.exchanges = self.exchanges, {}
        return [found[each] for each in sorted(found)]


def eyes_of(tape, transport, at):
    """Give what the gate of a tape looks through."""
    by_id = {each.id: each for each in SERVICES}
    cluster = over(transport, RealClock(), in_flight=1)
    eyes = Eyes(
        cluster=cluster,
        driver=DRIVER,
        clock=Moment(at),
        book=replace(
            BOOK,
            mesh=replace(BOOK.mesh, revision=tape["revision"]),
            metrics=Metrics(service=tape["metrics"], ingest_delay_s=5.0),
        ),
        services=tuple(by_id[each] for each in tape["services"]),
        place=tape["place"],
        revision=tape["revision"],
        plan_digest=tape.get("plan", ""),
    )
    return replace(eyes, approvals=approvals(cluster, eyes.plan_digest)) if eyes.plan_digest else eyes


def look(tape, transport, at, after):
    """Let the gate of a tape observe once, and give the reading, blind ones too."""
    gate, terms = GATES[tape["gate"]], terms_of(tape)
    try:
        data = gate.observe(eyes_of(tape, transport, at), terms)
    except Blind as blind:
        return Reading(at=at, elapsed_s=after, data={}, blind=str(blind))
    return Reading(at=at, elapsed_s=after, data=data)


def terms_of(tape):
    gate = GATES[tape["gate"]]
    usual = {name: default for name, (_, default, _) in gate.params.items() if default is not ...}
    patience = {**{key: getattr(gate.patience, key) for key in Patience.__slots__}, **tape.get("patience", {})}
    return Terms(params={**usual, **tape.get("params", {})}, patience=Patience(**patience))


def readings(tape):
    """Play a tape: give what the gate sees again."""
    return [
        look(tape, Playing(each["exchanges"]), datetime.fromisoformat(each["at"]), each["after"])
        for each in tape["readings"]
    ]


def written(tape):
    """Give a tape's text, one exchange a line."""
    head = {key: value for key, value in tape.items() if key != "readings"}
    parts = [
        json.dumps({"at": each["at"], "after": each["after"]})[:-1]
        + ', "exchanges": [\n'
        + ",\n".join(json.dumps(one, sort_keys=True, ensure_ascii=False) for one in each["exchanges"])
        + "\n]}"
        for each in tape["readings"]
    ]
    return json.dumps(head, ensure_ascii=False)[:-1] + ', "readings": [\n' + ",\n".join(parts) + "\n]}\n"


def load(name):
    return json.loads((TAPES / f"{name}.json").read_text("utf-8"))


# What is left out of answers: it is long, it is of the machine, or no gate reads it.

LEFT_OUT = frozenset(
    {
        "env", "volumes", "volumeMounts", "tolerations", "lifecycle", "terminationMessagePath", "terminationMessagePolicy",
        "startupProbe", "livenessProbe", "resourceVersion", "generateName", "schedulerName", "dnsPolicy", "volumeDevices",
        "images", "addresses", "additionalPrinterColumns", "selfLink", "storedVersions", "acceptedNames",
        "affinity", "topologySpreadConstraints", "daemonEndpoints", "volumesInUse", "volumesAttached", "runtimeHandlers",
        "lastHeartbeatTime", "lastTransitionTime", "lastUpdateTime", "lastProbeTime", "clusterIPs", "ipFamilies",
    }
)  # fmt: skip
OF_A_POD = {
    "metadata": (
        "name",
        "namespace",
        "uid",
        "labels",
        "annotations",
        "ownerReferences",
        "creationTimestamp",
        "deletionTimestamp",
    ),
    "spec": ("containers", "initContainers", "hostNetwork"),
    "status": ("phase", "podIP", "conditions", "containerStatuses", "initContainerStatuses"),
}
OF_A_CONTAINER = ("name", "image", "restartPolicy", "ready", "restartCount", "state")
GROUPS = ("apps", "batch", "policy", "autoscaling", "coordination.k8s.io", "admissionregistration.k8s.io")
GROUPS += ("apiextensions.k8s.io", "gateway.networking.k8s.io", "security.istio.io", "networking.istio.io")
NOTES = ("kubectl.kubernetes.io/", "prometheus.io/", "sidecar.istio.io/status", "controller-gen", "api-approved")
KEPT_LINES = re.compile(
    r"^envoy_(?:[A-Za-z0-9_]*update_rejected|control_plane_[a-z_]+|http_downstream_cx_(?:total|ssl_total|active|ssl_active)"
    r"|listener_(?:no_filter_chain_match|ssl_handshake|downstream_cx_total|ssl_connection_error)"
    r"|cluster_upstream_(?:rq_active|rq_total|rq_completed|rq_xx|rq|cx_total|cx_active|cx_connect_fail|rq_time_sum|rq_time_bucket))[{ ]"
)
ELSEWHERE = re.compile(r"\.(?:kube-system|monitoring|default|istio-system|meshup-system)\.svc\.")


def trimmed(path, body):
    """Trim one answer: objects by LEFT_OUT, a page of counters by KEPT_LINES, other text not at all."""
    text = body.decode("utf-8", "replace")
    if path.endswith("/stats/prometheus"):
        lines = [each for each in text.splitlines() if KEPT_LINES.match(each) and not ELSEWHERE.search(each)]
        return "\n".join(_few_buckets(lines)) + "\n"
    if path.endswith("/log"):
        lines = text.splitlines(keepends=True)
        return "".join([each for each in lines if each.startswith(("[", "{"))][-24:])
    try:
        found = json.loads(text)
    except ValueError:
        return text
    if path == "/apis":
        return {
            "kind": found.get("kind"),
            "apiVersion": found.get("apiVersion"),
            "items": [_group(each) for each in found["items"]],
        }
    return _object(found, owners="customresourcedefinitions" in path)


def _few_buckets(lines):
    """Leave out the buckets of clusters nobody called."""
    called = {
        re.search(r'cluster_name="([^"]*)"', each)[1]
        for each in lines
        if re.match(r"envoy_cluster_upstream_rq_total\{.*\} [1-9]", each)
    }
    for each in lines:
        name = re.search(r'cluster_name="([^"]*)"', each)
        if "_bucket{" not in each or (name and name[1] in called):
            yield each


def _group(group):
    return {
        "metadata": {"name": group["metadata"].get("name", "")},
        "versions": [
            {
                "version": version["version"],
                "resources": [
                    {key: each[key] for key in ("resource", "responseKind", "scope", "verbs") if key in each}
                    for each in version.get("resources", ())
                    if "verbs" in each
                ],
            }
            for version in group["versions"]
        ],
    }


def _object(found, *, owners=False):
    if isinstance(found, list):
        return [_object(each, owners=owners) for each in found]
    if not isinstance(found, dict):
        return found
    if "containers" in _part(found, "spec") and "phase" in _part(found, "status"):
        return _pod(found)
    if "names" in _part(found, "spec"):
        found = {**found, "status": {}}
    made = {}
    for name, value in found.items():
        if name in LEFT_OUT or (name == "schema" and "served" in found) or (name == "managedFields" and not owners):
            continue
        if name == "annotations" and isinstance(value, dict):
            value = {each: text for each, text in value.items() if not each.startswith(NOTES)}  # noqa: PLW2901
        elif name == "managedFields":
            value = [_entry(each) for each in value]  # noqa: PLW2901
        elif name == "nodeInfo":
            value = {"kubeletVersion": value["kubeletVersion"]}  # noqa: PLW2901
        elif name == "caBundle":
            value = "YnVuZGxl"  # noqa: PLW2901
        made[name] = _object(value, owners=owners)
    return made


def _part(found, name):
    part = found.get(name)
    return part if isinstance(part, dict) else {}


def _pod(pod):
    made = {part: {each: pod[part][each] for each in kept if each in pod[part]} for part, kept in OF_A_POD.items()}
    notes = made["metadata"].get("annotations", {})
    made["metadata"]["annotations"] = {key: text for key, text in notes.items() if not key.startswith(NOTES)}
    made["status"]["conditions"] = [
        {each: one[each] for each in ("type", "status")} for one in pod["status"].get("conditions", ())
    ]
    for part, name in (
        ("spec", "containers"),
        ("spec", "initContainers"),
        ("status", "containerStatuses"),
        ("status", "initContainerStatuses"),
    ):
        if name in made[part]:
            made[part][name] = [{each: one[each] for each in OF_A_CONTAINER if each in one} for one in made[part][name]]
    return {**{each: pod[each] for each in ("apiVersion", "kind") if each in pod}, **made}


def _entry(entry):
    kept = {each: entry[each] for each in ("manager", "operation", "subresource") if each in entry}
    return {**kept, "fieldsV1": {each: {} for each in entry.get("fieldsV1", {})}}
