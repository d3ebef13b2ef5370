"""The proxy in a pod, ordinary or native, with the release its running container says."""

from __future__ import annotations

from meshup.meshes.driver import Proxy
from meshup.meshes.istio.enrol import injected_by
from meshup.meshes.istio.words import PROXY, REV
from meshup.model.objects import Object, labels


def release_of(image: str) -> str:
    """Read a release from an image: its tag without a distribution suffix; "" for a digest alone."""
    if image.startswith("sha256:"):
        return ""
    name = image.partition("@")[0]
    tag = name.rpartition(":")[2] if ":" in name.rpartition("/")[2] else ""
    for suffix in ("-distroless", "-debug"):
        tag = tag.removesuffix(suffix)
    return tag


def find(pod: Object) -> Proxy | None:
    """Find the sidecar among containers and native sidecars; None when the pod is bare."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    for where, statuses, native in (
        ("containers", "containerStatuses", False),
        ("initContainers", "initContainerStatuses", True),
    ):
        for container in spec.get(where) or ():
            if container.get("name") != PROXY or (native and container.get("restartPolicy") != "Always"):
                continue
            state: Object = next((each for each in status.get(statuses) or () if each.get("name") == PROXY), {})
            running, asked = release_of(str(state.get("image") or "")), release_of(str(container.get("image") or ""))
            return Proxy(
                release=running or asked,
                revision=injected_by(pod) or labels(pod).get(REV) or "",
                container=PROXY,
                ready=bool(state.get("ready")),
                native=native,
            )
    return None
