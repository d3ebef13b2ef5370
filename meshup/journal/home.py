"""The namespace that holds lease, journal, plans and mirrored records, and the marks on what is in it."""

from __future__ import annotations

from meshup.cluster.errors import AlreadyExists, MaybeDone
from meshup.cluster.ports import Writer
from meshup.model.objects import MANAGED as BY
from meshup.model.objects import Object, Ref, annotated

HOME = "meshup-system"
MANAGED = {BY: "meshup"}
RUN = "meshup.dev/run"
STEP = "meshup.dev/step"
EPOCH = "meshup.dev/epoch"
RESENDS = 8


def ensure_home(cluster: Writer) -> None:
    """Make the namespace if it is not there. Safe to repeat."""
    if cluster.find(Ref(api_version="v1", kind="Namespace", name=HOME)) is not None:
        return
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HOME, "labels": dict(MANAGED)}}
    make_once(cluster, body)


def make_once(cluster: Writer, body: Object) -> Object | None:
    """Create an object whose name says what is in it; None when one of that name is there already. Safe to repeat.

    Only for objects of which any copy is as good as ours: a lost answer is sent again, and meets itself.
    """
    for left in range(RESENDS, 0, -1):
        try:
            return cluster.create(body)
        except AlreadyExists:
            return None
        except MaybeDone:
            if left == 1:
                raise
    return None


def epoch_of(found: Object | None) -> int:
    """Give the epoch an object was written under; 0 when none is written on it."""
    text = annotated(found).get(EPOCH, "") if found is not None else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0
