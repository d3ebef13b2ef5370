"""What the preflight checks look at: one reading of the cluster, and small questions about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from meshup.cluster.errors import Forbidden, NotFound
from meshup.gates.gate import Eyes
from meshup.meshes.driver import Driver
from meshup.model.objects import Object, Ref, dig, labels, matches, ref_of, template
from meshup.model.runbook import Runbook, Service
from meshup.model.snapshot import Snapshot

KINDS = (
    ("v1", "Namespace"),
    ("v1", "Node"),
    ("v1", "Service"),
    ("v1", "Pod"),
    ("v1", "ResourceQuota"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("batch/v1", "CronJob"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("policy/v1", "PodDisruptionBudget"),
    ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
)

RIGHTS = (
    ("create", "namespaces", ""),
    ("create", "configmaps", "meshup-system"),
    ("create", "coordination.k8s.io/leases", "meshup-system"),
    ("patch", "apps/deployments", ""),
    ("patch", "apps/statefulsets", ""),
    ("create", "admissionregistration.k8s.io/mutatingwebhookconfigurations", ""),
    ("create", "apiextensions.k8s.io/customresourcedefinitions", ""),
    ("create", "rbac.authorization.k8s.io/clusterroles", ""),
    ("create", "batch/jobs", "meshup-system"),
    ("get", "pods/proxy", ""),
    ("get", "pods/log", ""),
)
"""verb, group/resource, namespace: what a rollout needs beyond reading."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One thing a check does not like. object: for people and for waivers. service: id, "" = none."""

    object: str
    because: str
    service: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One declared check. title: true when it holds. blocks: false for a warning that does not hold a stage."""

    id: str
    title: str
    fix: str
    run: Callable[[Facts], Iterator[Found]]
    blocks: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One reading. denied: rights that were asked for and are missing. unread: kinds that could not be listed."""

    snapshot: Snapshot
    book: Runbook
    driver: Driver
    denied: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    dns: bool | None = None
    extra: Mapping[str, str] = field(default_factory=dict)

    def services(self) -> Iterator[tuple[Service, Object]]:
        """Yield services that will be enrolled, with their workloads; absent ones are left to another check."""
        waves = {each for wave in self.book.waves for each in wave.services}
        for service in self.book.services:
            workload = self.snapshot.get(service.workload)
            if service.opt_in is not None and service.id in waves and workload is not None:
                yield service, workload

    def pod_labels(self, workload: Object) -> Mapping[str, str]:
        """Give the labels of a workload's pods."""
        return dig(template(workload), "metadata", "labels") or {}

    def kube_services(self, workload: Object) -> Iterator[Object]:
        """Yield the Kubernetes Services that select a workload's pods."""
        namespace = str(dig(workload, "metadata", "namespace"))
        own = self.pod_labels(workload)
        for each in self.snapshot.of("Service", namespace):
            selector = dig(each, "spec", "selector")
            if selector and matches({"matchLabels": selector}, own):
                yield each

    def namespace(self, name: str) -> Object | None:
        """Give a Namespace."""
        return self.snapshot.get(Ref(api_version="v1", kind="Namespace", name=name))


def _asking(book: Runbook) -> tuple[tuple[str, str, str], ...]:
    """Give what asking the runbook's Prometheus needs; without it every gate that reads counters would stay blind."""
    namespace, named, _ = book.metrics.service.partition("/")
    return (("get", "services/proxy", namespace),) if named else ()


def read(eyes: Eyes) -> Facts:
    """Read everything once, side by side."""
    served = eyes.cluster.kinds()
    wanted = [each for each in KINDS if each in served]

    def listed(kind: tuple[str, str]) -> list[Object] | str:
        try:
            return list(eyes.cluster.list(*kind))
        except (Forbidden, NotFound) as refused:
            return f"{kind[1]}: {refused.what}"

    several = eyes.cluster.gather([lambda kind=kind: listed(kind) for kind in wanted])  # type: ignore[misc]
    objects: dict[Ref, Object] = {}
    unread: list[str] = []
    for found in several:
        if isinstance(found, str):
            unread.append(found)
        else:
            objects.update({ref_of(each): each for each in found})
    needed = [*RIGHTS, *_asking(eyes.book)]
    rights = eyes.cluster.gather(
        [lambda right=right: eyes.cluster.can_i(right[0], right[1], namespace=right[2]) for right in needed]  # type: ignore[misc]
    )
    denied = tuple(
        f"{verb} {resource}" + (f" in {where}" if where else "")
        for (verb, resource, where), may in zip(needed, rights, strict=True)
        if not may
    )
    snapshot = Snapshot(
        cluster_uid=eyes.cluster.uid(),
        server_version=eyes.cluster.version(),
        identity=eyes.cluster.whoami(),
        taken_at=eyes.clock.now(),
        objects=objects,
        kinds=served,
        simulator=eyes.cluster.is_simulator(),
    )
    dns = next(
        (True for each in snapshot.of("Service", "kube-system") if labels(each).get("k8s-app") == "kube-dns"), False
    )
    return Facts(snapshot=snapshot, book=eyes.book, driver=eyes.driver, denied=denied, unread=tuple(unread), dns=dns)
