"""Where each kind lives below an API server, for the kinds that are asked for before discovery."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from meshup.model.snapshot import ApiKind

_KNOWN = """
v1 ConfigMap configmaps n
v1 Secret secrets n
v1 Service services n
v1 ServiceAccount serviceaccounts n
v1 Pod pods n
v1 Endpoints endpoints n
v1 Event events n
v1 ResourceQuota resourcequotas n
v1 LimitRange limitranges n
v1 PersistentVolumeClaim persistentvolumeclaims n
v1 Namespace namespaces c
v1 Node nodes c
apps/v1 Deployment deployments n
apps/v1 StatefulSet statefulsets n
apps/v1 DaemonSet daemonsets n
apps/v1 ReplicaSet replicasets n
batch/v1 Job jobs n
batch/v1 CronJob cronjobs n
autoscaling/v2 HorizontalPodAutoscaler horizontalpodautoscalers n
policy/v1 PodDisruptionBudget poddisruptionbudgets n
networking.k8s.io/v1 Ingress ingresses n
networking.k8s.io/v1 IngressClass ingressclasses c
networking.k8s.io/v1 NetworkPolicy networkpolicies n
coordination.k8s.io/v1 Lease leases n
discovery.k8s.io/v1 EndpointSlice endpointslices n
rbac.authorization.k8s.io/v1 Role roles n
rbac.authorization.k8s.io/v1 RoleBinding rolebindings n
rbac.authorization.k8s.io/v1 ClusterRole clusterroles c
rbac.authorization.k8s.io/v1 ClusterRoleBinding clusterrolebindings c
apiextensions.k8s.io/v1 CustomResourceDefinition customresourcedefinitions c
admissionregistration.k8s.io/v1 MutatingWebhookConfiguration mutatingwebhookconfigurations c
admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration validatingwebhookconfigurations c
admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy validatingadmissionpolicies c
admissionregistration.k8s.io/v1 ValidatingAdmissionPolicyBinding validatingadmissionpolicybindings c
meshup.dev/v1 MeshPin meshpins n
meshup.dev/v1 OptIn optins n
meshup.dev/v1 MeshRelease meshreleases c
meshup.dev/v1 MeshRun meshruns c
meshup.dev/v1 MeshLedger meshledgers c
"""

KNOWN: Mapping[tuple[str, str], ApiKind] = {
    (version, kind): ApiKind(api_version=version, kind=kind, plural=plural, namespaced=scope == "n")
    for version, kind, plural, scope in (line.split() for line in _KNOWN.split("\n") if line)
}
"""Kinds of every cluster and our own. That one stands here does not say that the server serves it."""


def collection(found: ApiKind, namespace: str = "") -> str:
    """Give the path of a kind's collection; namespace "" = all namespaces, or cluster scope."""
    root = f"/apis/{found.api_version}" if "/" in found.api_version else f"/api/{found.api_version}"
    inside = f"/namespaces/{segment(namespace)}" if found.namespaced and namespace else ""
    return f"{root}{inside}/{found.plural}"


def member(found: ApiKind, namespace: str, name: str, *, subresource: str = "") -> str:
    """Give the path of one object. Raises ValueError for an empty name: that path is the whole collection."""
    if not name:
        raise ValueError(f"a {found.kind} needs a name")
    if found.namespaced and not namespace:
        raise ValueError(f"{found.kind} {name} needs a namespace")
    path = f"{collection(found, namespace)}/{segment(name)}"
    return f"{path}/{subresource}" if subresource else path


def segment(name: str) -> str:
    """Escape one path segment. Raises ValueError for what would leave its place."""
    if name in ("", ".", ".."):
        raise ValueError(f"{name!r} can't stand in a path")
    return quote(name, safe="")
