"""Scenarios: a YAML file becomes a cluster that has been running for a while."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from meshup.model.program import Program
from meshup.simulate.api.server import ApiServer
from meshup.simulate.api.users import User
from meshup.simulate.building import Builder
from meshup.simulate.clock import VirtualClock
from meshup.simulate.world.edges import Edge
from meshup.simulate.world.noise import Noise
from meshup.simulate.world.world import World

SETTLE_S = 90.0
RATE = 5.0
"""Requests a second that are assumed between services of a copy."""
OPENED = 2.0
"""New connections a second of such traffic, so that a comparison has as many of them as it needs while it has requests enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """One cluster in memory. users: bearer token -> identity, for the HTTP front."""

    server: ApiServer
    world: World
    clock: VirtualClock
    name: str
    users: Mapping[str, User]


def known() -> tuple[str, ...]:
    """Name the scenarios that are shipped."""
    return tuple(
        sorted(
            each.name.removesuffix(".yaml")
            for each in files("meshup.simulate").joinpath("scenarios").iterdir()
            if each.name.endswith(".yaml")
        )
    )


def read(name: str) -> Mapping[str, Any]:
    """Read a scenario by name or path. Raises FileNotFoundError, ValueError."""
    import yaml

    path = Path(name)
    if name in known():
        text = files("meshup.simulate").joinpath("scenarios", f"{name}.yaml").read_text(encoding="utf-8")
    elif path.is_file():
        text = path.read_text(encoding="utf-8")
    else:
        raise FileNotFoundError(name)
    found = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - a safe loader
    if not isinstance(found, dict):
        raise ValueError("a scenario is a block of keys")
    return found


def load(
    name: str,
    *,
    seed: int = 1,
    clock: VirtualClock | None = None,
    programs: Mapping[str, Program] | None = None,
    healthy: bool = False,
) -> Simulation:
    """Build a scenario and let it settle. healthy: with no release bad that it declares so. Raises FileNotFoundError, ValueError."""
    found = read(name)
    if healthy:
        found = {**found, "releases": ()}
    clock = clock or VirtualClock()
    server = ApiServer(clock, seed=seed)
    world = World(server, programs=programs, seed=seed)
    if found.get("noise"):
        world.traffic.noise = Noise(seed)
    builder = Builder(server, world, found)
    builder.build()
    clock.advance(float(found.get("settle") or SETTLE_S))
    server.forget_history()
    server.log.clear()
    server.mutations = 0
    return Simulation(server=server, world=world, clock=clock, name=str(found.get("name") or name), users=builder.users)


def from_objects(
    objects: list[Any],
    *,
    nodes: int,
    programs: Mapping[str, Program] | None = None,
    calls: Sequence[tuple[str, str, int]] = (),
) -> Simulation:
    """Rebuild a cluster from objects read elsewhere, in the order given; what can't be made again is left out.

    calls: (caller, callee, port) of services that call each other RATE times a second, as namespace/name or "ingress".
    """
    from meshup.simulate.api.problems import Refusal

    clock = VirtualClock()
    server = ApiServer(clock)
    world = World(server, programs=programs)
    builder = Builder(server, world, {"nodes": nodes})
    for number in range(nodes):
        builder.node(f"node-{number + 1}")
    for each in objects:
        meta = {
            key: value
            for key, value in each["metadata"].items()
            if key in ("name", "namespace", "labels", "annotations")
        }
        body = {key: value for key, value in each.items() if key not in ("metadata", "status")}
        if each.get("kind") == "Service":
            spec = {key: value for key, value in body["spec"].items() if key not in ("clusterIP", "clusterIPs")}
            body["spec"] = spec if body["spec"].get("clusterIP") != "None" else {**spec, "clusterIP": "None"}
        try:
            builder.raw({**body, "metadata": meta}, owners=each["metadata"].get("managedFields") or ())
        except (Refusal, ValueError):
            continue
        if each.get("kind") == "CustomResourceDefinition":
            clock.advance(2.0)
        if each.get("kind") in ("Deployment", "StatefulSet", "DaemonSet", "CronJob"):
            selector = (each["spec"].get("selector") or {}).get("matchLabels") or {}
            world.traffic.workloads[f"{meta.get('namespace')}/{meta['name']}"] = (
                str(meta.get("namespace")),
                dict(selector),
            )
    for caller, callee, port in calls:
        world.traffic.add(Edge(caller=caller, callee=callee, port=port, rps=RATE, connections=OPENED))
    clock.advance(SETTLE_S)
    server.forget_history()
    server.log.clear()
    server.mutations = 0
    return Simulation(server=server, world=world, clock=clock, name="copy", users={})
