"""Everything that lives in the simulated cluster, wired to its store, and what can go wrong in it."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from meshup.model.objects import dig
from meshup.model.program import Program
from meshup.model.transport import Request, Response, TransportFailure
from meshup.simulate.api.problems import Refusal
from meshup.simulate.api.server import ApiServer, Logged
from meshup.simulate.api.store import Change, Obj
from meshup.simulate.world.badness import Bad, bad
from meshup.simulate.world.batch import Batch
from meshup.simulate.world.bits import owned_by
from meshup.simulate.world.deployments import Deployments
from meshup.simulate.world.edges import Edge, Harm
from meshup.simulate.world.evidence import Evidence
from meshup.simulate.world.faults import FAULTS, check, forgotten
from meshup.simulate.world.injector import Injectors
from meshup.simulate.world.mesh import GATEWAY_NAME, GATEWAYS, OWN_GATEWAYS, Gateways
from meshup.simulate.world.nodes import Nodes
from meshup.simulate.world.services import Services
from meshup.simulate.world.sets import Sets
from meshup.simulate.world.traffic import Traffic


class World:
    """One cluster's inhabitants. programs: what containers named `meshup NAME` run."""

    def __init__(self, server: ApiServer, *, programs: Mapping[str, Program] | None = None, seed: int = 1) -> None:
        self.server = server
        self._chance = random.Random(seed)
        pods_of: dict[str, set[tuple[str, str]]] = defaultdict(set)
        self._pods_of = pods_of
        self.services = Services(server)
        self.traffic = Traffic(server, seed=seed)
        self.nodes = Nodes(server, programs or {}, self._fetch)
        self.injectors = Injectors(server)
        self.gateways = Gateways(server)
        self.evidence = Evidence(server, self.traffic, self.nodes, self.services)
        self.injectors.reached = self.gateways.revision_up
        self.traffic.gateway_pods = self._gateway_pods
        self.traffic.scraping.workload_of = self._workload_of
        self.traffic.releases.end = self._killed
        self._controllers = (
            self.traffic,
            self.services,
            self.nodes,
            self.injectors,
            self.gateways,
            Deployments(server, pods_of),
            Sets(server, pods_of),
            Batch(server, pods_of),
        )
        self.faults: dict[str, Mapping[str, Any]] = {}
        self._sick: dict[str, tuple[str, str]] = {}
        self._slow: dict[str, float] = {}
        self.nodes.trouble = self._trouble
        self.nodes.slow = lambda pod: self._slow.get(self._workload_of(pod), 0.0)
        server.store.subscribe(self._see)
        server.before.append(self._before)
        server.after.append(self._after)
        self._shares: dict[str, float] = {}

    def _see(self, change: Change) -> None:
        if change.key == ("", "pods"):
            owner = owned_by(change.new or change.old or {})
            if owner is not None:
                keys = self._pods_of[str(owner["uid"])]
                (keys.discard if change.kind == "DELETED" else keys.add)((change.namespace, change.name))
        for each in self._controllers:
            each.see(change)

    def _fetch(self, ip: str, url: str, host: str) -> tuple[int, str]:
        return self.evidence.fetch(ip, url, host)

    def _gateway_pods(self) -> list[Obj]:
        found: list[Obj] = []
        for gateway in self.server.store.list(GATEWAYS):
            own = {GATEWAY_NAME: gateway["metadata"]["name"]}
            found += self.server.objects.list("pods", gateway["metadata"]["namespace"], own)
        for gateway in self.server.store.list(OWN_GATEWAYS):
            own = dig(gateway, "spec", "selector") or {}
            if own:
                found += self.server.objects.list("pods", gateway["metadata"]["namespace"], own)
        return found

    def _workload_of(self, pod: Obj) -> str:
        """Name the workload a pod comes from as namespace/name."""
        namespace = pod["metadata"]["namespace"]
        owner = owned_by(pod)
        if owner is None:
            return f"{namespace}/{pod['metadata']['name']}"
        if owner.get("kind") == "ReplicaSet":
            above = owned_by(self.server.objects.get("replicasets.apps", namespace, str(owner["name"])) or {})
            return f"{namespace}/{above['name'] if above else owner['name']}"
        if owner.get("kind") == "Job":
            above = owned_by(self.server.objects.get("jobs.batch", namespace, str(owner["name"])) or {})
            return f"{namespace}/{above['name'] if above else owner['name']}"
        return f"{namespace}/{owner['name']}"

    def _trouble(self, pod: Obj) -> tuple[str, str] | None:
        for container in dig(pod, "spec", "containers") or ():
            image = str(container.get("image", ""))
            if image.endswith(":absent"):
                return "ImagePullBackOff", f'Back-off pulling image "{image}"'
        return self._sick.get(self._workload_of(pod))

    def _workloads(self) -> list[str]:
        """Name every workload whose pods can be made sick, as namespace/name."""
        resources = ("deployments.apps", "statefulsets.apps", "daemonsets.apps", "jobs.batch", "cronjobs.batch")
        found = [each["metadata"] for resource in resources for each in self.server.objects.list(resource)]
        return [f"{meta['namespace']}/{meta['name']}" for meta in found]

    def inject(self, spec: Mapping[str, Any]) -> str:
        """Let something go wrong; give the fault's name, by which it is mended. Raises Refusal 400 (faults.check).

        spec: {"fault": KIND, "on": "namespace/name", "name": NAME, "after_s": 0, further by kind}.
        """
        kind = str(spec.get("fault", ""))
        check(spec, services=self.traffic.workloads, workloads=self._workloads())
        if kind == "bad-release":
            _declared(spec)
        name = str(spec.get("name") or (f"{kind}:{spec['on']}" if spec.get("on") else kind))
        after = float(spec.get("after_s") or 0)
        if after > 0:
            self.server.clock.call_later(after, lambda: self._begin(name, kind, spec))
        else:
            self._begin(name, kind, spec)
        return name

    def _begin(self, name: str, kind: str, spec: Mapping[str, Any]) -> None:
        self.traffic.count_all()
        self.faults[name] = spec
        on = str(spec.get("on") or "")
        match kind:
            case "server-first":
                self.traffic.harms[name] = Harm(service=on, when="meshed", errors=float(spec.get("errors") or 0.5))
            case "slow-when-meshed":
                self.traffic.harms[name] = Harm(service=on, when="meshed", latency_factor=100.0)
            case "fails-when-strict":
                self.traffic.harms[name] = Harm(service=on, when="strict", errors=0.5)
            case "broken":
                self.traffic.harms[name] = Harm(service=on, when="always", errors=float(spec.get("errors") or 0.5))
            case "bad-release":
                self.traffic.releases.bad[name] = _declared(spec)
                self.traffic.begin()
            case "image":
                self._sick[on] = ("ImagePullBackOff", 'Back-off pulling image "registry.example/app:broken"')
            case "crash":
                self._sick[on] = ("CrashLoopBackOff", "back-off 10s restarting failed container=app")
            case "slow-pods":
                self._slow[on] = float(spec.get("seconds") or 60)
            case "injector-down":
                self.injectors.down.add(on)
                self._look_again(on)
            case "rejected-config":
                self.traffic.rejects(on)
            case "api-errors" | "api-throttled" | "api-resets":
                self._shares[kind] = float(spec.get("share") or 0.1)
            case "lease-stolen":
                self._steal()
            case "clock-jump":
                self.server.clock.jump(float(spec.get("by") or 3600))
            case "plaintext-client":
                self._forgotten(on)
            case _:
                raise Refusal(400, f"there is no fault {kind!r}")

    def _killed(self, pod: Obj) -> None:
        """Let a proxy that took too much memory start again: its counts are gone, and its pod is not ready for a while."""
        self.nodes.restart(pod)
        self.traffic.restarted(pod)

    def _forgotten(self, on: str) -> None:
        """Make a CronJob that nobody enrols and that calls a service every minute."""
        namespace, _, name = on.partition("/")
        job = f"forgotten-{name}"
        self.server.objects.create("cronjobs.batch", forgotten(namespace, job))
        self.traffic.workloads[f"{namespace}/{job}"] = (namespace, {"app": job})
        port = next((edge.port for edge in self.traffic.edges if edge.callee == on), 8080)
        self.traffic.add(Edge(caller=f"{namespace}/{job}", callee=on, port=port, rps=2.0, connections=0.5))

    def mend(self, name: str) -> bool:
        """End a fault; tells whether there was one of that name."""
        spec = self.faults.pop(name, None)
        if spec is None:
            return False
        self.traffic.count_all()
        self.traffic.harms.pop(name, None)
        self.traffic.releases.bad.pop(name, None)
        on = str(spec.get("on") or "")
        self._sick.pop(on, None)
        self._slow.pop(on, None)
        self._shares.pop(str(spec.get("fault")), None)
        if spec.get("fault") == "plaintext-client":
            namespace, _, service = on.partition("/")
            self.server.objects.delete("cronjobs.batch", namespace, f"forgotten-{service}")
        if on in self.injectors.down:
            self.injectors.down.discard(on)
            self._look_again(on)
        return True

    def steer(self, body: Any) -> Any:
        """Answer POST /simulator/faults: {"inject": SPEC} or {"mend": NAME} or a SPEC itself; {} lists what is on."""
        if not isinstance(body, Mapping):
            raise Refusal(400, "a fault is a JSON object")
        if "mend" in body:
            return {"mended": self.mend(str(body["mend"]))}
        spec = body.get("inject") or (body if body.get("fault") else None)
        if spec:
            return {"injected": self.inject(spec)}
        return {"faults": {name: dict(each) for name, each in self.faults.items()}, "known": dict(FAULTS)}

    def _look_again(self, name: str) -> None:
        for each in self.server.objects.list("deployments.apps"):
            if each["metadata"]["name"] == name:
                self.injectors.queue.add(each["metadata"]["namespace"], name)

    def _steal(self) -> None:
        lease = self.server.objects.get("leases.coordination.k8s.io", "meshup-system", "meshup")
        if lease is not None:
            spec = {
                **lease["spec"],
                "holderIdentity": "thief@elsewhere pid 1.1",
                "renewTime": self.server.clock.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            }
            self.server.objects.update("leases.coordination.k8s.io", {**lease, "spec": spec})

    def _before(self, request: Request, logged: Logged) -> Response | None:
        if request.path.startswith("/simulator/") or not self._shares:
            return None
        if self._chance.random() < self._shares.get("api-errors", 0.0):
            return _status(503, "the server is currently unable to handle the request", "ServiceUnavailable")
        if self._chance.random() < self._shares.get("api-throttled", 0.0):
            answer = _status(429, "too many requests, please try again later", "TooManyRequests")
            return Response(status=429, headers={**answer.headers, "retry-after": "1"}, body=answer.body)
        del logged
        return None

    def _after(self, request: Request, logged: Logged, response: Response) -> Response:
        del request, logged
        if (
            self._shares.get("api-resets")
            and response.lines is None
            and self._chance.random() < self._shares["api-resets"]
        ):
            raise TransportFailure("reset", "connection reset by peer", maybe_done=True)
        return response


def _declared(spec: Mapping[str, Any]) -> Bad:
    """Read how a release is bad from a fault. Raises Refusal 400."""
    more = {key: value for key, value in spec.items() if key not in ("fault", "name", "on", "bad", "after_s")}
    return bad(str(spec.get("on") or ""), str(spec.get("bad") or "errors"), more)


def _status(code: int, message: str, reason: str) -> Response:
    import json

    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
    return Response(status=code, headers={"content-type": "application/json"}, body=json.dumps(body).encode())
