"""The checks themselves: each a few lines over facts, precise before many (ids never change meaning)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from meshup.gates.preflight.facts import Check, Facts, Found
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


def _version(facts: Facts) -> Iterator[Found]:
    supports = getattr(facts.driver, "supports", None)
    why = supports(facts.book.mesh.release, facts.snapshot.server_version) if supports is not None else ""
    if why:
        yield Found(object="the API server", because=why)


def _api(facts: Facts) -> Iterator[Found]:
    wanted = [
        ("apps/v1", "Deployment"),
        ("batch/v1", "CronJob"),
        ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"),
    ]
    if facts.book.ingress is not None and facts.book.ingress.api == "gateway":
        wanted.append(("gateway.networking.k8s.io/v1", "HTTPRoute"))
    for each in wanted:
        if each not in facts.snapshot.kinds:
            yield Found(
                object=f"{each[1]} {each[0]}",
                because="the server does not serve it; for Gateway API install its definitions first",
            )


def _rights(facts: Facts) -> Iterator[Found]:
    for each in facts.denied:
        yield Found(object=facts.snapshot.identity.user, because=f"may not {each}")
    for each in facts.unread:
        yield Found(object=facts.snapshot.identity.user, because=f"may not list {each}")


def _dns(facts: Facts) -> Iterator[Found]:
    if facts.dns is False:
        yield Found(
            object="Service kube-system/kube-dns",
            because="there is no cluster DNS: proxies find their control plane by name",
        )


def _meshes(facts: Facts) -> Iterator[Found]:
    for each in facts.driver.conflicts(facts.snapshot, facts.book.mesh):
        yield Found(object=each.partition(" is ")[0], because=each)


def _injector(facts: Facts) -> Iterator[Found]:
    """Ask whether an installed injector is reachable: fail-closed webhooks without a server refuse every pod."""
    services = {
        (str(dig(each, "metadata", "namespace")), str(dig(each, "metadata", "name"))): each
        for each in facts.snapshot.of("Service")
    }
    for configuration in facts.snapshot.of("MutatingWebhookConfiguration"):
        for hook in configuration.get("webhooks") or ():
            where = dig(hook, "clientConfig", "service")
            if where is None or not any("pods" in (rule.get("resources") or ()) for rule in hook.get("rules") or ()):
                continue
            name = (str(where.get("namespace")), str(where.get("name")))
            what = f"MutatingWebhookConfiguration {dig(configuration, 'metadata', 'name')}"
            service = services.get(name)
            if service is None:
                yield Found(
                    object=what,
                    because=f"webhook {hook.get('name')} calls Service {name[0]}/{name[1]}, which is not there",
                )
                continue
            selector = dig(service, "spec", "selector") or {}
            behind = [
                pod
                for pod in facts.snapshot.of("Pod", name[0])
                if matches({"matchLabels": selector}, labels(pod)) and _ready(pod)
            ]
            if not behind:
                yield Found(
                    object=what,
                    because=f"webhook {hook.get('name')} has nobody ready behind Service {name[0]}/{name[1]}",
                )
            elif not dig(hook, "clientConfig", "caBundle"):
                yield Found(object=what, because=f"webhook {hook.get('name')} has no CA bundle")


def _ready(pod: Object) -> bool:
    return any(
        each.get("type") == "Ready" and each.get("status") == "True" for each in dig(pod, "status", "conditions") or ()
    )


def _quota(facts: Facts) -> Iterator[Found]:
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


def _pod_security(facts: Facts) -> Iterator[Found]:
    for service, workload in facts.services():
        namespace = facts.namespace(service.namespace)
        level = labels(namespace or {}).get("pod-security.kubernetes.io/enforce", "privileged")
        if level in ("baseline", "restricted") and not _has_cni(facts):
            why = f"namespace enforces {level}, and the sidecar's init container needs NET_ADMIN and NET_RAW; use the CNI plugin"
            yield Found(object=str(service.workload), because=why, service=service.id)
        del workload


def _has_cni(facts: Facts) -> bool:
    return any(labels(each).get("k8s-app") == "istio-cni-node" for each in facts.snapshot.of("DaemonSet"))


def _protocols(facts: Facts) -> Iterator[Found]:
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


def _guessed(facts: Facts) -> Iterator[Found]:
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


def _budgets(facts: Facts) -> Iterator[Found]:
    """Disruption budgets do not bind rolling updates: a strategy that takes more pods away than the budget allows does."""
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


def _definitions(facts: Facts) -> Iterator[Found]:
    """Shared definitions with two owners get changed back and forth."""
    for each in facts.snapshot.of("CustomResourceDefinition"):
        group = str(dig(each, "spec", "group") or "")
        if not group.endswith("istio.io") and group != "gateway.networking.k8s.io":
            continue
        owners = {
            key: value
            for key, value in labels(each).items()
            if key in ("app.kubernetes.io/managed-by", "meshup.dev/managed-by")
        }
        if len(set(owners.values())) > 1:
            yield Found(
                object=f"CustomResourceDefinition {dig(each, 'metadata', 'name')}",
                because=f"it has two owners: {', '.join(sorted(owners.values()))}",
            )


def _controllers(facts: Facts) -> Iterator[Found]:
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


def _absent(facts: Facts) -> Iterator[Found]:
    waves = {each for wave in facts.book.waves for each in wave.services}
    for service in facts.book.services:
        if service.id in waves and service.opt_in is not None and facts.snapshot.get(service.workload) is None:
            yield Found(object=str(service.workload), because="it is not in the cluster", service=service.id)


def _restart_is_outage(facts: Facts) -> Iterator[Found]:
    for service, workload in facts.services():
        replicas = int(dig(workload, "spec", "replicas") or 1)
        recreate = dig(workload, "spec", "strategy", "type") == "Recreate"
        if workload.get("kind") == "Deployment" and (recreate or (replicas == 1 and _surge(workload) == 0)):
            how = "strategy Recreate" if recreate else "1 replica without surge"
            yield Found(object=str(service.workload), because=f"{how}: its restart is an outage", service=service.id)


def _probes(facts: Facts) -> Iterator[Found]:
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


def _reserved(facts: Facts) -> Iterator[Found]:
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


def _jobs(facts: Facts) -> Iterator[Found]:
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


CHECKS: tuple[Check, ...] = (
    Check(
        id="kubernetes-version",
        title="the server's version is one the mesh supports",
        fix="upgrade the cluster, or pin another release",
        run=_version,
    ),
    Check(
        id="api-versions",
        title="the server serves every kind the plan needs",
        fix="install the definitions that are named",
        run=_api,
    ),
    Check(
        id="permissions",
        title="this identity may do what the plan needs",
        fix="ask for the rights that are named; the plan lists them all",
        run=_rights,
    ),
    Check(id="cluster-dns", title="the cluster has a DNS service", fix="install cluster DNS", run=_dns),
    Check(
        id="other-meshes",
        title="no other mesh is installed",
        fix="remove the other mesh first, workloads before its control plane",
        run=_meshes,
    ),
    Check(
        id="injector-reachable",
        title="every webhook for pods has somebody ready behind it",
        fix="bring its server back, or remove the webhook",
        run=_injector,
    ),
    Check(
        id="quota-fits",
        title="quotas hold a sidecar for every pod the autoscaler may make",
        fix="raise the quota, or lower mesh.values.global.proxy.resources",
        run=_quota,
    ),
    Check(
        id="pod-security",
        title="Pod Security lets the sidecar's init container run",
        fix="use the CNI plugin; never weaken the label",
        run=_pod_security,
    ),
    Check(
        id="server-first-ports",
        title="ports on which the server speaks first are declared",
        fix="appProtocol: tcp on the Service port",
        run=_protocols,
    ),
    Check(
        id="guessed-ports",
        title="every port declares its protocol",
        fix="appProtocol: http, grpc or tcp on the Service port",
        run=_guessed,
        blocks=False,
    ),
    Check(
        id="budget-against-strategy",
        title="no rolling update takes more pods away than its disruption budget allows",
        fix="maxUnavailable: 0 with maxSurge: 1",
        run=_budgets,
    ),
    Check(
        id="definition-owners",
        title="shared definitions have one owner",
        fix="let one tool own them, and remove the other's label",
        run=_definitions,
    ),
    Check(
        id="foreign-controllers",
        title="no workload belongs to another controller",
        fix="change it at its controller, or take it out of its wave",
        run=_controllers,
    ),
    Check(
        id="workloads-there",
        title="every workload of a wave is in the cluster",
        fix="correct services in the runbook",
        run=_absent,
    ),
    Check(
        id="restart-is-outage",
        title="every workload survives its restart",
        fix="two replicas, or maxSurge: 1",
        run=_restart_is_outage,
        blocks=False,
    ),
    Check(
        id="readiness-probes",
        title="every workload says when it is ready",
        fix="add a readinessProbe",
        run=_probes,
        blocks=False,
    ),
    Check(
        id="reserved-user-and-ports",
        title="no workload uses the proxy's user or ports",
        fix="another runAsUser, another containerPort",
        run=_reserved,
    ),
    Check(
        id="jobs-can-end",
        title="Jobs can end beside a sidecar",
        fix="upgrade the kubelets to 1.33, or leave the CronJob out",
        run=_jobs,
    ),
)
