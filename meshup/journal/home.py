"""The namespace that holds lease, journal, plans and mirrored records, and the marks on what is in it."""

from __future__ import annotations

from meshup.cluster.errors import AlreadyExists
from meshup.cluster.ports import Writer
from meshup.model.objects import Ref

HOME = "meshup-system"
MANAGED = {"meshup.dev/managed-by": "meshup"}
RUN = "meshup.dev/run"
STEP = "meshup.dev/step"
EPOCH = "meshup.dev/epoch"


def ensure_home(cluster: Writer) -> None:
    """Make the namespace if it is not there. Safe to repeat."""
    if cluster.find(Ref(api_version="v1", kind="Namespace", name=HOME)) is not None:
        return
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HOME, "labels": dict(MANAGED)}}
    try:
        cluster.create(body)
    except AlreadyExists:
        return
