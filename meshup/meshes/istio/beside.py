"""A second Deployment of a gateway behind the Service of the first: both serve at one address, each of its own revision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from meshup.meshes.istio import gateway
from meshup.meshes.istio.words import FACTS, GATEWAY_API, INJECT, INJECTION, PROXY, REV, minor
from meshup.meshes.leading import Beside
from meshup.model.fields import managers_of
from meshup.model.objects import Object, Ref, dig, labels, template
from meshup.model.runbook import Ingress, Mesh
from meshup.model.snapshot import Snapshot

WHOSE = "meshup.dev/gateway-revision"
"""On the second one's pods alone, so that its selector is not the first one's."""
SCHEDULED = (
    "affinity",
    "imagePullSecrets",
    "nodeSelector",
    "priorityClassName",
    "terminationGracePeriodSeconds",
    "tolerations",
    "topologySpreadConstraints",
)
"""What the second one's pods take over from the first one's, so that they run where those may."""
BY_HAND = ("kubectl", "meshup")
"""Managers that `spec.replicas` is taken from: a person's command, which is not repeated, and our own."""


def of(ingress: Ingress, mesh: Mesh, snapshot: Snapshot) -> Beside | None:
    """Give the second Deployment of a gateway for the mesh's revision; None when there is no gateway yet."""
    on = gateway.workload_of(ingress)
    own, service = snapshot.get(on), snapshot.get(gateway.service_of(ingress))
    selector = dig(service, "spec", "selector")
    if own is None or not selector:
        return None
    is_ours = ingress.api == "istio"
    revision = labels(template(own)).get(REV, "") if is_ours else _revision_of_gateway(ingress, snapshot)
    replicas = dig(own, "spec", "replicas")
    holders = [each for each in managers_of(own, "/spec/replicas") if not each.startswith("meshup")]
    name = f"{on.name}-{mesh.revision}"[:63].rstrip("-")
    whose = {**selector, WHOSE: mesh.revision}
    return Beside(
        own=on,
        pods=1 if replicas is None else int(replicas),
        revision=revision,
        body=_second(name, whose, own, mesh),
        door=_door(name, whose, service or {}),
        before=_own(ingress, replace(mesh, revision=revision)) if is_ours else None,
        after=_own(ingress, mesh) if is_ours else None,
        given={} if is_ours else {"/spec/template/metadata/annotations/istio.io~1rev": mesh.revision},
        force=("/spec/replicas",) if holders else (),
        blocked=_blocked(ingress, mesh, snapshot, on, holders),
    )


def _revision_of_gateway(ingress: Ingress, snapshot: Snapshot) -> str:
    on = Ref(api_version=f"{GATEWAY_API}/v1", kind="Gateway", namespace=ingress.namespace, name=ingress.name)
    found = snapshot.get(on)
    return labels(found).get(REV, "") if found is not None else ""


def _own(ingress: Ingress, mesh: Mesh) -> Object:
    return next(each for each in gateway.objects(ingress, mesh) if each["kind"] == "Deployment")


def _blocked(ingress: Ingress, mesh: Mesh, snapshot: Snapshot, on: Ref, holders: list[str]) -> str:
    """Say why no second one can take traffic weight by weight, "" = it can."""
    facts = FACTS.get(minor(mesh.release))
    if ingress.api == "gateway" and not (facts is not None and facts.foreign_gateways):
        return (
            f"a control plane of {mesh.release} gives pods nothing of a Gateway that another revision has "
            "(istio/istio#59959, mended in 1.31): a second Deployment would serve nobody, and old pods may lose their routes "
            "before new ones are ready"
        )
    namespace = snapshot.get(Ref(api_version="v1", kind="Namespace", name=on.namespace))
    decided = labels(namespace) if namespace is not None else {}
    for key in (INJECTION, REV):
        if key in decided:
            return (
                f"namespace {on.namespace} carries {key}={decided[key]}, which beats the label of a second one's pods"
            )
    for each in snapshot.of("HorizontalPodAutoscaler", on.namespace):
        target = dig(each, "spec", "scaleTargetRef") or {}
        if (target.get("kind"), target.get("name")) == (on.kind, on.name):
            return (
                f"HorizontalPodAutoscaler {on.namespace}/{dig(each, 'metadata', 'name')} has the replicas of {on.name}"
            )
    other = next((each for each in holders if not each.startswith(BY_HAND)), "")
    return f'"{other}" has the replicas of {on}' if other else ""


def _second(name: str, whose: Mapping[str, str], own: Object, mesh: Mesh) -> Object:
    """Give the Deployment: injected as a gateway by the mesh's revision, whatever made the pods of the first one."""
    spec = dig(template(own), "spec") or {}
    proxy: dict[str, Any] = next((each for each in spec.get("containers") or () if each.get("name") == PROXY), {})
    # Where nothing is said an API server has "auto", which has no tag, pulled always: from a registry that may not be there.
    asked = {key: proxy[key] for key in ("imagePullPolicy", "resources") if proxy.get(key)}
    notes = {"inject.istio.io/templates": "gateway", **gateway.COUNTED}
    pod_labels = {**whose, **_app(own), REV: mesh.revision, INJECT: "true"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": dig(own, "metadata", "namespace"), "labels": {WHOSE: mesh.revision}},
        "spec": {
            "selector": {"matchLabels": dict(whose)},
            "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {
                "metadata": {"labels": pod_labels, "annotations": notes},
                "spec": {
                    "serviceAccountName": spec.get("serviceAccountName") or "default",
                    **{key: spec[key] for key in SCHEDULED if key in spec},
                    "containers": [{"name": PROXY, "image": "auto", **asked}],
                },
            },
        },
    }


def _app(own: Object) -> dict[str, str]:
    found = labels(template(own))
    return {"app": found["app"]} if "app" in found else {}


def _door(name: str, whose: Mapping[str, str], service: Object) -> Object:
    """Give a Service of the second one's pods alone, at which they are probed: behind the first, chance would decide."""
    ports = [
        {key: each[key] for key in ("name", "port", "targetPort", "protocol", "appProtocol") if key in each}
        for each in dig(service, "spec", "ports") or ()
    ]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": dig(service, "metadata", "namespace"),
            "labels": {WHOSE: whose[WHOSE]},
        },
        "spec": {"selector": dict(whose), "ports": ports},
    }
