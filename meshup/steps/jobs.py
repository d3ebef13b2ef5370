"""Jobs of ours in the cluster: the guard and the probe, outside the mesh, with just the rights they need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from meshup import __version__
from meshup.model.objects import Object

HOME = "meshup-system"
IMAGE = f"meshup.dev/guard:{__version__}"
RESTRICTED: Mapping[str, Any] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def job(
    name: str, arguments: Sequence[str], *, account: str, image: str, pods: int, outside: Mapping[str, str]
) -> Object:
    """Give a Job that runs `meshup ARGUMENTS`, its pods on different nodes where possible.

    outside: labels that keep its pods out of the mesh.
    """
    labels = {"app.kubernetes.io/name": name, **outside}
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {"app.kubernetes.io/name": name}},
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": HOME},
        "spec": {
            "parallelism": pods,
            "completions": pods,
            "backoffLimit": 20,
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "serviceAccountName": account,
                    "restartPolicy": "OnFailure",
                    "topologySpreadConstraints": [spread],
                    "containers": [
                        {
                            "name": "meshup",
                            "image": image,
                            "imagePullPolicy": "IfNotPresent",
                            "command": ["meshup", *arguments],
                            "securityContext": dict(RESTRICTED),
                            "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
                        }
                    ],
                },
            },
        },
    }


def account(name: str, namespace: str = HOME) -> Object:
    """Give a service account."""
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}


def role(name: str, namespace: str, rules: Sequence[Mapping[str, Any]]) -> Object:
    """Give a role in one namespace."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": name, "namespace": namespace},
        "rules": [dict(each) for each in rules],
    }


def binding(name: str, namespace: str, *, to: str) -> Object:
    """Bind the role of the same name to an account of ours."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": to, "namespace": HOME}],
    }
