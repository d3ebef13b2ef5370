"""What an owner must never be able to do: requests as data, each to be answered with 403."""

from __future__ import annotations

from typing import Any, NamedTuple


class Act(NamedTuple):
    """One request. body: None for none."""

    what: str
    method: str
    path: str
    body: Any = None


CORE, APPS, RBAC = "/api/v1", "/apis/apps/v1", "/apis/rbac.authorization.k8s.io/v1"
HOOKS, OURS, ISTIO = "/apis/admissionregistration.k8s.io/v1", "/apis/meshup.dev/v1", "/apis/security.istio.io/v1"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def named(kind: str, api_version: str, name: str, **rest: Any) -> dict[str, Any]:
    """Give an object of hardly more than a name."""
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **rest}


def pin(namespace: str) -> dict[str, Any]:
    """Give a MeshPin."""
    spec = {"service": "cart", "requestedBy": {"username": "olga"}, "reason": "r", "from": {}, "to": {}}
    return {
        **named("MeshPin", "meshup.dev/v1", "forged", spec=spec),
        "metadata": {"name": "forged", "namespace": namespace},
    }


LABELS = {"metadata": {"labels": {"istio.io/rev": "1-31"}}}
TEMPLATE = {"spec": {"template": {"metadata": {"labels": {"istio.io/rev": "1-31"}}}}}
STRICT = {"spec": {"mtls": {"mode": "STRICT"}}}
ALL_RULES = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
ADMIN = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
MYSELF = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "olga"}]

FORBIDDEN = (
    # Namespaces, her own included: labels on them move every workload in them
    Act("label her own Namespace", "PATCH", f"{CORE}/namespaces/shop", LABELS),
    Act("label another Namespace", "PATCH", f"{CORE}/namespaces/bank", LABELS),
    Act("label kube-system", "PATCH", f"{CORE}/namespaces/kube-system", LABELS),
    Act("create a Namespace", "POST", f"{CORE}/namespaces", named("Namespace", "v1", "mine")),
    Act("delete her own Namespace", "DELETE", f"{CORE}/namespaces/shop"),
    Act("delete meshup-system", "DELETE", f"{CORE}/namespaces/meshup-system"),
    # other people's workloads
    Act("patch a Deployment of another", "PATCH", f"{APPS}/namespaces/bank/deployments/till", TEMPLATE),
    Act("patch a StatefulSet of another", "PATCH", f"{APPS}/namespaces/bank/statefulsets/till", TEMPLATE),
    Act("patch a DaemonSet of another", "PATCH", f"{APPS}/namespaces/bank/daemonsets/till", TEMPLATE),
    Act("delete a Deployment of another", "DELETE", f"{APPS}/namespaces/bank/deployments/till"),
    Act(
        "scale a Deployment of another",
        "PATCH",
        f"{APPS}/namespaces/bank/deployments/till/scale",
        {"spec": {"replicas": 0}},
    ),
    Act("delete a Deployment of her own", "DELETE", f"{APPS}/namespaces/shop/deployments/cart"),
    Act(
        "create a Deployment in her own",
        "POST",
        f"{APPS}/namespaces/shop/deployments",
        named("Deployment", "apps/v1", "x"),
    ),
    Act("read a log of another", "GET", f"{CORE}/namespaces/bank/pods/till-0/log"),
    Act("reach a pod of another", "GET", f"{CORE}/namespaces/bank/pods/till-0/proxy/"),
    Act("run a program in a pod of her own", "POST", f"{CORE}/namespaces/shop/pods/cart-0/exec"),
    Act(
        "evict a pod of another",
        "POST",
        f"{CORE}/namespaces/bank/pods/till-0/eviction",
        named("Eviction", "policy/v1", "till-0"),
    ),
    Act("delete a pod of her own", "DELETE", f"{CORE}/namespaces/shop/pods/cart-0"),
    # pins and opt-ins of others
    Act("pin a service of another", "POST", f"{OURS}/namespaces/bank/meshpins", pin("bank")),
    Act("change a pin of another", "PATCH", f"{OURS}/namespaces/bank/meshpins/p", {"spec": {"reason": "x"}}),
    Act("delete a pin of another", "DELETE", f"{OURS}/namespaces/bank/meshpins/p"),
    Act("delete a pin of her own", "DELETE", f"{OURS}/namespaces/shop/meshpins/p"),
    Act("opt a service of another in", "POST", f"{OURS}/namespaces/bank/optins", named("OptIn", "meshup.dev/v1", "x")),
    Act("change a word of her own", "PATCH", f"{OURS}/namespaces/shop/optins/x", {"spec": {"joins": True}}),
    Act("delete a word of her own", "DELETE", f"{OURS}/namespaces/shop/optins/x"),
    Act("bless a release", "POST", f"{OURS}/meshreleases", named("MeshRelease", "meshup.dev/v1", "1.99")),
    Act("change a release", "PATCH", f"{OURS}/meshreleases/1.30", {"spec": {"state": "supported"}}),
    Act("invent a run", "POST", f"{OURS}/meshruns", named("MeshRun", "meshup.dev/v1", "x")),
    # policies of the mesh
    Act(
        "set strict mode in her own",
        "POST",
        f"{ISTIO}/namespaces/shop/peerauthentications",
        named("PeerAuthentication", "security.istio.io/v1", "x", **STRICT),
    ),
    Act(
        "set strict mode for the mesh",
        "POST",
        f"{ISTIO}/namespaces/istio-system/peerauthentications",
        named("PeerAuthentication", "security.istio.io/v1", "default", **STRICT),
    ),
    Act("lift strict mode of another", "DELETE", f"{ISTIO}/namespaces/bank/peerauthentications/default"),
    # control planes, webhooks, policies, definitions
    Act(
        "patch the control plane",
        "PATCH",
        f"{APPS}/namespaces/istio-system/deployments/istiod",
        {"spec": {"replicas": 0}},
    ),
    Act("delete the injector's webhook", "DELETE", f"{HOOKS}/mutatingwebhookconfigurations/istio-sidecar-injector"),
    Act(
        "create a mutating webhook",
        "POST",
        f"{HOOKS}/mutatingwebhookconfigurations",
        named("MutatingWebhookConfiguration", "admissionregistration.k8s.io/v1", "x"),
    ),
    Act("patch a validating webhook", "PATCH", f"{HOOKS}/validatingwebhookconfigurations/x", LABELS),
    Act("delete an admission policy", "DELETE", f"{HOOKS}/validatingadmissionpolicies/x"),
    Act("unbind an admission policy", "DELETE", f"{HOOKS}/validatingadmissionpolicybindings/x"),
    Act("delete the definition of pins", "DELETE", f"{CRDS}/meshpins.meshup.dev"),
    Act("change the definition of pins", "PATCH", f"{CRDS}/meshpins.meshup.dev", LABELS),
    # rights
    Act(
        "make herself administrator",
        "POST",
        f"{RBAC}/clusterrolebindings",
        named("ClusterRoleBinding", "rbac.authorization.k8s.io/v1", "x", roleRef=ADMIN, subjects=MYSELF),
    ),
    Act(
        "make herself administrator of her own",
        "POST",
        f"{RBAC}/namespaces/shop/rolebindings",
        named("RoleBinding", "rbac.authorization.k8s.io/v1", "x", roleRef=ADMIN, subjects=MYSELF),
    ),
    Act(
        "write a role that may all",
        "POST",
        f"{RBAC}/clusterroles",
        named("ClusterRole", "rbac.authorization.k8s.io/v1", "x", rules=ALL_RULES),
    ),
    Act("widen her own role", "PATCH", f"{RBAC}/clusterroles/meshup-owner", {"rules": ALL_RULES}),
    Act(
        "take a token of another's account",
        "POST",
        f"{CORE}/namespaces/bank/serviceaccounts/default/token",
        named("TokenRequest", "authentication.k8s.io/v1", "x"),
    ),
    Act(
        "take a token of meshup's account",
        "POST",
        f"{CORE}/namespaces/meshup-system/serviceaccounts/default/token",
        named("TokenRequest", "authentication.k8s.io/v1", "x"),
    ),
    Act(
        "approve a certificate",
        "PUT",
        "/apis/certificates.k8s.io/v1/certificatesigningrequests/x/approval",
        named("CertificateSigningRequest", "certificates.k8s.io/v1", "x"),
    ),
    # secrets, and what runs of others left
    Act("read Secrets of her own", "GET", f"{CORE}/namespaces/shop/secrets"),
    Act("read Secrets of another", "GET", f"{CORE}/namespaces/bank/secrets"),
    Act("read Secrets of the control plane", "GET", f"{CORE}/namespaces/istio-system/secrets"),
    Act("read ConfigMaps of another", "GET", f"{CORE}/namespaces/bank/configmaps"),
    Act("delete a journal", "DELETE", f"{CORE}/namespaces/meshup-system/configmaps/run"),
    Act("delete all journals", "DELETE", f"{CORE}/namespaces/meshup-system/configmaps"),
    Act("delete the lock", "DELETE", "/apis/coordination.k8s.io/v1/namespaces/meshup-system/leases/meshup"),
    Act(
        "disarm a guard",
        "PATCH",
        "/apis/coordination.k8s.io/v1/namespaces/meshup-system/leases/meshup-guard-mesh",
        LABELS,
    ),
    Act("stop a guard", "DELETE", "/apis/batch/v1/namespaces/meshup-system/jobs/meshup-guard-mesh"),
    Act("drain a node", "PATCH", f"{CORE}/nodes/fake-0", {"spec": {"unschedulable": True}}),
)
