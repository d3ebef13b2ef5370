"""What the mesh's policies mean for a pod, and the gateways it deploys for Gateway resources."""

from __future__ import annotations

from meshup.model.objects import annotated, dig, labels, matches
from meshup.simulate.api.problems import Refusal
from meshup.simulate.api.server import ApiServer
from meshup.simulate.api.store import Change, Obj
from meshup.simulate.world.bits import condition, is_ready, owner_of
from meshup.simulate.world.queue import Queue

POLICIES = ("security.istio.io", "peerauthentications")
GATEWAYS = ("gateway.networking.k8s.io", "gateways")
ROUTES = ("gateway.networking.k8s.io", "httproutes")
OWN_GATEWAYS = ("networking.istio.io", "gateways")
VIRTUAL = ("networking.istio.io", "virtualservices")
FILTERS = ("networking.istio.io", "envoyfilters")
ROOT = "istio-system"
CONTROLLER = "istio.io/gateway-controller"
"""Field manager of what istiod applies for a Gateway: replicas are not among it."""
GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
"""Label of what is made for a Gateway, and of any pod that its Service selects."""
FOREIGN_FROM = (1, 31)
"""From this release on a control plane gives pods the routes of a Gateway that another revision has (istio/istio#59959)."""


def has_proxy(pod: Obj) -> bool:
    """Tell whether a sidecar or gateway proxy is in a pod."""
    several = [*(dig(pod, "spec", "containers") or ()), *(dig(pod, "spec", "initContainers") or ())]
    return any(each.get("name") == "istio-proxy" for each in several)


def is_strict(server: ApiServer, pod: Obj) -> bool:
    """Tell whether the narrowest policy for a pod refuses plaintext. Policies mean nothing without a proxy."""
    if not has_proxy(pod):
        return False
    levels: dict[str, str] = {}
    namespace, own = pod["metadata"]["namespace"], labels(pod)
    for policy in server.store.list(POLICIES):
        mode = str(dig(policy, "spec", "mtls", "mode") or "UNSET")
        where = policy["metadata"]["namespace"]
        selector = dig(policy, "spec", "selector", "matchLabels")
        if mode == "UNSET":
            continue
        if selector and where == namespace and matches({"matchLabels": selector}, own):
            levels["workload"] = mode
        elif not selector and where == namespace:
            levels["namespace"] = mode
        elif not selector and where == ROOT:
            levels["mesh"] = mode
    for level in ("workload", "namespace", "mesh"):
        if level in levels:
            return levels[level] == "STRICT"
    return False


def counts_endpoints(server: ApiServer, namespace: str) -> bool:
    """Tell whether proxies of a namespace are told to count by endpoint: by a filter there or in the root namespace."""
    for each in server.store.list(FILTERS):
        if each["metadata"]["namespace"] not in (namespace, ROOT):
            continue
        for patch in dig(each, "spec", "configPatches") or ():
            if dig(patch, "patch", "value", "track_cluster_stats", "per_endpoint_stats") is True:
                return True
    return False


def serves(gateway: Obj, pod: Obj) -> bool:
    """Tell whether the control plane of a pod gives it what a Gateway says."""
    revision = annotated(pod).get("istio.io/rev", "")
    image = next((str(each.get("image")) for each in dig(pod, "spec", "containers") or ()), "")
    parts = image.rpartition(":")[2].split(".")
    release = tuple(int(each) for each in parts[:2] if each.isdigit())
    return labels(gateway).get("istio.io/rev", "default") == revision or release >= FOREIGN_FROM


class Gateways:
    """Deploys `NAME-istio` for each Gateway of class istio, as istiod does, and keeps statuses."""

    def __init__(self, server: ApiServer) -> None:
        self._server, self._objects = server, server.objects
        self.queue = Queue(server.clock, self._gateway, delay_s=0.3)
        self.routes = Queue(server.clock, self._route, delay_s=0.3)

    def see(self, change: Change) -> None:
        """Take notice of a change."""
        if change.key == GATEWAYS and change.new is not None and change.kind != "DELETED":
            self.queue.add(change.namespace, change.name)
        elif change.key == ROUTES and change.new is not None and change.kind != "DELETED":
            self.routes.add(change.namespace, change.name)
        elif change.key == ("apps", "deployments") and change.name.endswith("-istio"):
            self.queue.add(change.namespace, change.name.removesuffix("-istio"))
        elif change.key == ("", "pods") and GATEWAY_NAME in labels(change.new or change.old or {}):
            self.queue.add(change.namespace, labels(change.new or change.old or {})[GATEWAY_NAME])

    def revision_up(self, _revision: str) -> None:
        """Look at every gateway again: its control plane is there now."""
        for each in self._server.store.list(GATEWAYS):
            self.queue.add(each["metadata"]["namespace"], each["metadata"]["name"])

    def _gateway(self, namespace: str, name: str) -> None:
        found = self._server.store.get(GATEWAYS, namespace, name)
        if (
            found is None
            or found["metadata"].get("deletionTimestamp")
            or dig(found, "spec", "gatewayClassName") != "istio"
        ):
            return
        revision = labels(found).get("istio.io/rev", "default")
        if not any(
            key[1].endswith(f"-{revision}") or (revision == "default" and key[1] == "istiod")
            for key in self._server.webhooks
        ):
            return
        own = {GATEWAY_NAME: name}
        base = {"namespace": namespace, "name": f"{name}-istio", "labels": own, "ownerReferences": [owner_of(found)]}
        template_labels = {**own, "istio.io/rev": revision, "sidecar.istio.io/inject": "true"}
        bodies = [
            ("serviceaccounts", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": dict(base)}),
            (
                "services",
                {
                    "apiVersion": "v1",
                    "kind": "Service",
                    "metadata": dict(base),
                    "spec": {
                        "selector": own,
                        "type": str(annotated(found).get("networking.istio.io/service-type") or "ClusterIP"),
                        "ports": [
                            {"name": "status-port", "port": 15021, "targetPort": 15021},
                            *(
                                {"name": each["name"], "port": each["port"], "targetPort": each["port"]}
                                for each in _ports(found)
                            ),
                        ],
                    },
                },
            ),
            (
                "deployments.apps",
                {
                    "apiVersion": "apps/v1",
                    "kind": "Deployment",
                    "metadata": dict(base),
                    "spec": {
                        "selector": {"matchLabels": own},
                        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
                        "template": {
                            "metadata": {
                                "labels": template_labels,
                                "annotations": {"inject.istio.io/templates": "gateway", "istio.io/rev": revision},
                            },
                            "spec": {
                                "serviceAccountName": f"{name}-istio",
                                "containers": [{"name": "istio-proxy", "image": "auto"}],
                            },
                        },
                    },
                },
            ),
        ]
        for resource, body in bodies:
            if self._objects.get(resource, namespace, f"{name}-istio") is None:
                try:
                    self._objects.apply(resource, body, manager=CONTROLLER, force=True)
                except Refusal:
                    self.queue.add(namespace, name, after_s=5.0)
                    return
        deployment = self._objects.get("deployments.apps", namespace, f"{name}-istio")
        if deployment is not None and labels(dig(deployment, "spec", "template") or {}).get("istio.io/rev") != revision:
            self._objects.apply("deployments.apps", bodies[-1][1], manager=CONTROLLER, force=True)
            self.queue.add(namespace, name)
            return
        ready = any(is_ready(each) for each in self._objects.list("pods", namespace, own))
        time = self._server.writes.time()
        conditions = [
            condition("Accepted", "True", reason="Accepted", message="Resource accepted", time=time),
            condition(
                "Programmed",
                "True" if ready else "False",
                reason="Programmed" if ready else "AddressNotAssigned",
                message="Resource programmed" if ready else "waiting for the gateway",
                time=time,
            ),
        ]
        for each in conditions:
            each.pop("lastUpdateTime", None)
            each["observedGeneration"] = found["metadata"].get("generation", 1)
        old = {each["type"]: each for each in dig(found, "status", "conditions") or ()}
        kept = [
            old[each["type"]] if old.get(each["type"], {}).get("status") == each["status"] else each
            for each in conditions
        ]
        kind = self._server.registry.at("gateway.networking.k8s.io", "v1", "gateways")
        if kind is not None:
            self._objects.update_status(kind, namespace, name, {**(found.get("status") or {}), "conditions": kept})

    def _route(self, namespace: str, name: str) -> None:
        found = self._server.store.get(ROUTES, namespace, name)
        kind = self._server.registry.at("gateway.networking.k8s.io", "v1", "httproutes")
        if found is None or kind is None or dig(found, "status", "parents"):
            return
        time = self._server.writes.time()
        parents = [
            {
                "parentRef": parent,
                "controllerName": "istio.io/gateway-controller",
                "conditions": [
                    {
                        "type": "Accepted",
                        "status": "True",
                        "reason": "Accepted",
                        "message": "Route was valid",
                        "lastTransitionTime": time,
                        "observedGeneration": 1,
                    },
                    {
                        "type": "ResolvedRefs",
                        "status": "True",
                        "reason": "ResolvedRefs",
                        "message": "All references resolved",
                        "lastTransitionTime": time,
                        "observedGeneration": 1,
                    },
                ],
            }
            for parent in dig(found, "spec", "parentRefs") or ()
        ]
        self._objects.update_status(kind, namespace, name, {"parents": parents})


def _ports(gateway: Obj) -> list[Obj]:
    seen: dict[int, Obj] = {}
    for each in dig(gateway, "spec", "listeners") or ():
        seen.setdefault(int(each["port"]), {"name": f"p{each['port']}", "port": int(each["port"])})
    return list(seen.values())
