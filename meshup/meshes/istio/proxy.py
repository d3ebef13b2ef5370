"""The proxy in a pod, ordinary or native, with the release its running container says."""

from __future__ import annotations

from meshup.meshes.driver import Proxy
from meshup.meshes.istio.words import PROXY, REV
from meshup.model.objects import Object, annotated, dig, labels


def release_of(image: str) -> str:
    """Read a release from an image: its tag without a distribution suffix; "" for a digest alone."""
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
            image = str(container.get("image") or "")
            return Proxy(
                release=release_of(image),
                revision=annotated(pod).get(REV) or labels(pod).get(REV) or "",
                container=PROXY,
                ready=bool(state.get("ready")),
                native=native,
            )
    return None


def is_gateway(pod: Object) -> bool:
    """Tell whether a pod is a gateway: a proxy that stands alone."""
    several = dig(pod, "spec", "containers") or ()
    return [each.get("name") for each in several] == [PROXY]
