"""EndpointSlices behind Services, and what budgets and autoscalers say of themselves."""

from __future__ import annotations

from meshup.model.objects import dig, matches
from meshup.simulate.api.server import ApiServer
from meshup.simulate.api.store import Change, Obj
from meshup.simulate.world.bits import Selecting, amount, is_ready, owner_of
from meshup.simulate.world.queue import Queue


class Services:
    """Keeps slices, budgets and autoscalers up to date."""

    def __init__(self, server: ApiServer) -> None:
        self._server, self._objects = server, server.objects
        self.slices = Queue(server.clock, self._slice, delay_s=0.2)
        self.budgets = Queue(server.clock, self._budget, delay_s=0.5)
        self.scalers = Queue(server.clock, self._scaler, delay_s=0.5)
        self._selectors = Selecting()
        self._budget_names: dict[str, set[str]] = {}

    def see(self, change: Change) -> None:
        """Take notice of a change."""
        if change.key == ("", "services"):
            if change.kind == "DELETED" or change.new is None:
                self._selectors.drop(change.namespace, change.name)
            else:
                self._selectors.put(change.namespace, change.name, dig(change.new, "spec", "selector") or {})
                self.slices.add(change.namespace, change.name)
        elif change.key == ("", "pods"):
            labels = dig(change.new or change.old, "metadata", "labels") or {}
            for name in self._selectors.of(change.namespace, labels):
                self.slices.add(change.namespace, name)
            for name in sorted(self._budget_names.get(change.namespace, ())):
                self.budgets.add(change.namespace, name)
        elif change.key == ("policy", "poddisruptionbudgets") and change.new is not None:
            self._budget_names.setdefault(change.namespace, set()).add(change.name)
            self.budgets.add(change.namespace, change.name)
        elif change.key == ("autoscaling", "horizontalpodautoscalers") and change.new is not None:
            self.scalers.add(change.namespace, change.name)

    def pods(self, namespace: str, service: str) -> list[Obj]:
        """Give the ready pods behind a Service."""
        selector = self._selectors.get(namespace, service)
        return [each for each in self._objects.list("pods", namespace, selector) if is_ready(each)] if selector else []

    def _slice(self, namespace: str, name: str) -> None:
        service = self._objects.get("services", namespace, name)
        if service is None or not dig(service, "spec", "selector"):
            return
        endpoints = [
            {
                "addresses": [dig(pod, "status", "podIP")],
                "conditions": {"ready": True, "serving": True, "terminating": False},
                "nodeName": dig(pod, "spec", "nodeName"),
                "targetRef": {
                    "kind": "Pod",
                    "namespace": namespace,
                    "name": pod["metadata"]["name"],
                    "uid": pod["metadata"]["uid"],
                },
            }
            for pod in self.pods(namespace, name)
            if dig(pod, "status", "podIP")
        ]
        ports = [
            {
                "name": each.get("name", ""),
                "port": each.get("targetPort") if isinstance(each.get("targetPort"), int) else each["port"],
                "protocol": each.get("protocol", "TCP"),
            }
            for each in dig(service, "spec", "ports") or ()
        ]
        body = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "addressType": "IPv4",
            "metadata": {
                "name": f"{name}-sim",
                "namespace": namespace,
                "labels": {"kubernetes.io/service-name": name},
                "ownerReferences": [owner_of(service)],
            },
            "endpoints": endpoints,
            "ports": ports,
        }
        old = self._objects.get("endpointslices.discovery.k8s.io", namespace, f"{name}-sim")
        if old is None:
            self._objects.create("endpointslices.discovery.k8s.io", body)
        elif old.get("endpoints") != endpoints:
            self._objects.update("endpointslices.discovery.k8s.io", {**old, "endpoints": endpoints, "ports": ports})

    def _budget(self, namespace: str, name: str) -> None:
        budget = self._objects.get("poddisruptionbudgets.policy", namespace, name)
        if budget is None:
            return
        pods = [
            each
            for each in self._objects.list("pods", namespace)
            if matches(dig(budget, "spec", "selector"), dig(each, "metadata", "labels") or {})
        ]
        healthy, expected = sum(is_ready(each) for each in pods), len(pods)
        most, least = dig(budget, "spec", "maxUnavailable"), dig(budget, "spec", "minAvailable")
        wanted = (
            expected - amount(most, expected, up=True) if most is not None else amount(least or 1, expected, up=True)
        )
        self._objects.update_status(
            "poddisruptionbudgets.policy",
            namespace,
            name,
            {
                "currentHealthy": healthy,
                "desiredHealthy": max(0, wanted),
                "disruptionsAllowed": max(0, healthy - max(0, wanted)),
                "expectedPods": expected,
                "observedGeneration": budget["metadata"].get("generation", 1),
            },
        )

    def _scaler(self, namespace: str, name: str) -> None:
        found = self._objects.get("horizontalpodautoscalers.autoscaling", namespace, name)
        if found is None:
            return
        target = dig(found, "spec", "scaleTargetRef") or {}
        plural = {"Deployment": "deployments.apps", "StatefulSet": "statefulsets.apps"}.get(str(target.get("kind")))
        workload = self._objects.get(plural, namespace, str(target.get("name"))) if plural else None
        if workload is None or plural is None:
            return
        now = int(dig(workload, "spec", "replicas") or 1)
        wanted = min(max(now, int(dig(found, "spec", "minReplicas") or 1)), int(dig(found, "spec", "maxReplicas") or 1))
        if wanted != now:
            self._objects.update(plural, {**workload, "spec": {**workload["spec"], "replicas": wanted}})
        self._objects.update_status(
            "horizontalpodautoscalers.autoscaling", namespace, name, {"currentReplicas": now, "desiredReplicas": wanted}
        )
