"""PeerAuthentication: which policies put services in a mode, which of others stand in the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, cast

from meshup.meshes.driver import Policy
from meshup.meshes.istio.words import SECURITY
from meshup.model.objects import Object, Ref, dig, labels, matches, template
from meshup.model.runbook import Mesh, Service
from meshup.model.snapshot import Snapshot

API = f"{SECURITY}/v1"
MODES = {"strict": "STRICT", "permissive": "PERMISSIVE"}
MANAGED = "meshup.dev/managed-by"
DEFEATING = frozenset({"DISABLE", "SIMPLE", "MUTUAL"})


def _body(name: str, namespace: str, mode: str, selector: dict[str, str] | None) -> dict[str, Any]:
    spec: dict[str, Any] = {"mtls": {"mode": MODES[mode]}}
    if selector is not None:
        spec["selector"] = {"matchLabels": selector}
    return {
        "apiVersion": API,
        "kind": "PeerAuthentication",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def policies(
    services: Sequence[Service], snapshot: Snapshot, mesh: Mesh, *, level: str, mode: str
) -> tuple[Policy, ...]:
    """Give the policies of one level; workloads that serve nobody need none of their own."""
    chosen = [each for each in services if not each.client_only]
    width = cast("Literal['workload', 'namespace', 'mesh']", level)
    way = cast("Literal['permissive', 'strict']", mode)
    match level:
        case "workload":
            found = []
            for each in chosen:
                selector = selector_of(each, snapshot)
                if selector:
                    body = _body(f"meshup-{each.name}", each.namespace, mode, selector)
                    found.append(Policy(level=width, mode=way, body=body, covers=(each.id,)))
            return tuple(found)
        case "namespace":
            names = sorted({each.namespace for each in chosen})
            return tuple(
                Policy(
                    level=width,
                    mode=way,
                    body=_body("default", name, mode, None),
                    covers=tuple(each.id for each in chosen if each.namespace == name),
                )
                for name in names
            )
        case "mesh":
            body = _body("default", mesh.namespace, mode, None)
            return (Policy(level=width, mode=way, body=body, covers=tuple(each.id for each in chosen)),)
        case _:
            raise ValueError(level)


def selector_of(service: Service, snapshot: Snapshot) -> dict[str, str]:
    """Give labels that select a service's pods: its workload's own selector; {} when it has none."""
    workload = snapshot.get(service.workload)
    found = dig(workload, "spec", "selector", "matchLabels")
    if found:
        return dict(found)
    own = dig(template(workload or {}), "metadata", "labels") or {}
    return {key: value for key, value in own.items() if "/" not in key}


def _all(snapshot: Snapshot) -> Iterator[Object]:
    yield from snapshot.of("PeerAuthentication")


def _is_ours(policy: Object) -> bool:
    return labels(policy).get(MANAGED) == "meshup"


def conflicts(services: Sequence[Service], snapshot: Snapshot, *, level: str) -> tuple[str, ...]:
    """Name policies and rules of others that select the same workloads or defeat mutual TLS."""
    found: list[str] = []
    for policy in _all(snapshot):
        if _is_ours(policy):
            continue
        namespace = str(dig(policy, "metadata", "namespace"))
        name = str(dig(policy, "metadata", "name"))
        selector = dig(policy, "spec", "selector", "matchLabels")
        for each in services:
            if each.namespace != namespace:
                continue
            if selector and matches({"matchLabels": selector}, selector_of(each, snapshot)):
                found.append(f"PeerAuthentication {namespace}/{name} selects {each.id} and is not meshup's")
        if not selector and level == "namespace" and any(each.namespace == namespace for each in services):
            found.append(f"PeerAuthentication {namespace}/{name} decides for the namespace and is not meshup's")
    for rule in snapshot.of("DestinationRule"):
        mode = dig(rule, "spec", "trafficPolicy", "tls", "mode")
        if mode in DEFEATING:
            host = str(dig(rule, "spec", "host") or "")
            for each in services:
                if host in _hosts(each, str(dig(rule, "metadata", "namespace") or "")):
                    found.append(
                        f"DestinationRule {dig(rule, 'metadata', 'namespace')}/{dig(rule, 'metadata', 'name')} sets tls.mode "
                        f"{mode} for {each.id}, which defeats mutual TLS"
                    )
    return tuple(dict.fromkeys(found))


def _hosts(service: Service, namespace: str) -> frozenset[str]:
    short = {service.name} if namespace == service.namespace else set()
    full = f"{service.name}.{service.namespace}"
    return frozenset(
        {*short, full, f"{full}.svc", f"{full}.svc.cluster.local", f"*.{service.namespace}.svc.cluster.local"}
    )


def is_strict(service: Service, snapshot: Snapshot, *, root: str) -> bool:
    """Tell whether the narrowest policy that speaks for a service refuses plaintext."""
    own = selector_of(service, snapshot)
    levels: dict[str, str] = {}
    for policy in _all(snapshot):
        namespace = str(dig(policy, "metadata", "namespace"))
        mode = str(dig(policy, "spec", "mtls", "mode") or "UNSET")
        selector = dig(policy, "spec", "selector", "matchLabels")
        if mode == "UNSET":
            continue
        if selector and namespace == service.namespace and matches({"matchLabels": selector}, own):
            levels["workload"] = mode
        elif not selector and namespace == service.namespace:
            levels["namespace"] = mode
        elif not selector and namespace == root:
            levels["mesh"] = mode
    for level in ("workload", "namespace", "mesh"):
        if level in levels:
            return levels[level] == "STRICT"
    return False


def ref_of_policy(policy: Policy) -> Ref:
    """Name the object of a policy."""
    meta = policy.body["metadata"]
    return Ref(api_version=API, kind="PeerAuthentication", namespace=meta["namespace"], name=meta["name"])
