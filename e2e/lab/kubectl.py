"""kubectl, as the lab's administrator, and the manifests that the lab applies."""

from __future__ import annotations

import string
from pathlib import Path

from . import config
from .config import Home
from .errors import LabError, run

GATEWAY_TYPES = ("gatewayclasses", "gateways", "httproutes", "referencegrants")


def kubectl(home: Home, *words: str, stdin: str | None = None, kubeconfig: Path | None = None) -> str:
    """Run kubectl and give what it printed. Raises LabError with what it said."""
    who = f"--kubeconfig={kubeconfig or home.kubeconfig}"
    return run(config.kube("kubectl"), who, *words, stdin=stdin, owner=home.state, fix=f"read the logs in {home.logs}")


def asked(home: Home, *words: str) -> str:
    """Run kubectl and give what it printed; empty when it fails, for a question that is asked again."""
    try:
        return kubectl(home, *words)
    except LabError:
        return ""


def apply(home: Home, manifest: str, **values: object) -> None:
    """Apply a file of manifests/ with its $names filled in."""
    text = (config.MANIFESTS / manifest).read_text("utf-8")
    kubectl(home, "apply", "--filename=-", stdin=string.Template(text).substitute(values))


def apply_gateway_api(home: Home) -> None:
    """Give the cluster the types of the Kubernetes Gateway API, and wait until it serves them."""
    kubectl(home, "apply", "--server-side", f"--filename={config.binary('gateway-api', config.GATEWAY_API).parent}")
    types = [f"crd/{kind}.gateway.networking.k8s.io" for kind in GATEWAY_TYPES]
    kubectl(home, "wait", "--for=condition=Established", "--timeout=30s", *types)
