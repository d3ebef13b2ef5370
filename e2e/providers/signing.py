"""Client certificates from a cluster's own authority, for clusters whose keys are not at hand."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from e2e.lab import pki
from e2e.lab.errors import run

SIGNER = "kubernetes.io/kube-apiserver-client"
FIX = "the kubeconfig's user must be allowed to approve CertificateSigningRequests"


def signed_user(kubeconfig: Path, name: str, groups: Sequence[str], *, folder: Path) -> Path:
    """Ask the cluster for a client certificate and give a kubeconfig that holds it. Raises LabError."""
    folder.mkdir(parents=True, exist_ok=True)
    key, wish = folder / f"{name}.key", folder / f"{name}.csr"
    subject = "".join(f"/O={group}" for group in groups) + f"/CN={name}"
    run("openssl", "req", "-new", *pki.KEY, "-keyout", key, "-out", wish, "-subj", subject, fix=pki.FIX)
    request = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": f"meshup-e2e-{name}"},
        "spec": {
            "request": pki.inline(wish),
            "signerName": SIGNER,
            "usages": ["client auth"],
            "expirationSeconds": 7200,
        },
    }
    called = f"csr/meshup-e2e-{name}"
    _kubectl(kubeconfig, "delete", called, "--ignore-not-found")
    _kubectl(kubeconfig, "create", "--filename=-", stdin=json.dumps(request))
    _kubectl(kubeconfig, "certificate", "approve", called.partition("/")[2])
    _kubectl(kubeconfig, "wait", "--for=jsonpath={.status.certificate}", called, "--timeout=30s")
    issued = _kubectl(kubeconfig, "get", called, "--output=jsonpath={.status.certificate}")
    document = json.loads(_kubectl(kubeconfig, "config", "view", "--raw", "--minify", "--flatten", "--output=json"))
    identity = {"client-certificate-data": issued, "client-key-data": base64.b64encode(key.read_bytes()).decode()}
    return _with_identity(document, name, identity, folder / f"{name}.kubeconfig")


def _with_identity(document: dict[str, Any], name: str, identity: dict[str, str], path: Path) -> Path:
    document["users"] = [{"name": name, "user": identity}]
    for each in document["contexts"]:
        each["context"]["user"] = name
    path.touch(mode=0o600)
    path.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    return path


def _kubectl(kubeconfig: Path, *words: str, stdin: str | None = None) -> str:
    return run("kubectl", f"--kubeconfig={kubeconfig}", *words, stdin=stdin, fix=FIX)


def tell(kubeconfig: Path, folder: Path) -> None:
    """Keep what kubectl tells of a cluster: events and pods."""
    folder.mkdir(parents=True, exist_ok=True)
    for what in ("events", "pods"):
        asked = ["kubectl", f"--kubeconfig={kubeconfig}", "get", what, "--all-namespaces", "--output=yaml"]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        (folder / f"{what}.yaml").write_text(done.stdout or done.stderr, "utf-8")
