"""A service that moves from one release to the next under traffic, and a runbook that judges it by a canary gate."""

from __future__ import annotations

import json

import yaml
from watched import PROMETHEUS

from meshup.cli.main import main

GOOD, BAD = "1.29.4", "1.30.3"
MESHED = {"namespace": "shop", "owner": "team-shop", "revision": "1-29-4"}
SCENARIO = {
    "name": "two-releases",
    "settle": 300,
    "namespaces": ["shop", "istio-system"],
    "revisions": [{"revision": "1-29-4", "release": GOOD}, {"revision": "1-30-3", "release": BAD}],
    "endpoint-counters": True,
    "services": [
        {**MESHED, "name": "web", "replicas": 2},
        {**MESHED, "name": "job", "replicas": 2},
        {**MESHED, "name": "cart", "replicas": 4},
        {**MESHED, "name": "store", "replicas": 4, "kind": "StatefulSet", "port": 8090},
    ],
    "edges": [
        {"from": "shop/web", "to": "shop/cart", "rps": 30, "connections": 4},
        {"from": "shop/job", "to": "shop/cart", "rps": 10, "connections": 4},
        {"from": "shop/web", "to": "shop/store", "rps": 30, "connections": 4, "port": 8090},
    ],
    "objects": PROMETHEUS,
}
OPTED = {"by": "ana", "at": "2026-10-19T09:00:00Z"}


def service(name, kind="Deployment", **more):
    """Give one service of the runbook."""
    found = {"name": name, "namespace": "shop", "workload": f"{kind}/{name}", "owner": "team-shop", **more}
    return found if name in ("web", "job") else {**found, "optIn": OPTED}


def book(*moved, enrol=None, gates=(), **canary):
    """Give a runbook that moves these services in one wave. canary: what the gate is told, patience beside it."""
    patience = canary.pop("patience", {"limit": "40m"})
    kinds = {"store": "StatefulSet"}
    return {
        "apiVersion": "meshup.dev/v1",
        "kind": "Runbook",
        "metadata": {"name": "two-releases"},
        "mesh": {"driver": "istio", "release": BAD, "revision": "1-30-3", "manifests": {"from": "stand-in"}},
        "services": [service(each, kinds.get(each, "Deployment")) for each in ("cart", "store", "web", "job")],
        "waves": [{"name": "first", "services": [f"shop/{each}" for each in moved]}],
        "metrics": {"service": "shop/prometheus:9090"},
        "stages": [
            {
                "name": "upgrade",
                "waves": ["first"],
                "steps": [{"enrol": enrol or {}}],
                "gates": [{"canary": canary, "patience": patience}, *gates],
            }
        ],
    }


def rehearsed(folder, capsys, runbook, *words, **scenario):
    """Rehearse; give the exit code, the document, and the answers of the canary gate."""
    (folder / "world.yaml").write_text(yaml.safe_dump({**SCENARIO, **scenario}))
    (folder / "book.yaml").write_text(json.dumps(runbook, indent=1))
    where = ["-f", str(folder / "book.yaml"), "--scenario", str(folder / "world.yaml")]
    code = main(["rehearse", "-o", "json", *where, *words])
    document = json.loads(capsys.readouterr().out)
    return code, document, [each for each in document["verdicts"] if each["kind"] == "canary"]
