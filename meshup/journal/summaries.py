"""MeshRun objects, read: summaries of runs that may outlive both the Lease and the journal."""

from __future__ import annotations

from meshup.cluster.ports import Reader
from meshup.model.objects import dig
from meshup.model.problem import MeshupError

API_VERSION = "meshup.dev/v1"
KIND = "MeshRun"


def newest_epoch(cluster: Reader) -> int:
    """Give the highest epoch that a summary names; 0 when there is none, or when they are not served or not readable."""
    try:
        return max((int(dig(each, "status", "epoch") or 0) for each in cluster.list(API_VERSION, KIND)), default=0)
    except MeshupError:
        return 0
