"""A cluster of many Deployments behind HTTP, for measuring: `served.py SIZE CHANGED LATENCY_MS FOLDER`.

CHANGED of them differ from their manifests by a label. Writes kubeconfig, a runbook that applies the manifests, and one
manifest per Deployment to FOLDER, prints "ready", and serves until it is ended. POST /simulator/faults gives what was
asked, by sort.
"""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from meshup.model.transport import Request
from meshup.simulate.api.server import ApiServer
from meshup.simulate.clock import VirtualClock
from meshup.simulate.http import Front

NAMESPACE = "shop"
RUNBOOK = f"""apiVersion: meshup.dev/v1
kind: Runbook
metadata: {{name: bench}}
mesh: {{driver: istio, release: "1.30.3", revision: 1-30-3, namespace: {NAMESPACE}, manifests: {{from: directory, path: manifests}}}}
stages:
  - name: install
    steps: [{{install-control-plane: {{}}}}]
    gates: [{{workloads-ready: {{}}}}]
"""


def deployment(name: str, *, tier: str) -> dict[str, Any]:
    """Give one Deployment as it should be, or with another value of one label."""
    labels = {"app": name, "tier": tier, "meshup.dev/managed-by": "meshup"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "app", "image": "shop/app:1"}]},
            },
        },
    }


def put(server: ApiServer, path: str, body: dict[str, Any]) -> None:
    """Apply an object as meshup did earlier, with everything a server does to it."""
    answer = server.send(
        Request(
            method="PATCH",
            path=f"{path}/{body['metadata']['name']}",
            query=(("fieldManager", "meshup"),),
            headers={"content-type": "application/apply-patch+yaml"},
            body=json.dumps(body).encode(),
        )
    )
    if answer.status != 201:
        raise SystemExit(f"{path}: {answer.status} {answer.body[:300]!r}")


def main(size: int, changed: int, latency_ms: float, folder: Path) -> None:
    """Make the cluster and serve it."""
    server = ApiServer(VirtualClock())
    put(server, "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    names = [f"s{number:05d}" for number in range(size)]
    (folder / "manifests").mkdir()
    for number, name in enumerate(names):
        put(
            server,
            f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments",
            deployment(name, tier="old" if number < changed else "new"),
        )
        (folder / "manifests" / f"{name}.json").write_text(json.dumps(deployment(name, tier="new")))
    (folder / "meshup.yaml").write_text(RUNBOOK)
    made = len(server.log)

    def sorts(_: Any) -> dict[str, int]:
        found: Counter[str] = Counter()
        for each in server.log[made:]:
            listed = each.method == "GET" and any(key == "limit" for key, _ in each.query)
            found["pages" if listed else "dry runs" if each.dry_run else "others"] += 1
        return dict(found)

    front = Front(server, latency_s=latency_ms / 1000, faults=sorts).start()
    (folder / "kubeconfig").write_text(json.dumps(front.kubeconfig()))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    threading.Event().wait()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]))
