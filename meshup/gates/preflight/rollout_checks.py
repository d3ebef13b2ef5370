"""Checks of how workloads move: what a rolling update takes away, and whether somebody notices."""

from __future__ import annotations

from collections.abc import Iterator

from meshup.gates.preflight.facts import Facts, Found
from meshup.gates.preflight.quota import rolling, share
from meshup.model.objects import Object, dig, matches, template


def budgets(facts: Facts) -> Iterator[Found]:
    """Find strategies that take more pods away than a disruption budget allows: budgets do not bind rolling updates."""
    for service, workload in facts.services():
        away = taken(facts, workload)
        for each in facts.snapshot.of("PodDisruptionBudget", service.namespace):
            if not away or not matches(dig(each, "spec", "selector"), facts.pod_labels(workload)):
                continue
            allowed = _allowed(each, _covered(facts, each))
            if away > allowed:
                what = f"PodDisruptionBudget {service.namespace}/{dig(each, 'metadata', 'name')}"
                yield Found(
                    object=what,
                    because=f"it lets {allowed} pods be away, the rolling update of {service.workload} takes {away}",
                    service=service.id,
                )


def taken(facts: Facts, workload: Object) -> int:
    """Give how many pods a change of the template takes away at once; a share is rounded down, one where all would be 0."""
    pods, kind = facts.pods(workload), workload.get("kind")
    if kind not in ("Deployment", "StatefulSet", "DaemonSet") or not pods:
        return 0
    if dig(workload, "spec", "strategy", "type") == "Recreate":
        return pods
    block = "strategy" if kind == "Deployment" else "updateStrategy"
    raw = dig(workload, "spec", block, "rollingUpdate", "maxUnavailable")
    if kind == "StatefulSet":
        return 1 if raw is None else max(1, share(raw, pods, up=True))
    usual = "25%" if kind == "Deployment" else 1
    away = share(usual if raw is None else raw, pods, up=kind == "DaemonSet")
    return 1 if not away and not rolling(facts, workload) else away


def _covered(facts: Facts, budget: Object) -> int:
    """Give how many pods a budget is about: those of every workload that it selects."""
    namespace, selector = str(dig(budget, "metadata", "namespace")), dig(budget, "spec", "selector")
    return sum(
        facts.pods(each)
        for kind in ("Deployment", "StatefulSet", "DaemonSet")
        for each in facts.snapshot.of(kind, namespace)
        if matches(selector, facts.pod_labels(each))
    )


def _allowed(budget: Object, pods: int) -> int:
    """Give how many pods may be away; shares are rounded up, as the disruption controller does."""
    most, least = dig(budget, "spec", "maxUnavailable"), dig(budget, "spec", "minAvailable")
    if most is not None:
        return share(most, pods, up=True)
    return pods if least is None else max(0, pods - share(least, pods, up=True))


def restart_is_outage(facts: Facts) -> Iterator[Found]:
    """Find workloads whose restart is an outage; who serves nobody has none."""
    for service, workload in facts.services():
        pods, kind = facts.pods(workload), workload.get("kind")
        if (
            service.client_only
            or kind not in ("Deployment", "StatefulSet")
            or not pods
            or taken(facts, workload) < pods
        ):
            continue
        recreate = dig(workload, "spec", "strategy", "type") == "Recreate"
        how = "strategy Recreate" if recreate else f"{pods} replica{'s' if pods > 1 else ''}, all away at once"
        yield Found(object=str(service.workload), because=f"{how}: its restart is an outage", service=service.id)


def probes(facts: Facts) -> Iterator[Found]:
    """Find workloads without a readiness probe; who serves nobody needs none."""
    for service, workload in facts.services():
        if workload.get("kind") == "CronJob" or service.client_only:
            continue
        several = dig(template(workload), "spec", "containers") or ()
        if several and not any(each.get("readinessProbe") for each in several):
            yield Found(
                object=str(service.workload),
                because="no readiness probe: traffic comes before it listens",
                service=service.id,
            )
