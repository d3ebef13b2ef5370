"""Snapshots made by hand."""

from __future__ import annotations

from datetime import UTC, datetime

from meshup.cluster.paths import KNOWN
from meshup.model.objects import ref_of
from meshup.model.snapshot import Identity, Snapshot

SYSTEM = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system", "uid": "cluster-1"}}


def stored(obj, number):
    """Give an object as a server would hold it."""
    meta = {"uid": f"uid-{number}", "resourceVersion": str(number), "generation": 1, **obj["metadata"]}
    return {**obj, "metadata": meta}


def snapshot(objects=(), **more):
    """Give a snapshot of objects."""
    kept = [SYSTEM, *(stored(each, number) for number, each in enumerate(objects, 1))]
    return Snapshot(
        cluster_uid="cluster-1",
        server_version="v1.34.4",
        identity=Identity(user="ana"),
        taken_at=datetime(2026, 11, 2, 9, tzinfo=UTC),
        objects={ref_of(each): each for each in kept},
        kinds={key: kind for key, kind in KNOWN.items() if not key[0].startswith("meshup.dev")},
        **more,
    )
