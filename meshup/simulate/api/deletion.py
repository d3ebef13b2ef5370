"""What a deletion means for an object: whether it may go, what holds it, how long it may take."""

from __future__ import annotations

from meshup.simulate.api import definitions
from meshup.simulate.api.kinds import Kind
from meshup.simulate.api.problems import conflict
from meshup.simulate.api.store import Obj

CLEANUP = "customresourcecleanup.apiextensions.k8s.io"


def check(kind: Kind, old: Obj, options: Obj) -> None:
    """Refuse a deletion whose preconditions do not hold."""
    meta = old["metadata"]
    wanted = options.get("preconditions") or {}
    for key, title, maybe in (
        ("uid", "UID", "The object might have been deleted and then recreated"),
        ("resourceVersion", "ResourceVersion", "The object might have been modified"),
    ):
        if wanted.get(key) and wanted[key] != meta[key]:
            told = f"the {title} in the precondition ({wanted[key]}) does not match the {title} in record ({meta[key]})"
            raise conflict(kind.kind, kind.group, meta["name"], f"{told}. {maybe}")


def finalizers(kind: Kind, old: Obj, options: Obj) -> list[str]:
    """Give what holds an object back once it is marked, the propagation policy included."""
    held = list(old["metadata"].get("finalizers") or ())
    policy = options.get("propagationPolicy")
    if options.get("orphanDependents"):
        policy = "Orphan"
    if policy is not None:
        held = [each for each in held if each not in ("orphan", "foregroundDeletion")]
        held += {"Foreground": ["foregroundDeletion"], "Orphan": ["orphan"]}.get(str(policy), [])
    if kind.key == definitions.KEY and CLEANUP not in held:
        held.append(CLEANUP)
    return held


def grace(kind: Kind, old: Obj, options: Obj) -> int:
    """Give the seconds a pod has to end; 0 for all else, and for pods that run nowhere."""
    if kind.kind != "Pod" or not old["spec"].get("nodeName"):
        return 0
    if (old.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    sent = options.get("gracePeriodSeconds")
    return int(old["spec"].get("terminationGracePeriodSeconds", 30) if sent is None else sent)
