"""Deployments that take their time to roll out, behind HTTP: `rollouts.py SIZE LATENCY_MS`, as JSON on stdout its URL.

Time is the machine's. POST /simulator/faults gives, as stamped here, when changes came in and when rollouts were ready, and
begins anew: every Deployment is at rest again.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from typing import Any

from meshup.cluster.connect import over
from meshup.model.objects import Ref
from meshup.model.transport import Request
from meshup.simulate.api.server import ApiServer, Logged
from meshup.simulate.api.users import CONTROL_PLANE
from meshup.simulate.clock import VirtualClock
from meshup.simulate.http import Front

NAMESPACE = "shop"
SHORTEST_S, LONGEST_S = 0.5, 2.0
COUNTS = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")


def deployment(name: str) -> dict[str, Any]:
    """Give one Deployment of one pod."""
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "app", "image": "shop/app:1"}]},
            },
        },
    }


class Rollouts:
    """Makes each changed Deployment ready after some seconds, the same each time for the same number of changes."""

    def __init__(self, server: ApiServer) -> None:
        self._door = over(server.as_user(CONTROL_PLANE), server.clock)
        self._chance = random.Random(1)
        self.changed: list[float] = []
        self.ready: list[float] = []
        server.before.append(self._see)

    def ref(self, name: str) -> Ref:
        """Name one."""
        return Ref(api_version="apps/v1", kind="Deployment", namespace=NAMESPACE, name=name)

    def at_rest(self, name: str) -> None:
        """Say of one what its controller says when its rollout is over."""
        generation = self._door.get(self.ref(name))["metadata"]["generation"]
        self._door.update_status(self.ref(name), {"observedGeneration": generation, **dict.fromkeys(COUNTS, 1)})

    def _see(self, request: Request, logged: Logged) -> None:
        if (
            logged.mutation
            and request.method == "PATCH"
            and "/deployments/" in request.path
            and "/status" not in request.path
        ):
            self.changed.append(time.monotonic())
            name = request.path.rpartition("/")[2]
            threading.Timer(self._chance.uniform(SHORTEST_S, LONGEST_S), self._become_ready, (name,)).start()

    def _become_ready(self, name: str) -> None:
        self.ready.append(time.monotonic())
        self.at_rest(name)

    def told(self, _: Any) -> dict[str, list[float]]:
        """Give the stamps, and begin anew."""
        found = {"changed": self.changed, "ready": self.ready}
        self.changed, self.ready, self._chance = [], [], random.Random(1)
        return found


def main(size: int, latency_ms: float) -> None:
    """Make the cluster and serve it until it is ended."""
    server = ApiServer(VirtualClock())
    door = over(server, server.clock)
    names = [f"s{number:04d}" for number in range(size)]
    for name in (NAMESPACE, "meshup-system"):
        door.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    for name in names:
        door.create(deployment(name), manager="owner")
    rollouts = Rollouts(server)
    for name in names:
        rollouts.at_rest(name)
    front = Front(server, latency_s=latency_ms / 1000, faults=rollouts.told).start()
    sys.stdout.write(json.dumps({"url": front.url, "names": names}) + "\n")
    sys.stdout.flush()
    threading.Event().wait()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
