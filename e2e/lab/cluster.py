"""Bring a cluster up, say how it is, and take it down."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import building, config, network, processes, store
from .config import Home
from .controlplane import ControlPlane, free_ports
from .ending import clean_up
from .errors import LabError
from .fakes import start_fake_nodes
from .kubectl import apply, apply_gateway_api, asked, kubectl
from .node import Node
from .processes import Roster
from .runtime import Containerd

Lap = Callable[[str], None]


def up(
    *,
    control_plane_only: bool = False,
    fake_nodes: int = 0,
    gateway_api: bool = False,
    mutating_policies: bool = False,
    home: Home | None = None,
) -> Path:
    """Start a new, empty cluster and give the administrator's kubeconfig. Raises LabError.

    control_plane_only: etcd, API server and controllers on loopback, without root and images. fake_nodes: the same,
    with a scheduler and so many nodes that kwok pretends. Otherwise all of it: node, DNS and Prometheus.
    mutating_policies: the API server serves MutatingAdmissionPolicy; of these two alone.
    """
    home = home or Home()
    simple = control_plane_only or fake_nodes > 0
    if mutating_policies and not simple:
        raise LabError("a full lab serves no mutating policies", fix="`up --control-plane-only --mutating-policies`")
    _must_be_free(home, simple=simple)
    shutil.rmtree(home.state, ignore_errors=True)
    home.state.mkdir(parents=True)
    roster = Roster(home.state)
    lap = stopwatch()
    if simple:
        plane = ControlPlane(home, roster, ports=free_ports(3), mutating_policies=mutating_policies)
        plane.issue_certificates()
        plane.start()
        lap("control plane")
        if fake_nodes:
            start_fake_nodes(plane, fake_nodes)
            lap(f"{fake_nodes} fake nodes")
    else:
        _full(home, roster, lap)
    if gateway_api:
        apply_gateway_api(home)
        lap("Gateway API types")
    return home.kubeconfig


def _must_be_free(home: Home, *, simple: bool) -> None:
    if any(processes.owned(home.state)) or home.full.exists():
        raise LabError(f"there is a lab in {home.state}", fix="`down` takes it down, also what is left of a broken one")
    missing = building.missing(control_plane_only=simple)
    if missing:
        raise LabError(f"not built yet: {', '.join(missing)}", fix="`build` makes what is missing")
    if simple:
        return
    if os.geteuid() != 0:
        raise LabError("a full lab needs root", fix="`up --control-plane-only` does not")
    if not store.place().exists():
        raise LabError("the images are not made yet", fix="`images` makes them")
    if (network.NAMES / config.NETNS).exists():
        why = f"the network namespace {config.NETNS} is there; a machine holds one full lab"
        raise LabError(
            "another full lab is up", why=why, fix="`down`, with the MESHUP_LAB_STATE that it was started with"
        )


def _full(home: Home, roster: Roster, lap: Lap) -> None:
    home.full.touch()
    network.create(home)
    plane = ControlPlane(home, roster, config.NETNS)
    plane.issue_certificates()
    runtime = Containerd(home.containerd, roster, config.NETNS)
    node = Node(plane, runtime)
    with ThreadPoolExecutor() as pool:
        copying = pool.submit(runtime.copy_store, store.place())
        issuing = pool.submit(node.issue_certificates)
        plane.start()
        plane.start_scheduler()
        copying.result()
        issuing.result()
    runtime.start(network.pod_network(runtime.folder / "ipam"))
    lap("control plane and container runtime")
    node.start()
    apply(home, "coredns.yaml", image=config.COREDNS_IMAGE, domain=config.CLUSTER_DOMAIN, dns=config.DNS_IP)
    apply(home, "prometheus.yaml", image=config.PROMETHEUS_IMAGE)
    node.wait_ready()
    lap("node ready")
    kubectl(home, "rollout", "status", "deployment/coredns", "--namespace=kube-system", "--timeout=60s")
    lap("DNS available")
    kubectl(home, "rollout", "status", "deployment/prometheus", "--namespace=monitoring", "--timeout=60s")
    lap("Prometheus available")


def down(*, home: Home | None = None) -> None:
    """Stop what `up` started and undo what it left behind, also after a crash. Logs stay until the next `up`."""
    home = home or Home()
    processes.end(home.state)
    clean_up(home)


def status(*, home: Home | None = None) -> bool:
    """Print what runs and the memory it holds; true when all of it is alive."""
    home = home or Home()
    roster = Roster(home.state)
    for each in roster.processes:
        life, memory = "alive" if each.alive else "DEAD", processes.resident_mib(each.pid)
        print(f"{each.name:24} pid {each.pid:<8} {life:6} {memory:7.0f} MiB")
    listed = {each.pid for each in roster.processes}
    inside = [pid for pid in processes.owned(home.state) if pid not in listed]
    if inside:
        print(f"{'pods, with their shims':44} {sum(map(processes.resident_mib, inside)):7.0f} MiB")
    if not roster.processes:
        print("the lab is down")
        return False
    if not all(each.alive for each in roster.processes):
        print("the lab is broken; `down` cleans up")
        return False
    print(f"kubeconfig {home.kubeconfig}")
    print(asked(home, "get", "nodes,pods", "--all-namespaces"), end="")
    return True


def restart(*names: str, home: Home | None = None) -> None:
    """Kill processes and start them again, in this order, as a node's supervisor would; wait for the API server."""
    home = home or Home()
    roster = Roster(home.state)
    for name in names:
        roster.restart(name)
        if name == "kube-apiserver":
            ControlPlane.running(home, roster).wait_ready()


def stopwatch() -> Lap:
    """Give a function that prints a line with the seconds since now."""
    started = time.monotonic()

    def lap(what: str) -> None:
        print(f"{what:34} {time.monotonic() - started:7.1f} s", flush=True)

    return lap
