"""Small services for faults, each as other teams might own it, and the runbooks that move them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from town import NEW, get, kubectl, sidecars

from e2e import lab

HERE = Path(__file__).resolve().parent
REVISION = "1-31-0-dev"
Object = dict[str, Any]

SPEAKS_FIRST = """\
import socketserver
class Hello(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(b"220 ready\\r\\n")
        self.request.recv(16)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
Server(("", 4000), Hello).serve_forever()
"""
ASKS_IT = """\
import socket
with socket.create_connection(("greeter.front", 4000), 1) as asked:
    asked.settimeout(1)
    assert asked.recv(16).startswith(b"220")
"""
"""What a client of that server does: it waits to be spoken to."""

CALLS = """\
import os, time, urllib.request
if {user}:
    os.setgid({user})
    os.setuid({user})
while True:
    try:
        urllib.request.urlopen("http://echo.shop/debug", timeout=2).read()
    except OSError:
        pass
    time.sleep(0.25)
"""


def fortio(port: int = 8080) -> Object:
    """Give a container that answers HTTP."""
    ports = [each for name in ("grpc", "tcp", "udp", "redirect") for each in (f"-{name}-port", "disabled")]
    return {
        "image": lab.FORTIO_IMAGE,
        "args": ["server", "-http-port", str(port), *ports],
        "readinessProbe": {"httpGet": {"path": "/debug", "port": port}, "periodSeconds": 1},
    }


def python(script: str, **more: Any) -> Object:
    """Give a container that runs a script."""
    return {"image": lab.MESHUP_IMAGE, "command": ["python3", "-c", script], **more}


def workload(id_: str, container: Mapping[str, Any], *, deadline_s: int = 60) -> Object:
    """Give a Deployment of one pod; deadline_s: when its controller gives a rollout up."""
    namespace, _, name = id_.partition("/")
    resources = {"requests": {"cpu": "5m", "memory": "20Mi"}}
    pod = {
        "terminationGracePeriodSeconds": 1,
        "containers": [{"name": name, "imagePullPolicy": "IfNotPresent", "resources": resources, **container}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "annotations": {"meshup.dev/owner": f"team-{name}"}},
        "spec": {
            "replicas": 1,
            "progressDeadlineSeconds": deadline_s,
            "selector": {"matchLabels": {"app": name}},
            "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod},
        },
    }


def served(id_: str, *, port: int = 80, target: int = 8080, **more: Any) -> Object:
    """Give the Service in front of a workload; its port says http."""
    namespace, _, name = id_.partition("/")
    ports = [{"name": "main", "appProtocol": "http", "port": port, "targetPort": target}]
    spec = {"selector": {"app": name}, "ports": ports, **more}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def apply(*objects: Mapping[str, Any]) -> None:
    """Apply objects as their owners would, and wait until they run."""
    listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    kubectl("apply", "--filename=-", stdin=json.dumps(listed))
    for each in objects:
        if each["kind"] == "Deployment":
            settled(f"{each['metadata']['namespace']}/{each['metadata']['name']}")


def plain(*ids: str) -> list[Object]:
    """Give services that nothing is wrong with."""
    return [each for id_ in ids for each in (workload(id_, fortio()), served(id_))]


def settled(id_: str) -> None:
    """Wait for the rollout of a Deployment."""
    namespace, _, name = id_.partition("/")
    kubectl("rollout", "status", f"deployment/{name}", f"--namespace={namespace}", "--timeout=120s")


def patience(gate: str, *, limit: str, every: str = "1s", in_a_row: int = 1, **more: Any) -> Object:
    """Give a gate with a patience of seconds, where a real rollout takes minutes."""
    return {gate: more.pop("params", {}), "patience": {"limit": limit, "every": every, "inARow": in_a_row, **more}}


QUICK = (patience("workloads-ready", limit="60s"), patience("proxies-right", limit="20s"))


def stage(name: str, *steps: str, gates: Sequence[Object] = QUICK, **more: Any) -> Object:
    """Give a stage; its steps take no parameters."""
    return {"name": name, "steps": [{each: {}} for each in steps], "gates": list(gates), **more}


def runbook(
    name: str,
    waves: Mapping[str, Sequence[str]],
    *,
    stages: Sequence[Object] = (),
    one_by_one: bool = False,
    clients: Sequence[str] = (),
) -> Object:
    """Give a runbook that enrols waves of Deployments, all opted in.

    stages: instead of the enrolment alone. one_by_one: the next service begins when the last has
    settled. clients: those that serve nobody.
    """
    uid = get("namespace", "kube-system")["metadata"]["uid"]
    values = yaml.safe_load((HERE / "values.yaml").read_text("utf-8"))
    services = [each for several in waves.values() for each in several]
    return {
        "apiVersion": "meshup.dev/v1",
        "kind": "Runbook",
        "metadata": {"name": name},
        "cluster": {"uid": uid},
        "mesh": {
            "driver": "istio",
            "release": NEW.version,
            "revision": REVISION,
            "manifests": {"from": "istioctl"},
            "values": values,
        },
        "services": [_member(each, client=each in clients) for each in services],
        "waves": [{"name": wave, "services": list(several)} for wave, several in waves.items()],
        "stages": list(stages) or [stage("onboard", "enrol", waves=list(waves))],
        "pacing": {"inFlight": 1 if one_by_one else 2},
    }


def _member(id_: str, *, client: bool) -> Object:
    namespace, _, name = id_.partition("/")
    return {
        "name": name,
        "namespace": namespace,
        "workload": f"Deployment/{name}",
        "owner": f"team-{name}",
        "clientOnly": client,
        "optIn": {"by": "ana", "at": "2026-10-19T09:00:00Z"},
    }


def written(book: Object, folder: Path) -> None:
    """Write a runbook where meshup finds it."""
    (folder / "meshup.yaml").write_text(json.dumps(book, indent=1), "utf-8")


def releases(*ids: str) -> dict[str, set[str]]:
    """Give the proxies' images of each Deployment's pods that stay; a pod without one gives ""."""
    return {id_: set(sidecars(*id_.split("/"))) for id_ in ids}
