"""istiod: once its Deployment is up it answers its webhooks, and puts sidecars and gateways into pods."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable
from typing import Any

from meshup.model.objects import annotated, dig, labels
from meshup.simulate.api.problems import Refusal
from meshup.simulate.api.server import ApiServer
from meshup.simulate.api.store import Change, Obj
from meshup.simulate.world.queue import Queue

REV = "istio.io/rev"
ROOT = """\
-----BEGIN CERTIFICATE-----
MIIBSDCB76ADAgECAhQLmP5CP9wsxTQbPgoSHwZ5+weSPDAKBggqhkjOPQQDAjAZ
MRcwFQYDVQQKDA5zaW11bGF0ZWQgbWVzaDAgFw0xNjAxMDEwMDAwMDBaGA8yMTI2
MDEwMTAwMDAwMFowGTEXMBUGA1UECgwOc2ltdWxhdGVkIG1lc2gwWTATBgcqhkjO
PQIBBggqhkjOPQMBBwNCAAQhCHcgdB3SxW9hHXxiXOjMOHOOa0AwHYpgn6w7DMH3
kb8m1CX4fQRyuaaV/gw8z8eS3ajFahWVpd/qlTLRCp9voxMwETAPBgNVHRMBAf8E
BTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIEPWlXWf+x0TVMA/hZk+OwO0qRh36Deq
d56gJtD5HrIVAiEA5hHcTTrb2Hyci7/8jnXBLT4YA4BNKuoLVtDqrR2+j2Y=
-----END CERTIFICATE-----
"""
"""What proxies trust: the certificate of an authority that signs nothing and lasts until 2126; its key was never kept."""
CONFIGURATIONS = (
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"),
)
CA = base64.b64encode(b"simulated certificate authority").decode()


class Injectors:
    """Follows every istiod Deployment. down: names that a fault keeps from answering."""

    def __init__(self, server: ApiServer) -> None:
        self._server, self._objects = server, server.objects
        self.queue = Queue(server.clock, self._look)
        self.down: set[str] = set()
        self.reached: Callable[[str], None] = lambda _revision: None

    def see(self, change: Change) -> None:
        """Take notice of a control plane or a webhook configuration."""
        obj = change.new or change.old or {}
        if change.key == ("apps", "deployments") and labels(obj).get("app") == "istiod":
            self.queue.add(change.namespace, change.name)
        elif change.key in CONFIGURATIONS and REV in labels(obj) and change.kind != "DELETED":
            if any(not dig(each, "clientConfig", "caBundle") for each in (change.new or {}).get("webhooks") or ()):
                for each in self._objects.list("deployments.apps"):
                    if labels(each).get("app") == "istiod" and labels(each).get(REV) == labels(obj).get(REV):
                        self.queue.add(each["metadata"]["namespace"], each["metadata"]["name"])

    def _look(self, namespace: str, name: str) -> None:
        obj = self._objects.get("deployments.apps", namespace, name)
        revision = labels(obj or {}).get(REV, "default")
        service = name
        up = obj is not None and int(dig(obj, "status", "availableReplicas") or 0) > 0 and name not in self.down
        key = (namespace, service)
        if not up:
            self._server.webhooks.pop(key, None)
            return
        release = str(dig(obj, "spec", "template", "spec", "containers", 0, "image") or "").rpartition(":")[2]
        proxy_image = str(annotated(obj or {}).get("simulator.meshup.dev/proxy-image") or "")
        image = proxy_image or str(dig(obj, "spec", "template", "spec", "containers", 0, "image") or "").replace(
            "/pilot:", "/proxyv2:"
        )
        self._server.webhooks[key] = lambda review: _answer(review, revision=revision, image=image, release=release)
        for group, plural in CONFIGURATIONS:
            self._complete(f"{plural}.{group}", revision)
        self._trusted(namespace)
        self.reached(revision)

    def _complete(self, resource: str, revision: str) -> None:
        """Give its webhooks their CA bundle, and let a validator that can be asked now refuse what it can't be asked."""
        fails = {"failurePolicy": "Fail"} if resource.startswith("validating") else {}
        for each in self._objects.list(resource):
            if labels(each).get(REV) == revision and any(
                not dig(hook, "clientConfig", "caBundle") for hook in each.get("webhooks") or ()
            ):
                hooks = [
                    {**hook, "clientConfig": {**hook["clientConfig"], "caBundle": CA}, **fails}
                    for hook in each["webhooks"]
                ]
                self._objects.update(resource, {**each, "webhooks": hooks}, manager="pilot-discovery")

    def _trusted(self, namespace: str) -> None:
        """Write the roots that proxies trust beside the control plane; istiod writes them into every namespace."""
        if self._objects.get("configmaps", namespace, "istio-ca-root-cert") is None:
            meta = {"name": "istio-ca-root-cert", "namespace": namespace, "labels": {"istio.io/config": "true"}}
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"root-cert.pem": ROOT}}
            with contextlib.suppress(Refusal):  # its namespace may be on its way out
                self._objects.create("configmaps", body, manager="pilot-discovery")


def _answer(review: Obj, *, revision: str, image: str, release: str) -> Obj:
    pod = dig(review, "request", "object") or {}
    if review.get("path") == "/validate":
        return {"allowed": True}
    if dig(pod, "spec", "hostNetwork") or labels(pod).get("sidecar.istio.io/inject") == "false":
        return {"allowed": True}
    patch = (
        gateway_patch(pod, revision, image)
        if annotated(pod).get("inject.istio.io/templates") == "gateway"
        else sidecar_patch(pod, revision, image)
    )
    del release
    return {"allowed": True, "patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(patch).encode()).decode()}


def _proxy(image: str) -> Obj:
    return {
        "name": "istio-proxy",
        "image": image,
        "args": ["proxy", "sidecar"],
        "ports": [{"name": "http-envoy-prom", "containerPort": 15090, "protocol": "TCP"}],
        "readinessProbe": {
            "httpGet": {"path": "/healthz/ready", "port": 15021},
            "periodSeconds": 15,
            "failureThreshold": 4,
            "timeoutSeconds": 3,
        },
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "2", "memory": "1Gi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "runAsGroup": 1337,
            "runAsNonRoot": True,
            "runAsUser": 1337,
        },
    }


def sidecar_patch(pod: Obj, revision: str, image: str) -> list[Any]:
    """Give what a real injector adds: init container, native sidecar, labels and annotations."""
    spec = pod.get("spec") or {}
    init = {
        "name": "istio-init",
        "image": image,
        "args": ["istio-iptables", "-p", "15001", "-z", "15006", "-u", "1337"],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "2", "memory": "1Gi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"add": ["NET_ADMIN", "NET_RAW"], "drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": False,
            "runAsGroup": 0,
            "runAsNonRoot": False,
            "runAsUser": 0,
        },
    }
    inits = [init, {**_proxy(image), "restartPolicy": "Always"}, *(spec.get("initContainers") or ())]
    own = labels(pod)
    name = own.get("app.kubernetes.io/name") or own.get("app") or "unknown"
    more = {
        "security.istio.io/tlsMode": "istio",
        "service.istio.io/canonical-name": name,
        "service.istio.io/canonical-revision": own.get("version", "latest"),
    }
    status = json.dumps(
        {
            "initContainers": ["istio-init", "istio-proxy"],
            "containers": None,
            "volumes": [],
            "imagePullSecrets": None,
            "revision": revision,
        }
    )
    notes = {
        **annotated(pod),
        "istio.io/rev": revision,
        "sidecar.istio.io/status": status,
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "15020",
        "prometheus.io/path": "/stats/prometheus",
    }
    return [
        {"op": "add", "path": "/spec/initContainers", "value": inits},
        {
            "op": "add",
            "path": "/metadata/labels",
            "value": {**own, **{key: value for key, value in more.items() if key not in own}},
        },
        {"op": "add", "path": "/metadata/annotations", "value": notes},
    ]


def gateway_patch(pod: Obj, revision: str, image: str) -> list[Any]:
    """Give what the gateway template does: the placeholder becomes the proxy."""
    containers = [
        {**_proxy(image), **{key: value for key, value in each.items() if key != "image"}, "image": image}
        if each.get("name") == "istio-proxy"
        else each
        for each in dig(pod, "spec", "containers") or ()
    ]
    notes = {**annotated(pod), "istio.io/rev": revision}
    return [
        {"op": "add", "path": "/spec/containers", "value": containers},
        {"op": "add", "path": "/metadata/annotations", "value": notes},
    ]
