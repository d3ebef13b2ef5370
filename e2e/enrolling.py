"""Deployments, and a runbook that enrols them in one wave on a control plane that somebody else looks after."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from meshup.meshes.istio.words import REV, STATS, STATS_WANTED

REVISION, NAMESPACE = "1-30-3", "shop"
HEAD = """apiVersion: meshup.dev/v1
kind: Runbook
metadata: {{name: enrolling}}
mesh:
  driver: istio
  release: "1.30.3"
  revision: {revision}
  namespace: istio-system
  managedBy: external
  manifests: {{from: directory, path: vendored}}
services:
"""
TAIL = """stages:
  - name: onboard
    waves: [all]
    steps: [{enrol: {}}]
    gates: [{workloads-ready: {}}]
"""
OPTED = 'optIn: {by: ana, at: "2026-11-01T10:00:00Z"}'


def deployment(name: str, *, enrolled: bool, namespace: str = NAMESPACE) -> dict[str, Any]:
    """Give one Deployment, on the revision or not."""
    labels = {"app": name, **({REV: REVISION} if enrolled else {})}
    notes = {STATS: ",".join(STATS_WANTED)} if enrolled else {}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": labels, "annotations": notes},
                "spec": {"containers": [{"name": "app", "image": "shop/app:1"}]},
            },
        },
    }


def write_runbook(folder: Path, names: Sequence[str], *, revision: str = REVISION) -> Path:
    """Write meshup.yaml, and the vendored control plane that it names, into a folder."""
    services = "".join(
        f"  - {{name: {each}, namespace: {NAMESPACE}, workload: Deployment/{each}, owner: team, {OPTED}}}\n"
        for each in names
    )
    wave = ", ".join(f"{NAMESPACE}/{each}" for each in names)
    text = f"{HEAD.format(revision=revision)}{services}waves:\n  - {{name: all, services: [{wave}]}}\n{TAIL}"
    (folder / "vendored").mkdir(exist_ok=True)
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mesh", "namespace": "istio-system"}}
    (folder / "vendored" / "map.json").write_text(json.dumps(made))
    path = folder / "meshup.yaml"
    path.write_text(text)
    return path
