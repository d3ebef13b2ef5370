"""Cases of steps: a small runbook and what was seen, as data, to the lines that a draft comes to."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import yaml

from meshup.meshes.istio.driver import IstioSidecar
from meshup.model.change import Apply, Create, Delete, Evict, Handoff, Label, Restart
from meshup.model.objects import Ref, dig, ref_of
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
    TrafficHandoff,
    Wave,
)
from meshup.model.runbook import Path as Route
from meshup.model.snapshot import ApiKind, Identity, Snapshot
from meshup.runbook.templates import of_the_ledger
from meshup.steps import BUILT_IN
from meshup.steps.step import Scope

CASES = Path(__file__).parent.parent / "cases" / "steps"
KINDS = {
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "DaemonSet": "apps/v1",
    "CronJob": "batch/v1",
    "Namespace": "v1",
    "Pod": "v1",
    "Job": "batch/v1",
    "ServiceAccount": "v1",
    "Service": "v1",
    "ClusterRole": "rbac.authorization.k8s.io/v1",
    "CustomResourceDefinition": "apiextensions.k8s.io/v1",
    "MutatingWebhookConfiguration": "admissionregistration.k8s.io/v1",
    "ValidatingWebhookConfiguration": "admissionregistration.k8s.io/v1",
    "PeerAuthentication": "security.istio.io/v1",
    "DestinationRule": "networking.istio.io/v1",
    "EnvoyFilter": "networking.istio.io/v1alpha3",
    "MeshPin": "meshup.dev/v1",
    "MeshLedger": "meshup.dev/v1",
    "ValidatingAdmissionPolicy": "admissionregistration.k8s.io/v1",
    "ValidatingAdmissionPolicyBinding": "admissionregistration.k8s.io/v1",
    "MutatingAdmissionPolicy": "admissionregistration.k8s.io/v1beta1",
    "MutatingAdmissionPolicyBinding": "admissionregistration.k8s.io/v1beta1",
    "MeshRelease": "meshup.dev/v1",
    "Gateway": "gateway.networking.k8s.io/v1",
    "HTTPRoute": "gateway.networking.k8s.io/v1",
    "TLSRoute": "gateway.networking.k8s.io/v1alpha2",
    "TCPRoute": "gateway.networking.k8s.io/v1alpha2",
    "Ingress": "networking.k8s.io/v1",
    "Node": "v1",
    "ResourceQuota": "v1",
    "LimitRange": "v1",
    "PodDisruptionBudget": "policy/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "Lease": "coordination.k8s.io/v1",
    "Rollout": "argoproj.io/v1alpha1",
    "Canary": "flagger.app/v1beta1",
}


def paths():
    return sorted(CASES.glob("*/*.yaml"))


def load(path):
    return yaml.safe_load(path.read_text("utf-8"))


def seen(objects, served=()) -> Snapshot:
    """Give a snapshot. An object is written as `Kind namespace/name: rest`, or whole. served: kinds beside the usual.

    "the ledger" stands for everything of it as it ships; what follows takes its place.
    """
    found = {}
    several = [one for each in objects or () for one in (_ledger() if each == "the ledger" else [each])]
    for number, given in enumerate(several):
        each = given if "kind" in given else _whole(*next(iter(given.items())))
        found[ref_of(each)] = {**each, "metadata": {"uid": f"uid-{number}", **each["metadata"]}}
    return Snapshot(
        cluster_uid="cluster-1",
        server_version="v1.34.4",
        identity=Identity(user="ana"),
        taken_at=datetime(2026, 11, 2, 9, tzinfo=UTC),
        objects=found,
        pins=tuple(each for ref, each in found.items() if ref.kind == "MeshPin"),
        kinds={
            (KINDS[kind], kind): ApiKind(
                api_version=KINDS[kind], kind=kind, plural=f"{kind.lower()}s", namespaced=False
            )
            for kind in served
        },
    )


def _ledger():
    """Give the ledger's objects as a server keeps them, without what only stamps: not every server takes that."""
    return [each for each in of_the_ledger() if not each["kind"].startswith("Mutating")]


def _whole(title, rest):
    kind, _, name = title.partition(" ")
    namespace, _, name = name.rpartition("/")
    meta = {**((rest or {}).get("metadata") or {}), "name": name}
    if namespace:
        meta["namespace"] = namespace
    return {**(rest or {}), "apiVersion": KINDS[kind], "kind": kind, "metadata": meta}


def service(text, *, opted=True, critical=False, client_only=False) -> Service:
    """Read "shop/web Deployment/web"."""
    name, _, workload = text.partition(" ")
    namespace, _, name = name.partition("/")
    kind, _, of = (workload or f"Deployment/{name}").partition("/")
    ref = Ref(api_version=KINDS[kind], kind=kind, namespace=namespace, name=of)
    opt_in = OptIn(by="ana", at=datetime(2026, 11, 1, tzinfo=UTC)) if opted else None
    return Service(
        name=name,
        namespace=namespace,
        workload=ref,
        owner=f"team-{name}",
        critical=critical,
        opt_in=opt_in,
        client_only=client_only,
    )


def book(case) -> Runbook:
    """Give the runbook of a case: one wave with its services, all stages before the one at hand."""
    mesh = {"release": "1.30.3", "revision": "1-30-3", **(case.get("mesh") or {})}
    services = tuple(
        service(each) if isinstance(each, str) else service(each.pop("is"), **each)
        for each in case.get("services") or ()
    )
    return Runbook(
        name="shop",
        path="shop.yaml",
        digest="sha256:1",
        cluster_uid="cluster-1",
        mesh=Mesh(
            driver="istio",
            release=mesh["release"],
            revision=mesh["revision"],
            namespace="istio-system",
            manifests=Manifests(source="stand-in"),
            managed_by=mesh.get("managedBy", "meshup"),
            keep_revisions=tuple(mesh.get("keep", ())),
        ),
        ingress=_ingress(case.get("ingress")),
        services=services,
        waves=(Wave(name="wave-1", services=tuple(each.id for each in services)),),
        stages=(
            *(_stage(each) for each in case.get("earlier", ("install-control-plane", "enrol", "permissive"))),
            _stage(*case["step"]),
        ),
        pacing=Pacing(),
        budgets=Budgets(),
        metrics=Metrics(service="monitoring/prometheus:9090" if case.get("metrics", True) else ""),
    )


def _stage(kind) -> Stage:
    """Give a stage of one step: a kind, or {kind: params} for one that stands before another of its kind."""
    params = {}
    name = f"{kind}-stage"
    if not isinstance(kind, str):
        ((kind, params),) = kind.items()
        name = f"{kind}-before"
    return Stage(
        name=name,
        steps=(StepSpec(kind=kind, params=params),),
        gates=(),
        waves=("wave-1",) if kind == "enrol" else (),
    )


def _ingress(given):
    if given is None:
        return None
    hosts = tuple(
        Host(host=host, paths=tuple(Route(**each) for each in paths))
        for host, paths in (given.get("hosts") or {}).items()
    )
    handoff = None
    if given.get("handoff"):
        on = Ref(api_version="networking.k8s.io/v1", kind="Ingress", namespace="edge", name="shop")
        about = dict(given["handoff"])
        handoff = TrafficHandoff(on=None if about.pop("alone", False) else on, **about)
    return Ingress(
        api=given.get("api", "gateway"),
        name="edge",
        namespace="istio-ingress",
        hosts=hosts,
        untranslated=tuple(given.get("untranslated", ())),
        handoff=handoff,
    )


def draft(case):
    """Give what the step of a case drafts."""
    ((kind, params),) = case["step"].items()
    step = next(each for each in BUILT_IN if each.kind == kind)
    usual = {name: value for name, (_, value, _) in step.params.items()}
    whole = book(case)
    scope = Scope(
        book=whole,
        stage=whole.stages[-1],
        wave="",
        services=tuple(each for each in whole.services if each.opt_in is not None),
        snapshot=seen(case.get("seen"), case.get("served", ())),
        driver=IstioSidecar(),
        params={**usual, **(params or {})},
    )
    return step.draft(scope)


def told(draft) -> str:
    """Say one draft in one line."""
    place = "" if draft.place == "main" and not draft.phase else f"[{draft.phase or '-'} {draft.place}] "
    change = draft.change
    match change:
        case Create():
            text = f"create {change.on}"
        case Apply():
            mode = dig(change.body, "spec", "mtls", "mode")
            verb = "replace" if change.whole else "apply"
            text = f"{verb} {change.on}{' (new)' if not change.uid else ''}{f' mode={mode}' if mode else ''}"
            pods = [dig(each, "spec", "replicas") for each in (change.before or {}, change.body)]
            text += (
                f" replicas {pods[0]} -> {pods[1]}" if draft.step == "ingress-gateway" and pods[1] is not None else ""
            )
        case Label():
            pairs = " ".join(f"{key}={value} (was {change.before.get(key)})" for key, value in change.set.items())
            text = f"label {change.on} {pairs}"
            text += "".join(f" {field}={value}" for field, value in change.holds.items())
            again = change.annotations.get("meshup.dev/restart")
            text += f"made anew for {again}" if again else ""
        case Delete():
            text = f"delete {change.on}"
        case Handoff():
            text = f"handoff {change.on} to {change.to}: {change.what}"
        case Restart() | Evict():
            text = f"{type(change).__name__.lower()} {change.on}"
    settled = "then " if draft.settled else ""
    return f"{place}{settled}{text}"
