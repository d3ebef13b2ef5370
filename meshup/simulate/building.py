"""The making of a scenario: objects as people and controllers would have left them."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from typing import Any

from meshup.model.shipped import shipped
from meshup.simulate.api.problems import Refusal
from meshup.simulate.api.server import ApiServer
from meshup.simulate.api.store import Obj
from meshup.simulate.api.users import AUTHENTICATED, User
from meshup.simulate.staffing import staff
from meshup.simulate.world.edges import Edge
from meshup.simulate.world.nodes import ready_condition
from meshup.simulate.world.world import World

MANAGED = {"meshup.dev/managed-by": "meshup"}
PLURALS = {
    "Deployment": "deployments.apps",
    "StatefulSet": "statefulsets.apps",
    "DaemonSet": "daemonsets.apps",
    "CronJob": "cronjobs.batch",
    "Job": "jobs.batch",
}


class Builder:
    """Makes nodes, namespaces, control planes, services and traffic of a scenario, in that order."""

    def __init__(self, server: ApiServer, world: World, found: Mapping[str, Any]) -> None:
        self._server, self._objects, self._world, self._found = server, server.objects, world, found
        self.users: dict[str, User] = {}

    def build(self) -> None:
        """Make everything."""
        self._world.traffic.scraping.standard = bool(self._found.get("standard-metrics", True))
        self._world.traffic.endpoints.everywhere = bool(self._found.get("endpoint-counters", False))
        for number in range(int(self._found.get("nodes") or 3)):
            self.node(f"node-{number + 1}")
        for each in self._found.get("namespaces") or ():
            self._namespace(each if isinstance(each, Mapping) else {"name": each})
        self._dns()
        self._definitions()
        self._server.clock.advance(2.0)
        for each in self._found.get("revisions") or ():
            self._revision(each)
        if self._found.get("revisions"):
            self._server.clock.advance(15.0)
        generated = list(_generated(self._found.get("generate")))
        for each in [*(self._found.get("services") or ()), *generated]:
            self._service(each)
        for each in self._found.get("objects") or ():
            self.raw(each)
        for each in self._found.get("edges") or ():
            self._edge(each)
        for each in generated:
            if each.get("calls"):
                self._edge({"from": f"{each['namespace']}/{each['name']}", "to": each["calls"], "rps": 4})
        for each in self._found.get("releases") or ():
            self._release(each)
        staff(self._found.get("roles") or (), self.raw)
        for each in self._found.get("users") or ():
            self._user(each)

    def node(self, name: str) -> None:
        """Make a node."""
        room = {"cpu": "64", "memory": "256Gi", "pods": "1000"}
        self._objects.create(
            "nodes",
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}},
                "status": {
                    "allocatable": room,
                    "capacity": room,
                    "conditions": [ready_condition(self._server.writes.time())],
                    "addresses": [{"type": "InternalIP", "address": "10.243.0.2"}],
                    "nodeInfo": {"kubeletVersion": "v1.34.4", "operatingSystem": "linux", "architecture": "amd64"},
                },
            },
        )

    def _dns(self) -> None:
        """Give the cluster its name service, as every cluster has one."""
        own = {"k8s-app": "kube-dns"}
        meta = {"name": "coredns", "namespace": "kube-system", "labels": own}
        container = {"name": "coredns", "image": "registry.example/coredns:1.14.7", "ports": [{"containerPort": 53}]}
        spec = {
            "replicas": 2,
            "selector": {"matchLabels": own},
            "template": {"metadata": {"labels": own}, "spec": {"containers": [container]}},
        }
        self.raw({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec})
        ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {**meta, "name": "kube-dns"}}
        self.raw({**service, "spec": {"selector": own, "clusterIP": "10.96.0.10", "ports": ports}})

    def _namespace(self, each: Mapping[str, Any]) -> None:
        meta = {
            "name": str(each["name"]),
            "labels": dict(each.get("labels") or {}),
            "annotations": dict(each.get("annotations") or {}),
        }
        self._objects.create(
            "namespaces",
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": meta,
                "spec": {"finalizers": ["kubernetes"]},
                "status": {"phase": "Active"},
            },
        )

    def raw(self, body: Obj, *, owners: Sequence[Obj] = ()) -> None:
        """Make an object as a person would. Raises ValueError for a kind that is not served, Refusal.

        owners: its managedFields where it was copied from, without those of its status; none = a person's.
        """
        group, _, version = str(body["apiVersion"]).rpartition("/")
        kind = self._server.registry.of(group, version, str(body["kind"]))
        if kind is None:
            raise ValueError(f"a scenario's object is of an unknown kind: {body['kind']} {body['apiVersion']}")
        self._create(kind, body)
        kept = [each for each in owners if not each.get("subresource")]
        meta = body["metadata"]
        made = self._server.store.get(kind.key, str(meta.get("namespace") or ""), str(meta["name"]))
        if kept and made is not None:
            self._server.store.put(kind.key, {**made, "metadata": {**made["metadata"], "managedFields": kept}})

    def _create(self, kind: Any, body: Obj, manager: str = "kubectl-client-side-apply") -> None:
        """Create as a person would, so that defaults and field owners are those of a real cluster."""
        from meshup.simulate.api.shaping import How

        namespace = str((body.get("metadata") or {}).get("namespace") or "")
        self._server.writes.create(kind, namespace, body, How(manager=manager))

    def _definitions(self) -> None:
        if not self._found.get("gateway-api"):
            return
        for plural, kind, scope in (
            ("gatewayclasses", "GatewayClass", "Cluster"),
            ("gateways", "Gateway", "Namespaced"),
            ("httproutes", "HTTPRoute", "Namespaced"),
            ("referencegrants", "ReferenceGrant", "Namespaced"),
        ):
            self.raw(_loose("gateway.networking.k8s.io", "v1", plural, kind, scope))

    def _revision(self, each: Mapping[str, Any]) -> None:
        """Install a control plane from the stand-ins, as an earlier run of ours would have left it."""
        import yaml

        revision, release = str(each["revision"]), str(each["release"])
        words = {"release": release, "revision": revision, "namespace": "istio-system", "suffix": f"-{revision}"}
        for file in sorted(shipped("templates").joinpath("istio", "stand-in").glob("*.yaml")):
            for body in yaml.safe_load_all(string.Template(file.read_text(encoding="utf-8")).substitute(words)):
                if not body:
                    continue
                group, _, version = str(body["apiVersion"]).rpartition("/")
                kind = self._server.registry.of(group, version, str(body["kind"]))
                if kind is None:
                    continue
                meta = body["metadata"]
                if self._server.store.get(kind.key, str(meta.get("namespace") or ""), str(meta["name"])) is not None:
                    continue
                if each.get("managed", True):
                    meta["labels"] = {**(meta.get("labels") or {}), **MANAGED}
                self._create(kind, body, manager="meshup")

    def _service(self, each: Mapping[str, Any]) -> None:
        name, namespace, kind = str(each["name"]), str(each["namespace"]), str(each.get("kind") or "Deployment")
        labels = {"app": name, **(each.get("podLabels") or {})}
        if each.get("revision"):
            labels["istio.io/rev"] = str(each["revision"])
        notes = {
            key: str(each[word])
            for key, word in (("meshup.dev/owner", "owner"), ("meshup.dev/opt-in", "optIn"))
            if each.get(word)
        }
        if each.get("critical"):
            notes["meshup.dev/critical"] = "true"
        port = int(each.get("port") or 8080)
        container: Obj = {
            "name": "app",
            "image": f"registry.example/{name}:1.4.2",
            "ports": [{"containerPort": port}],
            "resources": {"requests": {"cpu": str(each.get("cpu") or "100m"), "memory": "128Mi"}},
        }
        if each.get("probe", True) and kind not in ("CronJob", "Job"):
            container["readinessProbe"] = {"httpGet": {"path": "/ready", "port": port}, "periodSeconds": 2}
        spec: Obj = {"containers": [container], "terminationGracePeriodSeconds": 30}
        template: Obj = {
            "metadata": {"labels": labels, "annotations": dict(each.get("podAnnotations") or {})},
            "spec": spec,
        }
        meta = {
            "name": name,
            "namespace": namespace,
            "labels": {"app": name, **(each.get("labels") or {})},
            "annotations": notes,
        }
        body: Obj = {
            "apiVersion": "batch/v1" if kind in ("CronJob", "Job") else "apps/v1",
            "kind": kind,
            "metadata": meta,
        }
        match kind:
            case "CronJob":
                spec["restartPolicy"] = "Never"
                template["metadata"]["annotations"]["simulator.meshup.dev/lasts"] = str(each.get("lasts") or 30)
                body["spec"] = {"schedule": str(each["schedule"]), "jobTemplate": {"spec": {"template": template}}}
            case "Job":
                spec["restartPolicy"] = "Never"
                body["spec"] = {"template": template}
            case "DaemonSet":
                body["spec"] = {"selector": {"matchLabels": {"app": name}}, "template": template}
            case "StatefulSet":
                body["spec"] = {
                    "serviceName": name,
                    "replicas": int(each.get("replicas") or 1),
                    "selector": {"matchLabels": {"app": name}},
                    "template": template,
                }
            case _:
                body["spec"] = {
                    "replicas": int(each.get("replicas") or 2),
                    "selector": {"matchLabels": {"app": name}},
                    "template": template,
                    "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
                }
        self._create(self._server.registry.named(PLURALS[kind]), body)
        self._world.traffic.workloads[f"{namespace}/{name}"] = (namespace, {"app": name})
        if each.get("serves", kind not in ("CronJob", "Job")):
            self._create(
                self._server.registry.named("services"),
                {
                    "apiVersion": "v1",
                    "kind": "Service",
                    "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
                    "spec": {
                        "selector": {"app": name},
                        "ports": [
                            {
                                "name": str(each.get("portName") or "http"),
                                "port": 80 if port == 8080 else port,
                                "targetPort": port,
                            }
                        ],
                    },
                },
            )

    def _release(self, each: Mapping[str, Any]) -> None:
        """Declare a release bad, in one way per entry. Raises ValueError for one that can't be."""
        release, kind = str(each.get("release") or ""), str(each.get("bad") or "")
        more = {key: value for key, value in each.items() if key not in ("release", "bad")}
        name = f"bad-release:{release}:{kind}"
        try:
            self._world.inject({"fault": "bad-release", "on": release, "bad": kind, "name": name, **more})
        except Refusal as refused:
            raise ValueError(f"a release of a scenario: {refused.message}") from refused

    def _edge(self, each: Mapping[str, Any]) -> None:
        self._world.traffic.add(
            Edge(
                caller=str(each["from"]),
                callee=str(each["to"]),
                port=int(each.get("port") or 8080),
                rps=float(each.get("rps") or 5),
                connections=float(each.get("connections") or 0.2),
                latency_ms=float(each.get("latency") or 20),
                errors=float(each.get("errors") or 0.0005),
                unconnected=float(each.get("unconnected") or 0),
            )
        )

    def _user(self, each: Mapping[str, Any]) -> None:
        groups = (*(each.get("groups") or ()), AUTHENTICATED)
        self.users[f"simulator-{each['name']}"] = User(name=str(each["name"]), groups=tuple(groups))


def _loose(group: str, version: str, plural: str, kind: str, scope: str) -> Obj:
    schema = {
        "type": "object",
        "properties": {
            name: {"type": "object", "x-kubernetes-preserve-unknown-fields": True} for name in ("spec", "status")
        },
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{group}",
            "annotations": {
                "api-approved.kubernetes.io": "simulated",
                "gateway.networking.k8s.io/bundle-version": "v1.5.1",
                "gateway.networking.k8s.io/channel": "standard",
            },
        },
        "spec": {
            "group": group,
            "scope": scope,
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"},
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def _generated(spec: Any) -> list[dict[str, Any]]:
    """Write out a compact generator block: services spread over namespaces, each calling the next."""
    if not isinstance(spec, Mapping):
        return []
    count, namespaces = int(spec.get("services") or 0), [str(each) for each in spec.get("namespaces") or ("app",)]
    found = []
    for number in range(count):
        namespace = namespaces[number % len(namespaces)]
        nxt = (number + len(namespaces)) % count
        found.append(
            {
                "name": f"svc-{number:04d}",
                "namespace": namespace,
                "replicas": int(spec.get("replicas") or 2),
                "owner": f"team-{number % 20:02d}",
                "optIn": str(spec.get("optIn") or ""),
                "critical": number % 25 == 0,
                "calls": f"{namespaces[nxt % len(namespaces)]}/svc-{nxt:04d}",
            }
        )
    return found
