"""A real Kubernetes cluster on this machine alone, with Istio's and Prometheus' images, and no image registry.

Every program is compiled from its Go module; stock Envoy comes from a Python wheel and the sidecar's base system from
Debian; images are put together here. `python -m e2e.lab COMMAND` by hand, the names below from tests.
"""

from __future__ import annotations

from . import audit
from .building import build
from .cluster import down, restart, status, up
from .config import (
    FORTIO_IMAGE,
    ISTIO_NEW,
    ISTIO_OLD,
    ISTIOS,
    MESHUP_IMAGE,
    NODE_IP,
    PROMETHEUS_SERVICE,
    Home,
    Istio,
    istioctl,
    kube,
)
from .errors import LabError
from .evidence import collect
from .kubectl import kubectl
from .people import as_user, certificate, token, user
from .store import assemble as images

__all__ = [
    "FORTIO_IMAGE",
    "ISTIOS",
    "ISTIO_NEW",
    "ISTIO_OLD",
    "MESHUP_IMAGE",
    "NODE_IP",
    "PROMETHEUS_SERVICE",
    "Home",
    "Istio",
    "LabError",
    "as_user",
    "audit",
    "build",
    "certificate",
    "collect",
    "down",
    "images",
    "istioctl",
    "kube",
    "kubectl",
    "restart",
    "status",
    "token",
    "up",
    "user",
]
