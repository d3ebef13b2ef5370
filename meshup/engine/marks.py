"""The marks on what meshup writes: that it is meshup's, and which run and change wrote it under which epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from meshup.journal.home import EPOCH, RUN, STEP
from meshup.model.objects import MANAGED, Object, annotated


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What every write carries in its metadata: which run and change it belongs to, and the lock's epoch."""

    run: str
    change: str
    epoch: int

    def marks(self) -> dict[str, str]:
        """Give the annotations."""
        return {RUN: self.run, STEP: self.change, EPOCH: str(self.epoch)}


def stamped(body: Object, stamp: Stamp, *, own: bool) -> dict[str, Any]:
    """Give a body with the run's marks. own: the object is made by us, so it carries the label that says so."""
    made = owned(body) if own else body
    meta = dict(made.get("metadata") or {})
    meta["annotations"] = {**(meta.get("annotations") or {}), **stamp.marks()}
    return {**made, "metadata": meta}


def owned(body: Object) -> dict[str, Any]:
    """Give a body with the label that says that we made the object, and no run's marks."""
    meta = dict(body.get("metadata") or {})
    meta["labels"] = {**(meta.get("labels") or {}), MANAGED: "meshup"}
    return {**body, "metadata": meta}


def is_ours(obj: Object | None, stamp: Stamp) -> bool:
    """Tell whether this very change of this run wrote the object."""
    marks = annotated(obj) if obj is not None else {}
    return marks.get(RUN) == stamp.run and marks.get(STEP) == stamp.change


def in_place_of(there: Object, body: Object) -> dict[str, Any]:
    """Give what replaces an object: all of a body, and of what is there its labels, annotations and place on the server."""
    kept = {key: value for key, value in (there.get("metadata") or {}).items() if key != "managedFields"}
    for several in ("labels", "annotations"):
        both = {**(kept.get(several) or {}), **(body["metadata"].get(several) or {})}
        if both:
            kept[several] = both
    return {**body, "metadata": {**body["metadata"], **kept}}
