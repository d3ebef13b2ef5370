"""PeerAuthentication: which policies put services in a mode, which of others stand in the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, TypeAlias, cast

from meshup.meshes.driver import Policy
from meshup.meshes.istio.words import SECURITY
from meshup.model.objects import Object, dig, is_managed, labels, matches, template
from meshup.model.runbook import Mesh, Service
from meshup.model.snapshot import Snapshot

API = f"{SECURITY}/v1"
MODES = {"strict": "STRICT", "permissive": "PERMISSIVE"}
Level: TypeAlias = Literal["workload", "namespace", "mesh"]
Mode: TypeAlias = Literal["permissive", "strict"]
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


def _policy(level: Level, mode: Mode, body: Object, covers: tuple[str, ...]) -> Policy:
    return Policy(
        level=level,
        mode=mode,
        body=body,
        covers=covers,
        plural="peerauthentications",
        field="spec.mtls.mode",
        back=MODES["permissive"],
    )


def policies(
    services: Sequence[Service], snapshot: Snapshot, mesh: Mesh, *, level: str, mode: str
) -> tuple[Policy, ...]:
    """Give the policies of one level; workloads that serve nobody need none of their own."""
    chosen = [each for each in services if not each.client_only]
    width, way = cast("Level", level), cast("Mode", mode)
    match level:
        case "workload":
            found = []
            for each in chosen:
                selector = selector_of(each, snapshot)
                if selector:
                    body = _body(f"meshup-{each.name}", each.namespace, mode, selector)
                    found.append(_policy(width, way, body, (each.id,)))
            return tuple(found)
        case "namespace":
            names = sorted({each.namespace for each in chosen})
            return tuple(
                _policy(
                    width,
                    way,
                    _body("default", name, mode, None),
                    tuple(each.id for each in chosen if each.namespace == name),
                )
                for name in names
            )
        case "mesh":
            body = _body("default", mesh.namespace, mode, None)
            return (_policy(width, way, body, tuple(each.id for each in chosen)),)
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


def roots(snapshot: Snapshot) -> frozenset[str]:
    """Give the namespaces whose policies speak for a whole mesh: those with a control plane."""
    found = {str(dig(each, "metadata", "namespace")) for each in snapshot.of("Deployment") if _is_plane(each)}
    return frozenset(found or {"istio-system"})


def _is_plane(deployment: Object) -> bool:
    return labels(deployment).get("app") == "istiod"


def conflicts(services: Sequence[Service], snapshot: Snapshot, *, level: str) -> tuple[str, ...]:
    """Name policies and rules of others that select the same workloads or defeat mutual TLS."""
    found: list[str] = []
    root = roots(snapshot)
    for policy in _all(snapshot):
        if is_managed(policy):
            continue
        namespace = str(dig(policy, "metadata", "namespace"))
        what = f"PeerAuthentication {namespace}/{dig(policy, 'metadata', 'name')}"
        selector = dig(policy, "spec", "selector", "matchLabels")
        mine = [each for each in services if each.namespace == namespace]
        if selector:
            found += [
                f"{what} selects {each.id} and is not meshup's"
                for each in mine
                if matches({"matchLabels": selector}, selector_of(each, snapshot))
            ]
        elif level == "namespace" and mine and namespace not in root:
            found.append(f"{what} decides for the namespace and is not meshup's")
        elif level == "mesh" and namespace in root:
            found.append(f"{what} decides for the mesh and is not meshup's")
    for rule in snapshot.of("DestinationRule"):
        where = str(dig(rule, "metadata", "namespace") or "")
        for mode in sorted(_modes(rule) & DEFEATING):
            found += [
                f"DestinationRule {where}/{dig(rule, 'metadata', 'name')} sets tls.mode {mode} for {each.id}, "
                "which defeats mutual TLS"
                for each in services
                if _is_for(str(dig(rule, "spec", "host") or ""), each, where)
            ]
    return tuple(dict.fromkeys(found))


def _modes(rule: Object) -> set[str]:
    """Give every tls.mode a rule sets: for the host, for a port, for a subset."""
    several = [
        dig(rule, "spec", "trafficPolicy"),
        *(dig(each, "trafficPolicy") for each in dig(rule, "spec", "subsets") or ()),
    ]
    several += [port for each in several for port in dig(each, "portLevelSettings") or ()]
    return {str(mode) for each in several if (mode := dig(each, "tls", "mode"))}


def _is_for(host: str, service: Service, namespace: str) -> bool:
    """Tell whether a rule's host names a service; short names are of the rule's own namespace, "*" begins a suffix."""
    full = f"{service.name}.{service.namespace}.svc.cluster.local"
    if host.startswith("*"):
        return full.endswith(host[1:])
    short = {service.name} if namespace == service.namespace else set()
    return host in {*short, f"{service.name}.{service.namespace}", f"{service.name}.{service.namespace}.svc", full}


def is_strict(service: Service, snapshot: Snapshot) -> bool:
    """Tell whether the narrowest policy that speaks for a service refuses plaintext; of several the oldest decides."""
    own, root = selector_of(service, snapshot), roots(snapshot)
    levels: dict[str, str] = {}
    by_age = sorted(_all(snapshot), key=lambda each: str(dig(each, "metadata", "creationTimestamp") or ""))
    for policy in by_age:
        namespace = str(dig(policy, "metadata", "namespace"))
        mode = str(dig(policy, "spec", "mtls", "mode") or "UNSET")
        selector = dig(policy, "spec", "selector", "matchLabels")
        if mode == "UNSET":
            continue
        if selector and namespace == service.namespace and matches({"matchLabels": selector}, own):
            levels.setdefault("workload", mode)
        elif not selector and namespace == service.namespace:
            levels.setdefault("namespace", mode)
        elif not selector and namespace in root:
            levels.setdefault("mesh", mode)
    for level in ("workload", "namespace", "mesh"):
        if level in levels:
            return levels[level] == "STRICT"
    return False
