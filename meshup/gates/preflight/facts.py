"""What the preflight checks look at: one reading of the cluster, and small questions about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from meshup.cluster.errors import Forbidden, NotFound
from meshup.gates.gate import Eyes
from meshup.gates.preflight import authority
from meshup.gates.preflight.authority import Authority
from meshup.gates.preflight.rights import missing
from meshup.journal.ledger import is_open, recorded
from meshup.meshes.driver import Driver
from meshup.model.ledger import Pin
from meshup.model.objects import Object, Ref, dig, labels, matches, ref_of, stored, template
from meshup.model.problem import MeshupError
from meshup.model.runbook import Runbook, Service
from meshup.model.snapshot import Snapshot

KINDS = (
    ("v1", "Namespace"),
    ("v1", "Node"),
    ("v1", "Service"),
    ("v1", "Pod"),
    ("v1", "ResourceQuota"),
    ("v1", "LimitRange"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("batch/v1", "CronJob"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("policy/v1", "PodDisruptionBudget"),
    ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    ("argoproj.io/v1alpha1", "Rollout"),
    ("flagger.app/v1beta1", "Canary"),
    ("meshup.dev/v1", "MeshRelease"),
    ("meshup.dev/v1", "MeshPin"),
)
"""Those that the server does not serve are not asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One thing a check does not like. object: for people and for waivers. service: id, "" = none.

    is_open: it could not be told whether this is so; unknown, and no pass.
    """

    object: str
    because: str
    service: str = ""
    is_open: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One declared check. title: true when it holds. blocks: false for a warning that does not hold a stage.

    reads: kinds without which it can't be told; one that may not be listed makes the check unknown.
    """

    id: str
    title: str
    fix: str
    run: Callable[[Facts], Iterator[Found]]
    blocks: bool = True
    reads: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """What a jump to the runbook's release is about. definitions: the release's own. unread: why they can't be read, "" = they were."""

    definitions: tuple[Object, ...] = ()
    unread: str = ""
    authority: Authority = Authority()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One reading. denied: rights that were asked for and are missing. unread: kind -> why it could not be listed.

    jump: what is asked where control planes are there and the runbook's revision is not one of them yet; None elsewhere.
    """

    snapshot: Snapshot
    book: Runbook
    driver: Driver
    denied: tuple[str, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict)
    jump: Jump | None = None

    def services(self) -> Iterator[tuple[Service, Object]]:
        """Yield services that will be enrolled, with their workloads; absent ones are left to another check."""
        for service in self.chosen():
            workload = self.snapshot.get(service.workload)
            if workload is not None:
                yield service, workload

    def chosen(self) -> Iterator[Service]:
        """Yield services of waves whose owners opted in."""
        waves = {each for wave in self.book.waves for each in wave.services}
        for service in self.book.services:
            if service.opt_in is not None and service.id in waves:
                yield service

    def moving(self) -> Iterator[tuple[Service, Object]]:
        """Yield services that will be moved to the release: not on its revision yet, and no pin holds them elsewhere."""
        held = {(each.namespace, each.service) for each in self.pins() if is_open(each)}
        for service, workload in self.services():
            wanted = self.driver.enrolment(workload, self.snapshot, self.book.mesh.revision)
            if not wanted.blocked and not wanted.right and (service.namespace, service.name) not in held:
                yield service, workload

    def pins(self) -> tuple[Pin, ...]:
        """Give the pins on record."""
        return recorded(self.snapshot.of("MeshPin"))[0]

    def pod_labels(self, workload: Object) -> Mapping[str, str]:
        """Give the labels of a workload's pods."""
        return dig(template(workload), "metadata", "labels") or {}

    def pods(self, workload: Object) -> int:
        """Give how many pods a workload wants now: a DaemonSet one a node, a CronJob its parallel ones."""
        match workload.get("kind"):
            case "DaemonSet":
                wanted = dig(workload, "status", "desiredNumberScheduled")
                return int(wanted) if wanted is not None else sum(1 for _ in self.snapshot.of("Node"))
            case "CronJob":
                wanted = dig(workload, "spec", "jobTemplate", "spec", "parallelism")
            case _:
                wanted = dig(workload, "spec", "replicas")
        return 1 if wanted is None else int(wanted)

    def kube_services(self, workload: Object) -> Iterator[Object]:
        """Yield the Kubernetes Services that select a workload's pods."""
        namespace = str(dig(workload, "metadata", "namespace"))
        own = self.pod_labels(workload)
        for each in self.snapshot.of("Service", namespace):
            selector = dig(each, "spec", "selector")
            if selector and matches({"matchLabels": selector}, own):
                yield each

    def behind(self, service: Object) -> list[Object] | None:
        """Give the ready pods that a Service selects; None when it selects none by itself, so who answers is not known."""
        selector = dig(service, "spec", "selector")
        if not selector:
            return None
        pods = self.snapshot.of("Pod", str(dig(service, "metadata", "namespace")))
        return [each for each in pods if matches({"matchLabels": selector}, labels(each)) and _ready(each)]

    def namespace(self, name: str) -> Object | None:
        """Give a Namespace."""
        return self.snapshot.get(Ref(api_version="v1", kind="Namespace", name=name))


def _ready(pod: Object) -> bool:
    return any(
        each.get("type") == "Ready" and each.get("status") == "True" for each in dig(pod, "status", "conditions") or ()
    )


def kind_of(definition: Object) -> tuple[str, str]:
    """Give the (api_version, kind) that a definition's objects are kept in."""
    return f"{dig(definition, 'spec', 'group')}/{stored(definition) or 'v1'}", str(
        dig(definition, "spec", "names", "kind") or ""
    )


def read(eyes: Eyes) -> Facts:
    """Read everything once, side by side; then what somebody made of definitions that the release would ignore."""
    served = eyes.cluster.kinds()
    wanted = [each for each in KINDS if each in served]

    def listed(kind: tuple[str, str]) -> list[Object] | str:
        try:
            return list(eyes.cluster.list(*kind, owners=kind not in KINDS or kind[1] == "CustomResourceDefinition"))
        except (Forbidden, NotFound) as refused:
            return refused.what

    objects: dict[Ref, Object] = {}
    unread: dict[str, str] = {}

    def read_all(kinds: Sequence[tuple[str, str]]) -> None:
        several = eyes.cluster.gather([lambda kind=kind: listed(kind) for kind in kinds])  # type: ignore[misc]
        for (_, kind), found in zip(kinds, several, strict=True):
            if isinstance(found, str):
                unread[kind] = found
            else:
                objects.update({ref_of(each): each for each in found})

    read_all(wanted)
    snapshot = Snapshot(
        cluster_uid=eyes.cluster.uid(),
        server_version=eyes.cluster.version(),
        identity=eyes.cluster.whoami(),
        taken_at=eyes.clock.now(),
        objects=objects,
        kinds=served,
        simulator=eyes.cluster.is_simulator(),
    )
    jump = _jump(eyes, snapshot)
    further = [objects[each] for each in eyes.driver.kinds_ignored(snapshot, eyes.book.mesh.release)]
    further += [objects[ref_of(each)] for each in (jump.definitions if jump else ()) if ref_of(each) in objects]
    if further:
        read_all([each for each in dict.fromkeys(map(kind_of, further)) if each in served])
    return Facts(
        snapshot=replace(snapshot, objects=objects),
        book=eyes.book,
        driver=eyes.driver,
        denied=missing(eyes.cluster, eyes.book),
        unread=unread,
        jump=jump,
    )


def _jump(eyes: Eyes, snapshot: Snapshot) -> Jump | None:
    """Read what a jump is about; None where no control plane is there, or the release's has come already.

    Once it has, its definitions are those of the cluster, and what they drop is gone.
    """
    there = eyes.driver.installed(snapshot)
    if not there or eyes.book.mesh.revision in there:
        return None
    held = authority.read(eyes)
    try:
        rendered = eyes.driver.render(eyes.book.mesh)
    except MeshupError as error:
        return Jump(unread=error.what, authority=held)
    found = tuple(each for each in rendered.objects if each.get("kind") == "CustomResourceDefinition")
    return Jump(definitions=found, authority=held)
