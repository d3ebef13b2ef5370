"""Checks of the workloads that will be enrolled: precise before many, as a false alarm costs trust."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from meshup.gates.preflight.facts import Facts, Found
from meshup.model.objects import Object, dig, labels, matches, template

SERVER_FIRST = frozenset({25, 587, 3306, 4444, 5432, 6379, 9300, 11211, 27017})
PROTOCOLS = frozenset({"http", "http2", "https", "grpc", "grpc-web", "tcp", "tls", "mongo", "mysql", "redis", "udp"})
UNITS = {
    "m": Decimal("0.001"),
    "k": Decimal(1000),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
}


def quantity(raw: Any) -> Decimal:
    """Read a quantity. Raises ValueError."""
    text = str(raw)
    unit = next((each for each in ("Ki", "Mi", "Gi", "Ti", "m", "k", "M", "G") if text.endswith(each)), "")
    try:
        return Decimal(text[: len(text) - len(unit)]) * UNITS.get(unit, Decimal(1))
    except InvalidOperation as error:
        raise ValueError(f"{text!r} is no quantity") from error


def quota(facts: Facts) -> Iterator[Found]:
    """Compare what is left with a proxy for every pod the autoscaler may make, and the surge of a rollout."""
    cpu_m, memory_mib = facts.driver.sidecar_requests(facts.snapshot, facts.book.mesh)
    asked = {"cpu": Decimal(cpu_m) / 1000, "memory": Decimal(memory_mib) * 2**20}
    need: dict[str, dict[str, Decimal]] = {}
    for service, workload in facts.services():
        pods = _most_pods(facts, service.workload.name, workload) + _surge(workload)
        rows = need.setdefault(service.namespace, {"cpu": Decimal(0), "memory": Decimal(0), "pods": Decimal(0)})
        for name, amount in asked.items():
            rows[name] += amount * pods
        rows["pods"] += pods - int(dig(workload, "spec", "replicas") or 1)
    for namespace, rows in need.items():
        for quota in facts.snapshot.of("ResourceQuota", namespace):
            hard, used = (
                dig(quota, "status", "hard") or dig(quota, "spec", "hard") or {},
                dig(quota, "status", "used") or {},
            )
            for key, limit in hard.items():
                name = key.removeprefix("requests.")
                if name not in rows or key.startswith("limits."):
                    continue
                left = quantity(limit) - quantity(used.get(key, "0"))
                if rows[name] > left:
                    what = f"ResourceQuota {namespace}/{dig(quota, 'metadata', 'name')}"
                    yield Found(
                        object=what,
                        because=f"{key}: sidecars and surge may need {_text(name, rows[name])}, {_text(name, left)} are left",
                    )


def _text(name: str, amount: Decimal) -> str:
    return f"{amount / 2**20:.0f}Mi" if name == "memory" else f"{amount:g}"


def _most_pods(facts: Facts, name: str, workload: Object) -> int:
    namespace = str(dig(workload, "metadata", "namespace"))
    for each in facts.snapshot.of("HorizontalPodAutoscaler", namespace):
        target = dig(each, "spec", "scaleTargetRef") or {}
        if target.get("name") == name and target.get("kind") == workload.get("kind"):
            return int(dig(each, "spec", "maxReplicas") or 1)
    return int(dig(workload, "spec", "replicas") or 1)


def _surge(workload: Object) -> int:
    raw = dig(workload, "spec", "strategy", "rollingUpdate", "maxSurge")
    replicas = int(dig(workload, "spec", "replicas") or 1)
    if isinstance(raw, str) and raw.endswith("%"):
        return math.ceil(replicas * int(raw[:-1]) / 100)
    return int(raw or 0)


def pod_security(facts: Facts) -> Iterator[Found]:
    """Find namespaces whose Pod Security level forbids the sidecar's init container."""
    for service, workload in facts.services():
        namespace = facts.namespace(service.namespace)
        level = labels(namespace or {}).get("pod-security.kubernetes.io/enforce", "privileged")
        if level in ("baseline", "restricted") and not _has_cni(facts):
            why = f"namespace enforces {level}, and the sidecar's init container needs NET_ADMIN and NET_RAW; use the CNI plugin"
            yield Found(object=str(service.workload), because=why, service=service.id)
        del workload


def _has_cni(facts: Facts) -> bool:
    return any(labels(each).get("k8s-app") == "istio-cni-node" for each in facts.snapshot.of("DaemonSet"))


def protocols(facts: Facts) -> Iterator[Found]:
    """Find undeclared ports on which the server speaks first."""
    for service, workload in facts.services():
        for each in facts.kube_services(workload):
            for port in dig(each, "spec", "ports") or ():
                if port.get("protocol", "TCP") != "TCP" or _declared(port):
                    continue
                number = port.get("targetPort") if isinstance(port.get("targetPort"), int) else port.get("port")
                if number in SERVER_FIRST or port.get("port") in SERVER_FIRST:
                    where = f"Service {service.namespace}/{dig(each, 'metadata', 'name')} port {port.get('port')}"
                    yield Found(
                        object=where,
                        because="a protocol in which the server speaks first would be sniffed and hang; declare it",
                        service=service.id,
                    )


def guessed(facts: Facts) -> Iterator[Found]:
    """Find ports whose protocol would be guessed."""
    for service, workload in facts.services():
        for each in facts.kube_services(workload):
            for port in dig(each, "spec", "ports") or ():
                if (
                    port.get("protocol", "TCP") == "TCP"
                    and not _declared(port)
                    and port.get("port") not in SERVER_FIRST
                ):
                    where = f"Service {service.namespace}/{dig(each, 'metadata', 'name')} port {port.get('port')}"
                    yield Found(
                        object=where,
                        because="its protocol is guessed from the first bytes; name it http, grpc or tcp",
                        service=service.id,
                    )


def _declared(port: Mapping[str, Any]) -> bool:
    if port.get("appProtocol"):
        return True
    return str(port.get("name") or "").partition("-")[0] in PROTOCOLS


def budgets(facts: Facts) -> Iterator[Found]:
    """Find strategies that take more pods away than a disruption budget allows: budgets do not bind rolling updates."""
    for service, workload in facts.services():
        own = facts.pod_labels(workload)
        replicas = int(dig(workload, "spec", "replicas") or 1)
        away = _unavailable(workload, replicas)
        for each in facts.snapshot.of("PodDisruptionBudget", service.namespace):
            if not matches(dig(each, "spec", "selector"), own):
                continue
            allowed = _allowed(each, replicas)
            if away > allowed:
                what = f"PodDisruptionBudget {service.namespace}/{dig(each, 'metadata', 'name')}"
                yield Found(
                    object=what,
                    because=f"it lets {allowed} pods be away, the rolling update of {service.workload} takes {away}",
                    service=service.id,
                )


def _unavailable(workload: Object, replicas: int) -> int:
    if workload.get("kind") == "StatefulSet":
        return 1
    if dig(workload, "spec", "strategy", "type") == "Recreate":
        return replicas
    raw = dig(workload, "spec", "strategy", "rollingUpdate", "maxUnavailable")
    raw = raw if raw is not None else dig(workload, "spec", "updateStrategy", "rollingUpdate", "maxUnavailable")
    if isinstance(raw, str) and raw.endswith("%"):
        return math.floor(replicas * int(raw[:-1]) / 100)
    return int(raw or 0)


def _allowed(budget: Object, replicas: int) -> int:
    most, least = dig(budget, "spec", "maxUnavailable"), dig(budget, "spec", "minAvailable")
    if most is not None:
        return math.ceil(replicas * int(str(most)[:-1]) / 100) if str(most).endswith("%") else int(most)
    if least is not None:
        kept = math.ceil(replicas * int(str(least)[:-1]) / 100) if str(least).endswith("%") else int(least)
        return max(0, replicas - kept)
    return replicas


def controllers(facts: Facts) -> Iterator[Found]:
    """Find workloads that another controller owns."""
    for service, workload in facts.services():
        owner = next(
            (each for each in dig(workload, "metadata", "ownerReferences") or () if each.get("controller")), None
        )
        if owner is not None:
            yield Found(
                object=str(service.workload),
                because=f"owned by {owner.get('kind')} {owner.get('name')}: change it there",
                service=service.id,
            )


def absent(facts: Facts) -> Iterator[Found]:
    """Find workloads that are not there."""
    waves = {each for wave in facts.book.waves for each in wave.services}
    for service in facts.book.services:
        if service.id in waves and service.opt_in is not None and facts.snapshot.get(service.workload) is None:
            yield Found(object=str(service.workload), because="it is not in the cluster", service=service.id)


def restart_is_outage(facts: Facts) -> Iterator[Found]:
    """Find workloads whose restart is an outage."""
    for service, workload in facts.services():
        replicas = int(dig(workload, "spec", "replicas") or 1)
        recreate = dig(workload, "spec", "strategy", "type") == "Recreate"
        if workload.get("kind") == "Deployment" and (recreate or (replicas == 1 and _surge(workload) == 0)):
            how = "strategy Recreate" if recreate else "1 replica without surge"
            yield Found(object=str(service.workload), because=f"{how}: its restart is an outage", service=service.id)


def probes(facts: Facts) -> Iterator[Found]:
    """Find workloads without a readiness probe."""
    for service, workload in facts.services():
        if workload.get("kind") == "CronJob":
            continue
        several = dig(template(workload), "spec", "containers") or ()
        if several and not any(each.get("readinessProbe") for each in several):
            yield Found(
                object=str(service.workload),
                because="no readiness probe: traffic comes before it listens",
                service=service.id,
            )


def reserved(facts: Facts) -> Iterator[Found]:
    """Find workloads that use the proxy's user or ports."""
    uid = getattr(facts.driver, "proxy_uid", -1)
    taken = frozenset(getattr(facts.driver, "taken_ports", ()))
    for service, workload in facts.services():
        spec = dig(template(workload), "spec") or {}
        users = [
            dig(spec, "securityContext", "runAsUser"),
            *(dig(each, "securityContext", "runAsUser") for each in spec.get("containers") or ()),
        ]
        if uid in users:
            yield Found(
                object=str(service.workload),
                because=f"it runs as user {uid}, the proxy's own: its traffic would bypass the proxy",
                service=service.id,
            )
        ports = [port.get("containerPort") for each in spec.get("containers") or () for port in each.get("ports") or ()]
        for port in sorted(taken & {each for each in ports if isinstance(each, int)}):
            yield Found(object=str(service.workload), because=f"port {port} is taken by the proxy", service=service.id)


def jobs(facts: Facts) -> Iterator[Found]:
    """Refuse sidecars that keep a Job from ending; native ones need kubelets of 1.33 (Istio) and the API of 1.29."""
    jobs = [service for service, workload in facts.services() if workload.get("kind") == "CronJob"]
    old = [
        str(dig(each, "metadata", "name"))
        for each in facts.snapshot.of("Node")
        if _minor(each) is not None and (_minor(each) or 0) < 33
    ]
    for service in jobs:
        if old:
            yield Found(
                object=str(service.workload),
                because=f"node {old[0]} has a kubelet below 1.33: sidecars are not native there, and the Job never ends",
                service=service.id,
            )


def _minor(node: Object) -> int | None:
    parts = str(dig(node, "status", "nodeInfo", "kubeletVersion") or "").lstrip("v").split(".")
    return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else None
