"""Checks of the workloads that will be enrolled: precise before many, as a false alarm costs trust."""

from __future__ import annotations

from collections.abc import Iterator

from meshup.gates.preflight.facts import Facts, Found
from meshup.model.objects import Object, dig, labels, template

ENFORCE = "pod-security.kubernetes.io/enforce"
WATCHERS = {"Rollout": ("workloadRef",), "Canary": ("targetRef",)}
"""Controllers that name the workload they steer, in a field of their spec, without owning it."""


def pod_security(facts: Facts) -> Iterator[Found]:
    """Find namespaces whose Pod Security level refuses the sidecar."""
    for service, workload in facts.services():
        namespace = facts.namespace(service.namespace)
        if namespace is None:
            why = f"Namespace {service.namespace} was not seen, so its Pod Security level is not known"
            yield Found(object=str(service.workload), because=why, service=service.id, is_open=True)
            continue
        level = labels(namespace).get(ENFORCE, "privileged")
        if level not in ("baseline", "restricted"):
            continue
        refused = facts.driver.refused_by_level(workload, facts.book.mesh, level=level)
        if refused:
            why = f"namespace {service.namespace} enforces {level}, and {refused}"
            yield Found(object=str(service.workload), because=why, service=service.id)


def controllers(facts: Facts) -> Iterator[Found]:
    """Find workloads that another controller owns, or steers by name."""
    for service, workload in facts.services():
        owner = next(
            (each for each in dig(workload, "metadata", "ownerReferences") or () if each.get("controller")), None
        )
        name = f"{owner.get('kind')} {owner.get('name')}" if owner is not None else _steered(facts, workload)
        if name:
            verb = "owned" if owner is not None else "steered"
            yield Found(object=str(service.workload), because=f"{verb} by {name}: change it there", service=service.id)


def _steered(facts: Facts, workload: Object) -> str:
    for kind, path in WATCHERS.items():
        for each in facts.snapshot.of(kind, str(dig(workload, "metadata", "namespace"))):
            target = dig(each, "spec", *path) or {}
            if (target.get("kind"), target.get("name")) == (workload.get("kind"), dig(workload, "metadata", "name")):
                return f"{kind} {dig(each, 'metadata', 'name')}"
    return ""


def absent(facts: Facts) -> Iterator[Found]:
    """Find workloads that are not there."""
    for service in facts.chosen():
        if facts.snapshot.get(service.workload) is None:
            yield Found(object=str(service.workload), because="it is not in the cluster", service=service.id)


def reserved(facts: Facts) -> Iterator[Found]:
    """Find workloads that use the proxy's user or ports."""
    uid, taken = facts.driver.proxy_uid, frozenset(facts.driver.taken_ports)
    for service, workload in facts.services():
        spec = dig(template(workload), "spec") or {}
        every = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
        users = [
            dig(spec, "securityContext", "runAsUser"),
            *(dig(each, "securityContext", "runAsUser") for each in every),
        ]
        if uid in users:
            yield Found(
                object=str(service.workload),
                because=f"it runs as user {uid}, the proxy's own: its traffic would bypass the proxy",
                service=service.id,
            )
        ports = [port.get("containerPort") for each in every for port in each.get("ports") or ()]
        ports += [
            port.get("targetPort")
            for each in facts.kube_services(workload)
            for port in dig(each, "spec", "ports") or ()
        ]
        for port in sorted(taken & {each for each in ports if isinstance(each, int)}):
            yield Found(object=str(service.workload), because=f"port {port} is taken by the proxy", service=service.id)


def jobs(facts: Facts) -> Iterator[Found]:
    """Refuse sidecars that keep a Job from ending."""
    for service, workload in facts.services():
        if workload.get("kind") != "CronJob":
            continue
        why = facts.driver.keeps_jobs(workload, facts.snapshot, facts.book.mesh)
        if why is None:
            why = "no node says its kubelet's version, so whether the Job ends is not known"
            yield Found(object=str(service.workload), because=why, service=service.id, is_open=True)
        elif why:
            yield Found(object=str(service.workload), because=why, service=service.id)
