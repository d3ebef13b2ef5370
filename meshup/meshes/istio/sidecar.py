"""What a sidecar asks of its pod: resources, rights, a kubelet that ends it; read in the injection template of 1.31."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from meshup.meshes.istio.words import APP_PROTOCOLS, NATIVE, NATIVE_FROM, PROTOCOLS
from meshup.model.objects import Object, annotated, dig, template
from meshup.model.quantity import quantity
from meshup.model.runbook import Mesh
from meshup.model.snapshot import Snapshot

DEFAULT: Mapping[str, str] = {
    "requests.cpu": "100m",
    "requests.memory": "128Mi",
    "limits.cpu": "2000m",
    "limits.memory": "1024Mi",
}
"""global.proxy.resources of the charts."""

BY_POD: Mapping[str, str] = {
    "requests.cpu": "sidecar.istio.io/proxyCPU",
    "requests.memory": "sidecar.istio.io/proxyMemory",
    "limits.cpu": "sidecar.istio.io/proxyCPULimit",
    "limits.memory": "sidecar.istio.io/proxyMemoryLimit",
}
"""A pod with one of these has these alone: the template leaves the mesh's values out."""

SIDECARS_FROM = 29
"""Kubelet minor from which native sidecars are there to be asked for (Kubernetes, SidecarContainers)."""


def resources(workload: Object, mesh: Mesh) -> dict[str, Decimal]:
    """Give what the proxy states, by requests.cpu and so on. Raises ValueError for what is no quantity."""
    notes = annotated(template(workload))
    own = {key: notes[name] for key, name in BY_POD.items() if name in notes}
    return {key: quantity(value) for key, value in (own or _of_the_mesh(mesh)).items()}


def _of_the_mesh(mesh: Mesh) -> dict[str, str]:
    """Lay the runbook's values over the charts'; a null takes a default away."""
    found: dict[str, Any] = dict(DEFAULT)
    given = dig(dict(mesh.values), "global", "proxy")
    if isinstance(given, Mapping) and "resources" in given:
        stated = given["resources"]
        if stated is None:
            return {}
        for block in ("requests", "limits"):
            inner = stated.get(block, {})
            for name in ("cpu", "memory"):
                if inner is None:
                    found[f"{block}.{name}"] = None
                elif name in inner:
                    found[f"{block}.{name}"] = inner[name]
    return {key: str(value) for key, value in found.items() if value is not None}


def declares(port: Object) -> bool:
    """Tell whether a port's protocol is understood: appProtocol beats the name, whose part before "-" counts."""
    said = port.get("appProtocol")
    if said in APP_PROTOCOLS:
        return True
    text = str(said if said is not None else port.get("name") or "").lower()
    return text.startswith("grpc-web") or text.partition("-")[0] in PROTOCOLS


def refused_by_level(workload: Object, mesh: Mesh, *, level: str) -> str:
    """Say what a Pod Security level refuses: istio-init's capabilities, or containers without a seccomp profile."""
    values = dict(mesh.values)
    cni = dig(values, "pilot", "cni", "enabled") is True or dig(values, "components", "cni", "enabled") is True
    if not cni:
        return "its init container istio-init adds NET_ADMIN and NET_RAW"
    if level != "restricted":
        return ""
    seccomp = dig(values, "global", "proxy", "seccompProfile", "type") or dig(
        template(workload), "spec", "securityContext", "seccompProfile", "type"
    )
    if seccomp in ("RuntimeDefault", "Localhost"):
        return ""
    return "its containers have no seccompProfile: set global.proxy.seccompProfile, or the pod's own"


def keeps_jobs(workload: Object, snapshot: Snapshot, mesh: Mesh) -> str | None:
    """Say why a Job's pods would never end: their sidecar is not native. None when no kubelet says its version."""
    notes = annotated(template(workload))
    mode = "true" if notes.get(NATIVE, "false") != "false" else "false" if NATIVE in notes else _mode(mesh)
    if mode == "false":
        where = f"annotation {NATIVE}" if NATIVE in notes else "ENABLE_NATIVE_SIDECARS"
        return f"{where} turns native sidecars off: the Job never ends"
    lowest = SIDECARS_FROM if mode == "true" else NATIVE_FROM
    kubelets = list(_kubelets(snapshot))
    old = next((name for name, minor in kubelets if minor is not None and minor < lowest), "")
    if old:
        return f"node {old} has a kubelet below 1.{lowest}: sidecars are not native there, and the Job never ends"
    return None if not kubelets or any(minor is None for _, minor in kubelets) else ""


def _mode(mesh: Mesh) -> str:
    """Give ENABLE_NATIVE_SIDECARS as istiod will have it; what it does not know is "false" to it."""
    values = dict(mesh.values)
    listed = dig(values, "components", "pilot", "k8s", "env") or ()
    stated = next((each.get("value") for each in listed if each.get("name") == "ENABLE_NATIVE_SIDECARS"), None)
    stated = stated if stated is not None else dig(values, "pilot", "env", "ENABLE_NATIVE_SIDECARS")
    text = "auto" if stated is None else str(stated).lower()
    return text if text in ("true", "auto") else "false"


def _kubelets(snapshot: Snapshot) -> Iterator[tuple[str, int | None]]:
    for node in snapshot.of("Node"):
        parts = str(dig(node, "status", "nodeInfo", "kubeletVersion") or "").lstrip("v").split(".")
        minor = int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else None
        yield str(dig(node, "metadata", "name")), minor
