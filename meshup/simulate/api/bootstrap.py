"""What a fresh cluster holds: its namespaces, the default roles, the service of the API server."""

from __future__ import annotations

from meshup.simulate.api.kinds import shape
from meshup.simulate.api.store import Obj
from meshup.simulate.api.writes import How, Writes

SYSTEM = ("default", "kube-node-lease", "kube-public", "kube-system")
RBAC = ("rbac.authorization.k8s.io/v1", {"clusterroles": "ClusterRole", "clusterrolebindings": "ClusterRoleBinding"})


def fill(writes: Writes) -> None:
    """Write what a real server writes at its first start."""
    how = How(manager="kube-apiserver", controller=True)
    kinds = writes.registry
    for name in SYSTEM:
        plain: Obj = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        writes.create(kinds.named("namespaces"), "", plain, How(manager="kube-apiserver"))
    api_version, names = RBAC
    for plural, kind in names.items():
        for each in shape("roles.json")[plural]:
            obj = {**each, "apiVersion": api_version, "kind": kind}
            writes.create(kinds.named(f"{plural}.rbac.authorization.k8s.io"), "", obj, how)
    service: Obj = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kubernetes", "labels": {"component": "apiserver", "provider": "kubernetes"}},
        "spec": {
            "clusterIP": "10.96.0.1",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}],
        },
    }
    writes.create(kinds.named("services"), "default", service, How(manager="kube-apiserver"))
