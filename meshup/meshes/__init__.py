"""One file or package per mesh; a driver knows labels, manifests and counters, and never touches the cluster."""

from __future__ import annotations

from meshup.meshes.driver import Driver
from meshup.meshes.istio.driver import IstioSidecar

BUILT_IN: tuple[Driver, ...] = (IstioSidecar(),)
