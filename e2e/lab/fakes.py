"""Nodes without machines: kwok says that they, and the pods put on them, are well."""

from __future__ import annotations

import json

from . import config
from .controlplane import ControlPlane, free_ports
from .kubectl import kubectl

ROOM = {"cpu": "64", "memory": "256Gi", "pods": "1000"}


def start_fake_nodes(plane: ControlPlane, count: int) -> None:
    """Start kwok and a scheduler, make `count` nodes, and wait until they are ready."""
    plane.start_scheduler()
    command = [
        str(config.binary("kwok", config.KWOK)),
        f"--kubeconfig={plane.kubeconfig('kwok', ('system:masters',))}",
        f"--config={config.binary('kwok', config.KWOK, 'stages.yaml')}",
        "--manage-all-nodes=true",
        "--node-lease-duration-seconds=40",
        f"--server-address=127.0.0.1:{free_ports(1)[0]}",
    ]
    plane.roster.start("kwok", command, plane.netns)
    nodes = {"apiVersion": "v1", "kind": "List", "items": [_node(f"fake-{number}") for number in range(count)]}
    kubectl(plane.home, "create", "--filename=-", stdin=json.dumps(nodes))
    kubectl(plane.home, "wait", "--for=condition=Ready", "node", "--all", "--timeout=60s")


def _node(name: str) -> dict[str, object]:
    metadata = {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": metadata,
        "status": {"allocatable": ROOM, "capacity": ROOM},
    }
