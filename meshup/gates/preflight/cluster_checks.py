"""Checks of the cluster itself: its version, what it serves, who asks, what else is installed."""

from __future__ import annotations

from collections.abc import Iterator

from meshup.gates.preflight.facts import Facts, Found
from meshup.model.objects import Object, annotated, dig, labels

NAME_SERVICES = (("kube-system", "kube-dns"), ("openshift-dns", "dns-default"))
HELM = "meta.helm.sh/release-name"


def version(facts: Facts) -> Iterator[Found]:
    """Find a server version that the mesh does not support."""
    release, server = facts.book.mesh.release, facts.snapshot.server_version
    why = facts.driver.supports(release, server)
    if why is None:
        because = f"nothing is known of release {release} on a server {server}"
        yield Found(object="the API server", because=because, is_open=True)
    elif why:
        yield Found(object="the API server", because=why)


def api(facts: Facts) -> Iterator[Found]:
    """Find kinds that the server does not serve, of those that the plan is made of."""
    wanted = [
        ("apps/v1", "Deployment"),
        ("policy/v1", "PodDisruptionBudget"),
        ("autoscaling/v2", "HorizontalPodAutoscaler"),
        ("coordination.k8s.io/v1", "Lease"),
        ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"),
        ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        *((each.workload.api_version, each.workload.kind) for each in facts.chosen()),
    ]
    if facts.book.ingress is not None and facts.book.ingress.api == "gateway":
        wanted += [("gateway.networking.k8s.io/v1", "Gateway"), ("gateway.networking.k8s.io/v1", "HTTPRoute")]
    for each in dict.fromkeys(wanted):
        if each not in facts.snapshot.kinds:
            yield Found(
                object=f"{each[1]} {each[0]}",
                because="the server does not serve it; for Gateway API install its definitions first",
            )


def rights(facts: Facts) -> Iterator[Found]:
    """Find rights that this identity lacks."""
    for each in facts.denied:
        yield Found(object=facts.snapshot.identity.user, because=f"may not {each}")
    for kind, why in facts.unread.items():
        yield Found(object=facts.snapshot.identity.user, because=f"may not list {kind}: {why}")


def dns(facts: Facts) -> Iterator[Found]:
    """Find a cluster without a name service, or with nobody ready behind it."""
    found = next((each for each in facts.snapshot.of("Service") if _is_name_service(each)), None)
    if found is None:
        because = "there is no cluster DNS: proxies find their control plane by name"
        yield Found(object="Service kube-system/kube-dns", because=because)
        return
    what = f"Service {dig(found, 'metadata', 'namespace')}/{dig(found, 'metadata', 'name')}"
    behind = facts.behind(found)
    if behind is None:
        yield Found(object=what, because="it selects no pods, so whether anybody answers is not known", is_open=True)
    elif not behind:
        yield Found(object=what, because="nobody ready is behind the cluster's DNS")


def _is_name_service(service: Object) -> bool:
    where = (str(dig(service, "metadata", "namespace")), str(dig(service, "metadata", "name")))
    return where in NAME_SERVICES or (where[0] == "kube-system" and labels(service).get("k8s-app") == "kube-dns")


def meshes(facts: Facts) -> Iterator[Found]:
    """Find other meshes."""
    for each in facts.driver.conflicts(facts.snapshot, facts.book.mesh):
        yield Found(object=each.partition(" is ")[0], because=each)


def definitions(facts: Facts) -> Iterator[Found]:
    """Find shared definitions with two owners, which change them back and forth."""
    families = {each.partition(".")[2] for each in facts.driver.groups}
    for each in facts.snapshot.of("CustomResourceDefinition"):
        owners = sorted(_owners(each).values())
        if len(owners) > 1 and str(dig(each, "spec", "group") or "").partition(".")[2] in families:
            what = f"CustomResourceDefinition {dig(each, 'metadata', 'name')}"
            yield Found(object=what, because=f"it has {len(owners)} owners: {', '.join(owners)}")


def _owners(definition: Object) -> dict[str, str]:
    """Give owner -> how it is told: labels, a Helm release, and who keeps the spec by server-side apply."""
    own, notes = labels(definition), annotated(definition)
    found: dict[str, str] = {}
    for key in ("meshup.dev/managed-by", "app.kubernetes.io/managed-by", "linkerd.io/created-by"):
        value = own.get(key) or notes.get(key) or ""
        if value and value != "Helm":
            found[value.lower()] = value
    if HELM in notes:
        found["helm"] = f"Helm release {notes[HELM]}"
    for entry in dig(definition, "metadata", "managedFields") or ():
        manager = str(entry.get("manager") or "")
        if (
            entry.get("operation") == "Apply"
            and not entry.get("subresource")
            and "f:spec" in (entry.get("fieldsV1") or {})
        ):
            found.setdefault(manager.lower(), manager)
    return found
