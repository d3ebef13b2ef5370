"""Components and revisions that nothing uses, with the proof; one that a pod, gateway or pin uses is never named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from meshup.meshes.driver import Unused
from meshup.meshes.istio.enrol import injected_by, wanted_of
from meshup.meshes.istio.proxy import release_of
from meshup.meshes.istio.words import REV, TAG, revision_suffix
from meshup.model.objects import Object, dig, labels, ref_of
from meshup.model.quantity import quantity
from meshup.model.runbook import Mesh
from meshup.model.snapshot import Snapshot

OF_A_REVISION = (
    "Deployment",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "Service",
    "ConfigMap",
    "ServiceAccount",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
)
"""Kinds a revision consists of; webhooks first when they are removed, so that no pod is refused meanwhile."""

REMOVE_FIRST = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")


def installed(snapshot: Snapshot) -> dict[str, str]:
    """Give revision -> release of every control plane, from its Deployment."""
    return dict(snapshot.once("istio: installed", lambda: _installed(snapshot)))


def _installed(snapshot: Snapshot) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in snapshot.of("Deployment"):
        if _is_plane(each):
            revision = labels(each).get(REV, "default")
            containers = dig(each, "spec", "template", "spec", "containers") or ()
            found[revision] = release_of(str(containers[0].get("image", ""))) if containers else ""
    return found


def _is_plane(deployment: Object) -> bool:
    return labels(deployment).get("app") == "istiod" or labels(deployment).get("istio") in ("pilot", "istiod")


def in_use(snapshot: Snapshot) -> dict[str, str]:
    """Give revision -> who uses it: pods that it injected, templates, gateways, tags and pins that ask for it.

    A control plane's own template carries the label too and uses nobody; so does a ReplicaSet that was scaled to 0.
    """
    found: dict[str, str] = {}
    for pod in snapshot.of("Pod"):
        revision = injected_by(pod)
        if revision and dig(pod, "status", "phase") not in ("Succeeded", "Failed"):
            found.setdefault(revision, str(ref_of(pod)))
    for kind in ("Deployment", "StatefulSet", "DaemonSet", "CronJob", "ReplicaSet"):
        for each in snapshot.of(kind):
            revision = wanted_of(each)
            old = kind == "ReplicaSet" and (
                dig(each, "spec", "replicas") == 0 or dig(each, "metadata", "ownerReferences")
            )
            if revision and not old and not _is_plane(each):
                found.setdefault(revision, str(ref_of(each)))
    for kind in ("Namespace", "Gateway"):
        for each in snapshot.of(kind):
            if labels(each).get(REV):
                found.setdefault(labels(each)[REV], str(ref_of(each)))
    for each in (*snapshot.of("MutatingWebhookConfiguration"), *snapshot.of("ValidatingWebhookConfiguration")):
        revision = _pointed_at(each, snapshot)
        if revision:
            found.setdefault(revision, str(ref_of(each)))
    for pin in snapshot.pins:
        revision = str(dig(pin, "spec", "to", "revision") or "")
        if dig(pin, "spec", "copyOf"):
            continue  # It says what was recorded, never what came of it, and holds nobody.
        if revision and dig(pin, "status", "phase") in ("Requested", "Active", None):
            found.setdefault(revision, str(ref_of(pin)))
    return found


def _pointed_at(configuration: Object, snapshot: Snapshot) -> str:
    """Give the revision that a tag or the default validator leads to; "" for a revision's own webhooks and others'."""
    own = labels(configuration)
    if own.get(TAG):
        return own.get(REV, "")
    services = {dig(each, "clientConfig", "service", "name") for each in configuration.get("webhooks") or ()}
    for each in snapshot.of("Deployment"):
        revision = labels(each).get(REV, "default")
        if _is_plane(each) and dig(each, "metadata", "name") in services:
            return "" if own.get(REV) == revision and _is_named_for(configuration, revision) else revision
    return ""


def find(snapshot: Snapshot, mesh: Mesh, *, keep: Sequence[str]) -> tuple[Unused, ...]:
    """Name what can go: revisions that nobody uses, in the order they must be removed."""
    users = in_use(snapshot)
    kept = {mesh.revision, *keep, *mesh.keep_revisions}
    found: list[Unused] = []
    for revision, release in sorted(installed(snapshot).items()):
        if revision in kept:
            continue
        if revision in users:
            found += _held_by_a_pointer(snapshot, mesh, revision, users[revision])
            continue
        why = f"revision {revision} ({release or 'release unknown'}): no pod, template, gateway, tag or pin uses it"
        for each in _parts(snapshot, mesh, revision):
            cpu, memory = _size(each)
            found.append(Unused(ref=ref_of(each), why=why, cpu_m=cpu, memory_mib=memory))
    return tuple(found)


def _held_by_a_pointer(snapshot: Snapshot, mesh: Mesh, revision: str, user: str) -> Iterator[Unused]:
    """Say it where nothing but a tag or the default validator leads to a revision: no pod of it will ever end that."""
    for each in (*snapshot.of("MutatingWebhookConfiguration"), *snapshot.of("ValidatingWebhookConfiguration")):
        if str(ref_of(each)) == user:
            tag = labels(each).get(TAG, "default")
            stays = (
                f"revision {revision} stays, as {user} leads to it; once whoever made that has repointed it, it can go: "
                f"istioctl tag set {tag} --revision {mesh.revision} --overwrite"
            )
            yield Unused(ref=ref_of(each), why="", stays=stays)


def _parts(snapshot: Snapshot, mesh: Mesh, revision: str) -> Iterator[Object]:
    order = (*REMOVE_FIRST, *(kind for kind in OF_A_REVISION if kind not in REMOVE_FIRST))
    for kind in order:
        for each in snapshot.of(kind):
            if not _is_part(each, revision):
                continue
            namespace = dig(each, "metadata", "namespace")
            if namespace in (None, "", mesh.namespace):
                yield each


def _is_part(obj: Object, revision: str) -> bool:
    """Tell whether an object is of one revision: by label, or, where the chart gives it none, by its own name."""
    found = labels(obj)
    if REV in found:
        leads = str(obj.get("kind")).endswith("WebhookConfiguration") and not _is_named_for(obj, revision)
        return found[REV] == revision and TAG not in found and not leads
    ours = found.get("app") in ("istiod", "istio-reader") or found.get("app.kubernetes.io/name") == "istiod"
    return bool(revision_suffix(revision)) and ours and _is_named_for(obj, revision)


def _is_named_for(obj: Object, revision: str) -> bool:
    """Tell whether an object's name is that of one revision: the default validator's is not, whatever its label says."""
    suffix, name = revision_suffix(revision), str(dig(obj, "metadata", "name"))
    return not suffix or name.endswith(suffix) or f"{suffix}-" in name


def _size(obj: Object) -> tuple[int, int]:
    if obj.get("kind") != "Deployment":
        return 0, 0
    cpu = memory = 0
    for container in dig(obj, "spec", "template", "spec", "containers") or ():
        asked = dig(container, "resources", "requests") or {}
        cpu += millicores(str(asked.get("cpu", "0")))
        memory += mebibytes(str(asked.get("memory", "0")))
    replicas = int(dig(obj, "spec", "replicas") or 1)
    return cpu * replicas, memory * replicas


def millicores(text: str) -> int:
    """Read a CPU quantity as millicores, rounded down."""
    return int(_quantity(text) * 1000)


def mebibytes(text: str) -> int:
    """Read a memory quantity as MiB, rounded down."""
    return int(_quantity(text) / 2**20)


def _quantity(text: str) -> Decimal:
    """Read a Kubernetes quantity. 0 for what is none."""
    try:
        return quantity(text)
    except ValueError:
        return Decimal(0)
