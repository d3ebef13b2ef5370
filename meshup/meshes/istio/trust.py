"""Where istiod keeps the certificates of a mesh (pilot/pkg/bootstrap/istio_ca.go and certs/istio, 1.31)."""

from __future__ import annotations

from meshup.model.jump import Trust
from meshup.model.objects import Ref
from meshup.model.runbook import Mesh

BUNDLE, ENTRY = "istio-ca-root-cert", "root-cert.pem"
SIGNERS = ("cacerts", "istio-ca-secret")
"""A plugged-in authority goes before the one that istiod made for itself."""
ENTRIES = ("root-cert.pem", "ca-cert.pem", "cert-chain.pem", "ca.crt", "tls.crt")
"""Those of a plugged-in authority are named by istio.io, or by cert-manager as in any Secret of TLS."""


def of(mesh: Mesh) -> Trust:
    """Give what proxies of a mesh trust, and what its control planes sign by."""

    def named(kind: str, name: str) -> Ref:
        return Ref(api_version="v1", kind=kind, namespace=mesh.namespace, name=name)

    signers = tuple(named("Secret", name) for name in SIGNERS)
    return Trust(bundle=named("ConfigMap", BUNDLE), entry=ENTRY, signers=signers, entries=ENTRIES)
