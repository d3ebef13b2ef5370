"""Look at a cluster once: one paged list per kind, only what planning needs kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from meshup.cluster.errors import Forbidden, NotFound
from meshup.cluster.ports import MANAGER, Reader
from meshup.model.clock import Clock
from meshup.model.objects import Object, Ref, dig, is_managed, ref_of
from meshup.model.problem import Refused
from meshup.model.snapshot import ApiKind, Identity, Snapshot

ALWAYS: tuple[tuple[str, str], ...] = (
    ("v1", "Namespace"),
    ("v1", "Node"),
    ("v1", "Pod"),
    ("v1", "Service"),
    ("v1", "ResourceQuota"),
    ("v1", "LimitRange"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("batch/v1", "Job"),
    ("batch/v1", "CronJob"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("policy/v1", "PodDisruptionBudget"),
    ("networking.k8s.io/v1", "Ingress"),
    ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
)
OURS = ("MeshPin", "OptIn", "MeshRelease")
GATEWAY_GROUP = "gateway.networking.k8s.io"
GATEWAY_NAMED = f"{GATEWAY_GROUP}/gateway-name"
"""On what a control plane makes for a Gateway: who holds its replicas is asked when they are to change."""
GATEWAY_KINDS = frozenset({"GatewayClass", "Gateway", "HTTPRoute"})
NODE_STATUS = frozenset({"allocatable", "capacity", "conditions", "nodeInfo"})
LONG = frozenset({"kubectl.kubernetes.io/last-applied-configuration"})
POD_SPEC = frozenset(
    {"containers", "initContainers", "hostNetwork", "nodeName", "serviceAccountName", "terminationGracePeriodSeconds"}
)
POD_STATUS = frozenset(
    {"phase", "podIP", "podIPs", "conditions", "containerStatuses", "initContainerStatuses", "startTime", "reason"}
)


def observe(
    cluster: Reader,
    clock: Clock,
    *,
    identity: Identity | None = None,
    groups: Iterable[str] = (),
    context: str = "",
    spaces: Sequence[str] = (),
) -> Snapshot:
    """Read the cluster and give one snapshot of it.

    identity: who asks when that was asked already. groups: API groups of the mesh at hand; their kinds are listed where
    the server serves them. A list that is not permitted leaves its kind out and is false in `allowed`; namespaces and
    Deployments must be readable. spaces: namespaces whose own lists do, for somebody who may not read all of them.
    Raises what the door raises.
    """
    who = identity or cluster.whoami()
    version = cluster.version()
    served = cluster.kinds()
    wanted = list(ALWAYS) + _further(served, frozenset(groups))
    near = _near(groups)
    several = cluster.gather([_listing(cluster, *each, near=near, spaces=spaces) for each in wanted])
    objects: dict[Ref, Object] = {}
    for found in several:
        objects.update(found or {})
    closed = {
        f"list {_plural(served, each)}": False for each, found in zip(wanted, several, strict=True) if found is None
    }
    system = objects.get(Ref(api_version="v1", kind="Namespace", name="kube-system"))
    uid = str(dig(system, "metadata", "uid") or "") or cluster.uid()
    return Snapshot(
        cluster_uid=uid,
        server_version=version,
        identity=who,
        taken_at=clock.now(),
        objects=objects,
        kinds=served,
        allowed=closed,
        context=context,
        pins=tuple(objects[ref] for ref in sorted(objects) if ref.kind == "MeshPin"),
        simulator=cluster.is_simulator(),
    )


def _further(served: Mapping[tuple[str, str], ApiKind], groups: frozenset[str]) -> list[tuple[str, str]]:
    """Name served kinds of the mesh, of Gateway API and of meshup itself; one version per kind, the stablest."""
    chosen: dict[tuple[str, str], str] = {}
    for (api_version, kind), found in served.items():
        group = api_version.rpartition("/")[0]
        ours = group == "meshup.dev" and kind in OURS
        gateway = group == GATEWAY_GROUP and kind in GATEWAY_KINDS
        if not (ours or gateway or group in groups) or (found.verbs and "list" not in found.verbs):
            continue
        key = (group, kind)
        if key not in chosen or _rank(api_version) > _rank(chosen[key]):
            chosen[key] = api_version
    return sorted((api_version, kind) for (_, kind), api_version in chosen.items())


def _rank(api_version: str) -> tuple[int, str]:
    """Order versions: v2 above v1 above v1beta1 above v1alpha1."""
    version = api_version.rpartition("/")[2]
    level = 0 if "alpha" in version else 1 if "beta" in version else 2
    return level, version


def _plural(served: Mapping[tuple[str, str], ApiKind], kind: tuple[str, str]) -> str:
    group = kind[0].rpartition("/")[0]
    plural = served[kind].plural if kind in served else kind[1].lower()
    return f"{group}/{plural}" if group else plural


def _near(groups: Iterable[str]) -> frozenset[str]:
    """Give the domains whose definitions a step may write: those of the mesh's groups and of Gateway API."""
    return frozenset(each.partition(".")[2] for each in (*groups, GATEWAY_GROUP))


def _listing(
    cluster: Reader, api_version: str, kind: str, *, near: frozenset[str], spaces: Sequence[str]
) -> Callable[[], Mapping[Ref, Object] | None]:
    """Give a call that lists one kind: None when that is not permitted."""
    must = kind in ("Namespace", "Deployment")

    def call() -> Mapping[Ref, Object] | None:
        try:
            return {ref_of(each): kept(each, near=near) for each in cluster.list(api_version, kind, owners=True)}
        except NotFound:
            return {}
        except Forbidden:
            found = _nearby(cluster, api_version, kind, spaces)
            if found is None and must:
                raise
            return found

    return call


def _nearby(cluster: Reader, api_version: str, kind: str, spaces: Sequence[str]) -> Mapping[Ref, Object] | None:
    """Give what is in some namespaces, or those namespaces themselves; None when none of that may be read."""
    found: dict[Ref, Object] = {}
    may = False
    for namespace in spaces:
        try:
            if kind == "Namespace":
                one = cluster.find(Ref(api_version=api_version, kind=kind, name=namespace))
                several = [one] if one is not None else []
            else:
                several = list(cluster.list(api_version, kind, namespace=namespace, owners=True))
        except (Forbidden, NotFound):
            continue
        may = True
        found.update((ref_of(each), kept(each)) for each in several)
    return found if may else None


def kept(obj: Object, *, near: frozenset[str] = frozenset()) -> Object:
    """Give an object without what planning never reads; what we own stays whole, so that it can be compared.

    near: domains whose definitions stay whole too, so that nothing that was listed is read again for its schema.
    """
    kind = obj.get("kind")
    if kind == "CustomResourceDefinition" and is_whole(obj, near=near):
        return obj
    meta = dict(obj.get("metadata") or {})
    ours = any(each.get("manager") == MANAGER for each in meta.get("managedFields") or ())
    if not ours and GATEWAY_NAMED not in (meta.get("labels") or {}):
        meta.pop("managedFields", None)
    if meta.get("annotations"):
        meta["annotations"] = {key: value for key, value in meta["annotations"].items() if key not in LONG}
    found: dict[str, Any] = {**obj, "metadata": meta}
    if kind == "Pod":
        found["spec"] = {key: value for key, value in (obj.get("spec") or {}).items() if key in POD_SPEC}
        found["status"] = {key: value for key, value in (obj.get("status") or {}).items() if key in POD_STATUS}
    elif kind == "Node":
        found["status"] = {key: value for key, value in (obj.get("status") or {}).items() if key in NODE_STATUS}
    elif kind == "CustomResourceDefinition":
        spec = dict(obj.get("spec") or {})
        spec["versions"] = [
            {key: value for key, value in each.items() if key not in ("schema", "additionalPrinterColumns")}
            for each in spec.get("versions") or ()
        ]
        found["spec"] = spec
    return found


def is_whole(obj: Object, *, near: frozenset[str] = frozenset()) -> bool:
    """Tell whether meshup made an object, or writes or may write to it: a definition keeps its schemas only then."""
    ours = any(each.get("manager") == MANAGER for each in dig(obj, "metadata", "managedFields") or ())
    named = str(dig(obj, "spec", "group") or "").partition(".")[2] in near
    return ours or named or is_managed(obj)


def with_objects(cluster: Reader, snapshot: Snapshot, refs: Iterable[Ref], *, groups: Iterable[str] = ()) -> Snapshot:
    """Add objects of kinds that no list has brought yet, and those of meshup's own that are of these kinds.

    One list per kind, of one namespace where that is enough.

    groups: as given to `observe`. Kinds the server does not serve, and Secrets, are left out. Definitions of others that
    are named here and outside the mesh's domains are read again, whole. Gives the same snapshot when nothing was missing.
    """
    listed, near = {*ALWAYS, *_further(snapshot.kinds, frozenset(groups))}, _near(groups)
    missing: dict[tuple[str, str], set[Ref]] = {}
    again: list[Ref] = []
    for ref in dict.fromkeys(refs):
        there = snapshot.get(ref)
        if ref.kind == "CustomResourceDefinition" and there is not None and not is_whole(there, near=near):
            again.append(ref)
        kind = (ref.api_version, ref.kind)
        if kind not in listed and kind in snapshot.kinds and ref.kind != "Secret" and ref not in snapshot.objects:
            missing.setdefault(kind, set()).add(ref)

    def listing(kind: tuple[str, str], wanted: set[Ref]) -> Callable[[], Mapping[Ref, Object]]:
        spaces = {ref.namespace for ref in wanted}
        namespace = next(iter(spaces)) if len(spaces) == 1 else ""

        def call() -> Mapping[Ref, Object]:
            try:
                found = cluster.list(*kind, namespace=namespace, owners=True)
                return {ref_of(each): kept(each) for each in found if ref_of(each) in wanted or is_whole(each)}
            except (NotFound, Forbidden):
                return {}

        return call

    def reading(ref: Ref) -> Callable[[], Mapping[Ref, Object]]:
        def call() -> Mapping[Ref, Object]:
            found = cluster.find(ref)
            return {} if found is None else {ref: found}

        return call

    if not missing and not again:
        return snapshot
    calls = [listing(kind, wanted) for kind, wanted in sorted(missing.items())] + [reading(ref) for ref in again]
    more = cluster.gather(calls)
    objects = dict(snapshot.objects)
    for found in more:
        objects.update(found)
    return replace(snapshot, objects=objects)


def bound_to(snapshot: Snapshot, uid: str, *, what: str) -> None:
    """Refuse a runbook that names another cluster (MU2202)."""
    if uid and uid != snapshot.cluster_uid:
        raise Refused(
            f"{what} is for another cluster: {uid[:8]}..., this is {snapshot.cluster_uid[:8]}...",
            code="MU2202",
            why="the UID of namespace kube-system differs",
            fix="choose the right --context, or run meshup init here",
            cluster="nothing was changed",
        )
