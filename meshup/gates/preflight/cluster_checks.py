"""Checks of the cluster itself: its version, what it serves, who asks, what else is installed."""

from __future__ import annotations

from collections.abc import Iterator

from meshup.gates.preflight.facts import Facts, Found
from meshup.model.objects import Object, dig, labels, matches


def version(facts: Facts) -> Iterator[Found]:
    """Find a server version that the mesh does not support."""
    supports = getattr(facts.driver, "supports", None)
    why = supports(facts.book.mesh.release, facts.snapshot.server_version) if supports is not None else ""
    if why:
        yield Found(object="the API server", because=why)


def api(facts: Facts) -> Iterator[Found]:
    """Find kinds that the server does not serve."""
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


def rights(facts: Facts) -> Iterator[Found]:
    """Find rights that this identity lacks."""
    for each in facts.denied:
        yield Found(object=facts.snapshot.identity.user, because=f"may not {each}")
    for each in facts.unread:
        yield Found(object=facts.snapshot.identity.user, because=f"may not list {each}")


def dns(facts: Facts) -> Iterator[Found]:
    """Find a cluster without a name service."""
    if facts.dns is False:
        yield Found(
            object="Service kube-system/kube-dns",
            because="there is no cluster DNS: proxies find their control plane by name",
        )


def meshes(facts: Facts) -> Iterator[Found]:
    """Find other meshes."""
    for each in facts.driver.conflicts(facts.snapshot, facts.book.mesh):
        yield Found(object=each.partition(" is ")[0], because=each)


def injector(facts: Facts) -> Iterator[Found]:
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


def definitions(facts: Facts) -> Iterator[Found]:
    """Find shared definitions with two owners, which change them back and forth."""
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
