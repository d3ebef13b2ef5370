"""A real API server with many Deployments and pods on nodes that are pretended, and the files that describe them."""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from served import NAMESPACE, RUNBOOK, deployment

from e2e import lab
from e2e.lab import Home
from meshup.cluster.https import HttpsTransport
from meshup.cluster.kubeconfig import Choice, access
from meshup.model.transport import Request

PATIENCE_S = 240.0
SIDE_BY_SIDE = 8
PER_NODE = 1000
PERSON, GROUP = "bench", "benchmarks"
BINDING = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": PERSON},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
    "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": GROUP}],
}
"""Not system:masters: their requests wait in no queue of the server, and a person's do."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """The server. folder: a runbook, its manifests, and the same manifests as one file. kubeconfig: of a person."""

    folder: Path
    kubeconfig: Path
    transport: HttpsTransport

    @property
    def one_file(self) -> Path:
        """All manifests as one file."""
        return self.folder / "one.json"

    def write(self, method: str, path: str, body: object, **query: str) -> None:
        """Create or apply an object. Raises RuntimeError with what the server said."""
        kind = "application/apply-patch+yaml" if method == "PATCH" else "application/json"
        headers = {"accept": "application/json", "content-type": kind}
        asked = Request(
            method=method,  # type: ignore[arg-type]
            path=path,
            query=tuple(query.items()),
            headers=headers,
            body=json.dumps(body).encode(),
        )
        answer = self.transport.send(asked)
        if answer.status not in (200, 201):
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.body[:300]!r}")

    def pods_that_run(self) -> tuple[int, int]:
        """Give how many pods run, and the bytes of the whole list."""
        headers = {"accept": "application/json"}
        answer = self.transport.send(Request(method="GET", path="/api/v1/pods", headers=headers))
        items = json.loads(answer.body)["items"]
        return sum(each["status"].get("phase") == "Running" for each in items), len(answer.body)

    def wait_for(self, pods: int) -> int:
        """Wait until so many pods run; give the bytes of the list. Raises RuntimeError when that takes too long."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            found, size = self.pods_that_run()
            if found >= pods:
                return size
            if time.monotonic() > deadline:
                raise RuntimeError(f"{found} of {pods} pods run after {PATIENCE_S:g} s")
            time.sleep(1)

    def add_pods(self, first: int, end: int, *, nodes: int) -> None:
        """Make pods by number, each put on a node already."""
        path = f"/api/v1/namespaces/{NAMESPACE}/pods"
        with ThreadPoolExecutor(SIDE_BY_SIDE) as several:
            list(
                several.map(
                    lambda n: self.write("POST", path, pod(f"p{n:05d}", f"fake-{n % nodes}")), range(first, end)
                )
            )


@contextlib.contextmanager
def fleet(size: int, changed: int, *, nodes: int) -> Iterator[Fleet]:
    """Bring the server up, with a pod for each Deployment; `changed` differ from their manifests by a label."""
    with tempfile.TemporaryDirectory(prefix="meshup-bench-") as name:
        home = Home(Path(name) / "lab")
        try:
            with contextlib.redirect_stdout(None):
                lab.up(control_plane_only=True, fake_nodes=nodes, home=home)
            person = lab.user(PERSON, (GROUP,), home=home)
            made = Fleet(Path(name), person, HttpsTransport(access(Choice(kubeconfig=str(home.kubeconfig)))))
            made.write("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", BINDING)
            _fill(made, size, changed)
            made.wait_for(size)
            yield made
        finally:
            lab.down(home=home)


def _fill(made: Fleet, size: int, changed: int) -> None:
    meta = {"name": NAMESPACE, "labels": {"meshup.dev/managed-by": "meshup"}}
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}
    made.write("PATCH", f"/api/v1/namespaces/{NAMESPACE}", space, fieldManager="meshup")
    names = [f"s{number:05d}" for number in range(size)]
    wanted = [deployment(each, tier="new") for each in names]
    (made.folder / "manifests").mkdir()
    for each in wanted:
        (made.folder / "manifests" / f"{each['metadata']['name']}.json").write_text(json.dumps(each))
    made.one_file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": wanted}))
    (made.folder / "meshup.yaml").write_text(RUNBOOK)

    def put(number: int) -> None:
        """Apply one as meshup did earlier."""
        body = deployment(names[number], tier="old") if number < changed else wanted[number]
        path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{names[number]}"
        made.write("PATCH", path, body, fieldManager="meshup")

    with ThreadPoolExecutor(SIDE_BY_SIDE) as several:
        list(several.map(put, range(size)))


def pod(name: str, node: str) -> dict[str, Any]:
    """Give a pod as a meshed service has it: a container with probes, and a proxy with many settings."""
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 5}
    resources = {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}}
    settings = [{"name": f"PROXY_SETTING_{number}", "value": f"the value of setting {number}"} for number in range(24)]
    field = {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    volume = {"name": "data", "emptyDir": {}}
    mount = {"name": "data", "mountPath": "/var/lib/data"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": {"app": name, "tier": "new", "istio.io/rev": "1-30-3", "pod-template-hash": "5d4f8c7b9"},
            "annotations": {
                "prometheus.io/scrape": "true",
                "prometheus.io/port": "15020",
                "sidecar.istio.io/status": "{}",
            },
        },
        "spec": {
            "nodeName": node,
            "volumes": [volume],
            "containers": [
                {
                    "name": "app",
                    "image": "shop/app:1",
                    "ports": [{"containerPort": 8080, "name": "http"}],
                    "env": [field],
                    "resources": resources,
                    "readinessProbe": probe,
                    "livenessProbe": probe,
                    "volumeMounts": [mount],
                },
                {
                    "name": "istio-proxy",
                    "image": "shop/proxy:1",
                    "args": ["proxy", "sidecar", "--log_output_level=default:info"],
                    "ports": [{"containerPort": 15090, "name": "http-envoy-prom"}],
                    "env": [field, *settings],
                    "resources": resources,
                    "volumeMounts": [mount],
                },
            ],
        },
    }
