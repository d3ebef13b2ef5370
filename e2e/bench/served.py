"""A cluster of many Deployments behind HTTP, for measuring: `served.py SIZE CHANGED LATENCY_MS FOLDER`.

CHANGED of them are not enrolled yet. Writes kubeconfig, runbook and one manifest per Deployment, as they should be, to
FOLDER, prints "ready", and serves until it is ended. POST /simulator/faults gives what was asked, by sort.
"""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from meshup.meshes.istio.enrol import REV, STATS, STATS_WANTED
from meshup.model.transport import Request
from meshup.simulate.api.server import ApiServer
from meshup.simulate.clock import VirtualClock
from meshup.simulate.http import Front

REVISION, NAMESPACE = "1-30-3", "shop"
HEAD = """apiVersion: meshup.dev/v1
kind: Runbook
metadata: {name: bench}
mesh: {driver: istio, release: "1.30.3", revision: 1-30-3, namespace: istio-system, managedBy: external, manifests: {from: stand-in}}
services:
"""
TAIL = """stages:
  - name: onboard
    waves: [all]
    steps: [{enrol: {}}]
    gates: [{workloads-ready: {}}]
"""


def deployment(name: str, *, enrolled: bool) -> dict[str, Any]:
    """Give one Deployment, on the revision or not."""
    labels = {"app": name, **({REV: REVISION} if enrolled else {})}
    notes = {STATS: ",".join(STATS_WANTED)} if enrolled else {}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": labels, "annotations": notes},
                "spec": {"containers": [{"name": "app", "image": "shop/app:1"}]},
            },
        },
    }


def runbook(names: list[str]) -> str:
    """Give a runbook that enrols all of them in one wave."""
    opted = 'optIn: {by: ana, at: "2026-11-01T10:00:00Z"}'
    services = "".join(
        f"  - {{name: {each}, namespace: {NAMESPACE}, workload: Deployment/{each}, owner: team, {opted}}}\n"
        for each in names
    )
    wave = ", ".join(f"{NAMESPACE}/{each}" for each in names)
    return f"{HEAD}{services}waves:\n  - {{name: all, services: [{wave}]}}\n{TAIL}"


def put(server: ApiServer, path: str, body: dict[str, Any]) -> None:
    """Create an object as its owner would, with everything a server does to it."""
    answer = server.send(
        Request(method="POST", path=path, headers={"content-type": "application/json"}, body=json.dumps(body).encode())
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
        put(server, f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments", deployment(name, enrolled=number >= changed))
        (folder / "manifests" / f"{name}.json").write_text(json.dumps(deployment(name, enrolled=True)))
    (folder / "meshup.yaml").write_text(runbook(names))
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
