"""The ledger of pins: recorded before the act, moved forward only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from meshup.cluster.errors import Conflict, MaybeDone, NotFound
from meshup.cluster.ports import Reader, Writer
from meshup.journal.copies import whole
from meshup.journal.once import TRIES, write_once
from meshup.journal.pin import API_VERSION, KIND, from_body, is_copy, ref_of_pin, to_body
from meshup.model.ledger import Phase, Pin
from meshup.model.objects import Object, dig
from meshup.model.problem import Refused
from meshup.model.text import clean

PLURAL = "meshpins"
NEXT: Mapping[Phase, frozenset[Phase]] = {
    "Requested": frozenset({"Active", "Closed", "Failed"}),
    "Active": frozenset({"Closed", "Failed"}),
    "Closed": frozenset(),
    "Failed": frozenset(),
}


def record(cluster: Writer, pin: Pin, *, pause: Callable[[float], None]) -> Pin:
    """Write a pin before the act and give it with its UID. Safe to repeat: the same pin meets itself.

    Raises Refused: MU2316 when it can't be recorded, MU2317 when another pin has the name.
    """
    body = to_body(pin)
    meant = from_body(body)

    def refused(code: str, why: str) -> Refused:
        return _not_accepted(pin, why) if code == "MU2316" else _taken(pin, why)

    def same(there: Object) -> bool:
        return _same(from_body(there), meant)

    return from_body(write_once(cluster, PLURAL, body, noun="pin", same=same, refused=refused, pause=pause))


def advance(
    cluster: Writer,
    pin: Pin,
    phase: Phase,
    *,
    by: str = "",
    at: str = "",
    run: str = "",
    message: str = "",
    observed: Iterable[tuple[str, int]] = (),
) -> Pin:
    """Move a pin to a later phase; there already is fine. by, at (RFC 3339): who ended it and when.

    observed: release -> pods as the running proxies said when it was verified.

    Raises Refused (MU2317) when the phase would go back, NotFound when the pin is gone.
    """
    ref = ref_of_pin(pin)
    status = {"phase": phase, "run": run, "message": clean(message, limit=1024), "closedBy": by, "closedAt": at}
    for _ in range(TRIES):
        there = cluster.get(ref)
        found = from_body(there)
        if pin.uid and found.uid != pin.uid:
            raise _taken(pin, "the pin was deleted, and another made with its name")
        if found.phase == phase:
            return found
        if phase not in NEXT[found.phase]:
            raise _taken(pin, f"it is {found.phase} and can't become {phase}")
        version = str(dig(there, "metadata", "resourceVersion"))
        try:
            written: dict[str, Any] = {key: value for key, value in status.items() if value}
            if observed:
                written["observed"] = [{"release": release, "pods": pods} for release, pods in observed]
            if dig(there, "status", "plan"):
                written["plan"] = None
            return from_body(cluster.update_status(ref, written, resource_version=version))
        except (Conflict, MaybeDone):
            continue
    raise _taken(pin, "somebody else keeps changing it")


def pins(cluster: Reader, *, namespace: str = "") -> tuple[Pin, ...]:
    """Give every pin, oldest first; none when the kind is not served. One that can't be read is left out: see `both`."""
    found, _ = both(cluster, namespace)
    return found


def holding(found: Iterable[Pin], *, namespace: str, workload_uid: str = "", service: str = "") -> Pin | None:
    """Give the newest pin that holds a workload (by UID, else by the service's name); expired ones still hold."""
    open_ = [each for each in found if each.namespace == namespace and is_open(each)]
    meant = [each for each in open_ if (workload_uid and each.workload_uid == workload_uid) or each.service == service]
    return max(meant, key=lambda each: (each.since, each.name), default=None)


def is_open(pin: Pin) -> bool:
    """Tell whether a pin still holds."""
    return pin.phase in ("Requested", "Active")


def is_overdue(pin: Pin, now: datetime) -> bool:
    """Tell whether a pin that still holds is past its end; computed, never stored."""
    return pin.phase in ("Requested", "Active") and pin.until <= now


def both(cluster: Reader, namespace: str = "") -> tuple[tuple[Pin, ...], tuple[str, ...]]:
    """Give (every pin, oldest first; names of those that can't be read); none when the kind is not served. One list.

    Of the whole cluster (namespace="") those too whose namespace is gone, from their copies.
    """
    try:
        found = cluster.list(API_VERSION, KIND, namespace=namespace)
        return readable(found) if namespace else recorded(found)
    except NotFound:
        return (), ()


def installed(cluster: Reader) -> bool:
    """Tell whether the cluster has the kind of pins; without it a list of none says nothing."""
    return (API_VERSION, KIND) in cluster.kinds()


def readable(found: Iterable[Object]) -> tuple[tuple[Pin, ...], tuple[str, ...]]:
    """Give the same of objects that were read already, such as those of a snapshot; copies hold nothing and are left out."""
    return _read(found, copies=False)


def recorded(found: Iterable[Object]) -> tuple[tuple[Pin, ...], tuple[str, ...]]:
    """Give the same of a whole cluster's objects, and of each pin that is gone what its copy says."""
    return _read(whole(found), copies=True)


def _read(found: Iterable[Object], *, copies: bool) -> tuple[tuple[Pin, ...], tuple[str, ...]]:
    read: list[Pin] = []
    names: list[str] = []
    for each in found:
        if is_copy(each) and not copies:
            continue
        try:
            read.append(from_body(each))
        except ValueError:
            names.append(f"{dig(each, 'metadata', 'namespace')}/{dig(each, 'metadata', 'name')}")
    return tuple(sorted(read, key=lambda each: (each.since, each.namespace, each.name))), tuple(sorted(names))


def _same(found: Pin, meant: Pin) -> bool:
    """Compare what a person decided, which is all that a spec holds; what became of it is whoever wrote first."""
    return to_body(replace(found, run=meant.run)) == to_body(meant)


def _taken(pin: Pin, why: str) -> Refused:
    return Refused(
        f"the pin {pin.namespace}/{pin.name} can't be written",
        code="MU2317",
        why=why,
        fix="meshup pins shows what is recorded; then run the command again",
        cluster="nothing was changed in the mesh",
    )


def _not_accepted(pin: Pin, why: str) -> Refused:
    return Refused(
        f"the pin of {pin.service} is not accepted",
        code="MU2316",
        why=why,
        fix="correct what is named, then run the command again",
        cluster="nothing was changed: a rollback is recorded before the act",
    )
