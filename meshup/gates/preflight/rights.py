"""The rights a rollout needs beyond reading, from what its runbook will write, and where."""

from __future__ import annotations

from typing import TypeAlias

from meshup.cluster.ports import Reader
from meshup.model.runbook import Runbook

Right: TypeAlias = tuple[str, str, str]
"""verb, group/resource, namespace ("" = cluster scope or everywhere)."""

HOME = "meshup-system"
PLURALS = {
    "Deployment": "apps/deployments",
    "StatefulSet": "apps/statefulsets",
    "DaemonSet": "apps/daemonsets",
    "CronJob": "batch/cronjobs",
}
ALWAYS: tuple[Right, ...] = (
    ("create", "namespaces", ""),
    ("create", "configmaps", HOME),
    ("create", "coordination.k8s.io/leases", HOME),
    ("get", "pods/proxy", ""),
    ("get", "pods/log", ""),
)
PLANE: tuple[Right, ...] = (
    ("create", "admissionregistration.k8s.io/mutatingwebhookconfigurations", ""),
    ("create", "admissionregistration.k8s.io/validatingwebhookconfigurations", ""),
    ("create", "apiextensions.k8s.io/customresourcedefinitions", ""),
    ("create", "rbac.authorization.k8s.io/clusterroles", ""),
    ("create", "rbac.authorization.k8s.io/clusterrolebindings", ""),
)
LEDGER: tuple[Right, ...] = (
    ("create", "apiextensions.k8s.io/customresourcedefinitions", ""),
    ("create", "admissionregistration.k8s.io/validatingadmissionpolicies", ""),
    ("create", "admissionregistration.k8s.io/validatingadmissionpolicybindings", ""),
    ("create", "meshup.dev/meshledgers", ""),
    ("create", "meshup.dev/meshpins", "default"),
)
JOBS: tuple[Right, ...] = (("create", "batch/jobs", HOME), ("create", "serviceaccounts", HOME))


def wanted(book: Runbook) -> tuple[Right, ...]:
    """Name every right that the runbook's steps need, each once, in a stable order."""
    steps = {step.kind for stage in book.stages for step in stage.steps}
    found = list(ALWAYS)
    namespace, named, _ = book.metrics.service.partition("/")
    if named:
        found.append(("get", "services/proxy", namespace))
    if "install-ledger" in steps:
        found += LEDGER
    if "install-control-plane" in steps and book.mesh.managed_by == "meshup":
        found += [*PLANE, *(("create", kind, book.mesh.namespace) for kind in ("apps/deployments", "services"))]
    if "ingress-gateway" in steps and book.ingress is not None:
        found += JOBS
        if book.ingress.api == "gateway":
            routed = sorted({path.namespace for host in book.ingress.hosts for path in host.paths})
            found.append(("create", "gateway.networking.k8s.io/gateways", book.ingress.namespace))
            found += [("create", "gateway.networking.k8s.io/httproutes", each) for each in routed]
    if "enrol" in steps:
        waves = {each for wave in book.waves for each in wave.services}
        chosen = [each for each in book.services if each.opt_in is not None and each.id in waves]
        found += [
            ("patch", PLURALS[each.workload.kind], each.namespace) for each in chosen if each.workload.kind in PLURALS
        ]
    if "strict" in steps:
        found += JOBS
    if "minimise" in steps:
        found += [("delete", each, book.mesh.namespace) for each in ("apps/deployments", "services")]
        found.append(("delete", "admissionregistration.k8s.io/mutatingwebhookconfigurations", ""))
    return tuple(dict.fromkeys(found))


def missing(cluster: Reader, book: Runbook) -> tuple[str, ...]:
    """Ask the server for each right: first for everywhere, and only where that is denied by namespace."""
    rights = wanted(book)
    broad = list(dict.fromkeys((verb, resource) for verb, resource, _ in rights))
    may = dict(
        zip(
            broad,
            cluster.gather([lambda each=each: cluster.can_i(*each) for each in broad]),  # type: ignore[misc]
            strict=True,
        )
    )
    left = [each for each in rights if not may[each[0], each[1]]]
    there = cluster.gather(
        [
            lambda each=each: bool(each[2]) and cluster.can_i(each[0], each[1], namespace=each[2])  # type: ignore[misc]
            for each in left
        ]
    )
    return tuple(
        f"{verb} {resource}" + (f" in {where}" if where else "")
        for (verb, resource, where), is_so in zip(left, there, strict=True)
        if not is_so
    )
