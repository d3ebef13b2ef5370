"""From a snapshot to a proposal: who owns what, who opted in, which waves, in which order and why. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from meshup.engine.opted import words
from meshup.meshes.driver import Driver
from meshup.model.objects import Object, Ref, annotated, dig, is_managed, labels, matches, ref_of, template
from meshup.model.proposal import Proposal
from meshup.model.runbook import Ingress, Manifests, Mesh, Metrics, OptIn, Service, Wave
from meshup.model.snapshot import Snapshot

OWNER_ANNOTATION = "meshup.dev/owner"
OWNER_LABELS = ("owner", "team", "app.kubernetes.io/part-of")
OPT_IN = "meshup.dev/opt-in"
CRITICAL = "meshup.dev/critical"
KINDS = ("Deployment", "StatefulSet", "DaemonSet", "CronJob")
SYSTEM = frozenset({"kube-system", "kube-public", "kube-node-lease", "meshup-system", "istio-system"})
WAVE_SIZE, WIDEST = 5, 100
"""Services of the first wave, at most, and of the widest. The second has twice the first's."""
RELEASE = "1.30.3"


def propose(
    snapshot: Snapshot,
    driver: Driver,
    *,
    release: str = "",
    values: Mapping[str, Any] | None = None,
    name: str = "mesh",
) -> Proposal:
    """Propose a runbook for the cluster as it is. Nobody is opted in who did not say so.

    release: the one to pin, else that of the mesh's program at hand. values: for the mesh's own charts or program.
    """
    installed = driver.installed(snapshot)
    manifests, own = (Manifests(source="stand-in"), "") if snapshot.simulator else driver.at_hand()
    release = release or own or RELEASE
    mesh = Mesh(
        driver=driver.name,
        release=release,
        revision=revision_of(release),
        namespace="istio-system",
        manifests=manifests,
        values=dict(values or {}),
        keep_revisions=_kept(snapshot, driver, installed, own=revision_of(release)),
    )
    gateways = _front_doors(snapshot)
    services: list[Service] = []
    blocked: list[tuple[str, str]] = []
    owners: list[tuple[str, str]] = []
    for workload in _workloads(snapshot, gateways):
        service, source = _service(workload, snapshot)
        why_not = driver.enrolment(workload, snapshot, mesh.revision).blocked
        owners.append((service.id, source))
        if why_not:
            blocked.append((f"{service.workload}", why_not))
            continue
        services.append(service)
    waves, why = _waves(services, snapshot)
    ingress = _ingress(snapshot, driver)
    return Proposal(
        name=name,
        cluster_uid=snapshot.cluster_uid,
        context=snapshot.context,
        server=snapshot.server_version,
        user=snapshot.identity.user,
        mesh=mesh,
        chosen=_chosen(mesh, installed),
        ingress=ingress,
        services=tuple(services),
        waves=waves,
        metrics=_metrics(snapshot),
        why=tuple(why),
        owners=tuple(owners),
        blocked=tuple(blocked),
        workloads=len(owners),
        namespaces=len({each.namespace for each in services}),
    )


def revision_of(release: str) -> str:
    """Name the revision that a release is installed as."""
    return release.replace(".", "-").replace("+", "-").lower()


def _chosen(mesh: Mesh, installed: Mapping[str, str]) -> str:
    there = ", ".join(f"{revision} ({release or 'unknown'})" for revision, release in sorted(installed.items()))
    if mesh.revision in installed:
        return f"its revision is installed already; there are: {there}"
    return f"a new revision beside {there}" if there else "no control plane is installed yet"


def _kept(snapshot: Snapshot, driver: Driver, installed: Mapping[str, str], *, own: str) -> tuple[str, ...]:
    """Name revisions that stay: those somebody runs on, and the newest other one, as a way back."""
    others = {revision: release for revision, release in installed.items() if revision != own}
    newest = max(others, key=lambda revision: (_order(others[revision]), revision), default="")
    return tuple(sorted({*(_in_use(snapshot, driver) & set(others)), *([newest] if newest else [])}))


def _order(release: str) -> tuple[int, ...]:
    """Give the numbers of a release, for comparing; anything that is no number counts as 0."""
    return tuple(int(each) if each.isdigit() else 0 for each in release.partition("-")[0].split("."))


def _in_use(snapshot: Snapshot, driver: Driver) -> set[str]:
    found = set()
    for pod in snapshot.of("Pod"):
        proxy = driver.proxy(pod)
        if proxy is not None and proxy.revision:
            found.add(proxy.revision)
    return found


def _front_doors(snapshot: Snapshot) -> frozenset[str]:
    """Name namespaces of existing ingress controllers: an IngressClass's usual homes, by what runs there."""
    found = set()
    for each in snapshot.of("Deployment"):
        name = str(dig(each, "metadata", "name"))
        if "ingress" in name or (
            labels(each).get("app.kubernetes.io/component") == "controller" and "ingress" in str(labels(each))
        ):
            found.add(str(ref_of(each)))
    return frozenset(found)


def _workloads(snapshot: Snapshot, gateways: frozenset[str]) -> Iterator[Object]:
    for kind in KINDS:
        for each in snapshot.of(kind):
            namespace = str(dig(each, "metadata", "namespace"))
            if namespace in SYSTEM or str(ref_of(each)) in gateways:
                continue
            if is_managed(each) or labels(each).get("app") == "istiod":
                continue
            if annotated(each).get("meshup.dev/ignore") == "true":
                continue
            yield each


def _service(workload: Object, snapshot: Snapshot) -> tuple[Service, str]:
    ref = ref_of(workload)
    owner, source = _owner(workload, snapshot)
    return (
        Service(
            name=ref.name,
            namespace=ref.namespace,
            workload=ref,
            owner=owner,
            critical=annotated(workload).get(CRITICAL) == "true",
            opt_in=_opt_in(workload, snapshot),
            client_only=not _serves(workload, snapshot),
        ),
        source,
    )


def _owner(workload: Object, snapshot: Snapshot) -> tuple[str, str]:
    notes = annotated(workload)
    if notes.get(OWNER_ANNOTATION):
        return notes[OWNER_ANNOTATION], "annotation"
    found = {**labels(workload), **(dig(template(workload), "metadata", "labels") or {})}
    for key in OWNER_LABELS:
        if found.get(key):
            return str(found[key]), "label"
    namespace = snapshot.get(Ref(api_version="v1", kind="Namespace", name=str(dig(workload, "metadata", "namespace"))))
    above = {**labels(namespace or {}), **annotated(namespace or {})}
    for key in (OWNER_ANNOTATION, *OWNER_LABELS):
        if above.get(key):
            return str(above[key]), "namespace"
    return "", ""


def _opt_in(workload: Object, snapshot: Snapshot) -> OptIn | None:
    """Give what the owner said last: an OptIn object beats the annotation. Nobody's silence is an opt-in."""
    ref = ref_of(workload)
    word = words(snapshot)[0].get(f"{ref.namespace}/{ref.name}")
    if word is not None:
        return OptIn(by=word.user, at=word.at) if word.joins else None
    return _annotated(workload)


def _annotated(workload: Object) -> OptIn | None:
    """Read "WHO DATE"; anything else is no opt-in, and never a silent one."""
    who, _, when = annotated(workload).get(OPT_IN, "").rpartition(" ")
    if not who:
        return None
    try:
        at = datetime.fromisoformat(when.replace("Z", "+00:00"))
    except ValueError:
        return None
    return OptIn(by=who.strip(), at=at if at.tzinfo else at.replace(tzinfo=UTC))


def _serves(workload: Object, snapshot: Snapshot) -> bool:
    own = dig(template(workload), "metadata", "labels") or {}
    for each in snapshot.of("Service", str(dig(workload, "metadata", "namespace"))):
        selector = dig(each, "spec", "selector")
        if selector and matches({"matchLabels": selector}, own):
            return True
    return False


def _weight(service: Service, snapshot: Snapshot) -> tuple[int, int, int, str]:
    """Order off the critical path first, simple kinds first, small first."""
    workload = snapshot.get(service.workload) or {}
    replicas = int(dig(workload, "spec", "replicas") or 1)
    kind = {"CronJob": 0, "Deployment": 1, "DaemonSet": 2, "StatefulSet": 3}.get(service.workload.kind, 4)
    return int(service.critical), kind if not service.critical else 0, replicas, service.id


def _waves(services: Sequence[Service], snapshot: Snapshot) -> tuple[tuple[Wave, ...], list[tuple[str, str]]]:
    willing = sorted((each for each in services if each.opt_in is not None), key=lambda each: _weight(each, snapshot))
    why: list[tuple[str, str]] = []
    groups: dict[str, list[Service]] = defaultdict(list)
    for each in willing:
        groups["critical" if each.critical else "plain"].append(each)
    waves: list[Wave] = []
    plain = groups["plain"]
    first = min(WAVE_SIZE, max(1, len(plain) // 3))
    for several, reason in (
        (plain[:first], "off the critical path, smallest first"),
        (plain[first:], "off the critical path, wider"),
        (groups["critical"], "on the critical path, last"),
    ):
        for part in _growing(several):
            name = f"wave-{len(waves) + 1}"
            waves.append(Wave(name=name, services=tuple(each.id for each in part)))
            why.append((name, reason))
            why += [(each.id, _reason(each, snapshot)) for each in part]
    why += [(each.id, "no wave: its owner did not opt in") for each in services if each.opt_in is None]
    return tuple(waves), why


def _growing(services: Sequence[Service]) -> Iterator[Sequence[Service]]:
    """Cut services into waves, each twice as wide as the one before: what went well for few is tried on more."""
    at, size = 0, WAVE_SIZE * 2
    while at < len(services):
        yield services[at : at + size]
        at, size = at + size, min(size * 2, WIDEST)


def _reason(service: Service, snapshot: Snapshot) -> str:
    workload = snapshot.get(service.workload) or {}
    replicas = dig(workload, "spec", "replicas")
    parts = ["critical" if service.critical else "not critical", service.workload.kind]
    if replicas is not None:
        parts.append(f"{replicas} replicas")
    if service.client_only:
        parts.append("serves nobody")
    return ", ".join(parts)


def _ingress(snapshot: Snapshot, driver: Driver) -> Ingress | None:
    existing = [each for each in snapshot.of("Ingress") if dig(each, "metadata", "namespace") not in SYSTEM]
    if not existing:
        return None
    read = driver.translate(existing)
    api = (
        "gateway" if ("gateway.networking.k8s.io/v1", "HTTPRoute") in snapshot.kinds or snapshot.simulator else "istio"
    )
    hosts = tuple(replace(host, tls_secret="") if not host.tls_secret else host for host in read.hosts)
    return Ingress(
        api=api,  # type: ignore[arg-type]
        name="edge",
        namespace="istio-ingress",
        hosts=hosts,
        source=tuple(ref_of(each) for each in existing),
        untranslated=read.dropped,
    )


def _metrics(snapshot: Snapshot) -> Metrics:
    """Find the Service of a Prometheus: by its name and by port 9090, which it is reached at or leads to."""
    found = [
        (dig(each, "spec", "clusterIP") == "None", str(dig(each, "metadata", "namespace")), name, int(port["port"]))
        for each in snapshot.of("Service")
        for port in dig(each, "spec", "ports") or ()
        if "prometheus" in (name := str(dig(each, "metadata", "name")))
        and 9090 in (port["port"], port.get("targetPort"))
    ]
    if not found:
        return Metrics()
    _, namespace, name, number = min(found)
    return Metrics(service=f"{namespace}/{name}:{number}")
