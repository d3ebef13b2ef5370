"""A pin as an object of the cluster, and back. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, cast

from meshup.journal.home import HOME, MANAGED, RUN
from meshup.model.ledger import OnBehalfTrust, Phase, Pin
from meshup.model.moment import instant, stamp
from meshup.model.objects import Object, Ref, annotated, dig
from meshup.model.text import clean

API_VERSION = "meshup.dev/v1"
KIND = "MeshPin"
GONE = "its namespace is gone, and the pin with it: this is its copy"
PHASES: tuple[Phase, ...] = ("Requested", "Active", "Closed", "Failed")
REASON_MOST = 256


def pin_name(
    *, cluster_uid: str, service: str, workload_uid: str, from_release: str, to_release: str, user: str, nonce: str
) -> str:
    """Give a pin's name: equal for equal input, so that a resent create meets itself. nonce: one per decision."""
    parts = json.dumps([cluster_uid, workload_uid, from_release, to_release, user, nonce])
    plain = re.sub(r"[^a-z0-9-]+", "-", service.rpartition("/")[2].lower()).strip("-")[:40].strip("-")
    return f"{plain or 'pin'}-{hashlib.sha256(parts.encode()).hexdigest()[:16]}"


def groups_digest(groups: Iterable[str]) -> str:
    """Give the digest of somebody's groups, in whatever order the server names them; "" when there are none.

    Policies can't compute it (CEL has no hash), so it is what the client declares even where the user is enforced.
    """
    every = sorted(set(groups))
    return f"sha256:{hashlib.sha256(json.dumps(every).encode()).hexdigest()}" if every else ""


def requested_by(*, user: str, uid: str, groups_digest: str) -> dict[str, str]:
    """Give who asked, as a spec records it: fields that are empty are left out."""
    said = {"username": user, "uid": uid, "groupsDigest": groups_digest}
    return {key: value for key, value in said.items() if value}


def to_body(pin: Pin) -> dict[str, Any]:
    """Give the object that records a pin. Its phase is status, which a create does not write: absent is Requested."""
    spec: dict[str, Any] = {
        "service": pin.service,
        "workload": {
            "apiVersion": pin.workload.api_version,
            "kind": pin.workload.kind,
            "name": pin.workload.name,
            "uid": pin.workload_uid,
        },
        "from": {"release": pin.from_release, "revision": pin.from_revision},
        "to": {
            "release": pin.to_release,
            "revision": pin.to_revision,
            **({"digest": pin.to_digest} if pin.to_digest else {}),
        },
        "requestedBy": requested_by(user=pin.user, uid=pin.user_uid, groups_digest=pin.user_groups_digest),
        "reason": clean(pin.reason, limit=REASON_MOST),
        "since": stamp(pin.since),
        "until": stamp(pin.until),
    }
    if pin.on_behalf_of:
        trust = pin.on_behalf_trust or "declared"
        spec["onBehalfOf"] = {"name": clean(pin.on_behalf_of, limit=REASON_MOST), "trust": trust}
    meta: dict[str, Any] = {"name": pin.name, "namespace": pin.namespace, "labels": dict(MANAGED)}
    if pin.run:
        meta["annotations"] = {RUN: pin.run}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": meta, "spec": spec}


def from_body(found: Object) -> Pin:
    """Read a pin. Texts are cleaned; fields of another kind's form become "". Raises ValueError when a time is none.

    A copy is read as the pin that it is of, which is over.
    """
    if copied := is_copy(found):
        found = restored(found)
    workload = dig(found, "spec", "workload") or {}
    trust = dig(found, "spec", "onBehalfOf", "trust")
    namespace = _word(found, "metadata", "namespace")
    phase = dig(found, "status", "phase")
    seen = dig(found, "status", "observed") or ()
    return Pin(
        name=_word(found, "metadata", "name"),
        namespace=namespace,
        service=_word(found, "spec", "service"),
        workload=Ref(
            api_version=clean(workload.get("apiVersion") or ""),
            kind=clean(workload.get("kind") or ""),
            namespace=namespace,
            name=clean(workload.get("name") or ""),
        ),
        workload_uid=clean(workload.get("uid") or ""),
        from_release=_word(found, "spec", "from", "release"),
        from_revision=_word(found, "spec", "from", "revision"),
        to_release=_word(found, "spec", "to", "release"),
        to_revision=_word(found, "spec", "to", "revision"),
        user=_word(found, "spec", "requestedBy", "username"),
        user_uid=_word(found, "spec", "requestedBy", "uid"),
        user_groups_digest=_word(found, "spec", "requestedBy", "groupsDigest"),
        to_digest=_word(found, "spec", "to", "digest"),
        reason=_word(found, "spec", "reason"),
        since=instant(dig(found, "spec", "since")),
        until=instant(dig(found, "spec", "until")),
        phase=cast("Phase", phase) if phase in PHASES else "Requested",
        run=_word(found, "status", "run") or clean(annotated(found).get(RUN, "")),
        uid=_word(found, "metadata", "uid"),
        on_behalf_of=_word(found, "spec", "onBehalfOf", "name"),
        on_behalf_trust=cast("OnBehalfTrust", trust) if trust in ("verified", "declared") else "",
        observed=tuple((_word(each, "release"), int(dig(each, "pods") or 0)) for each in seen),
        closed_by=_word(found, "status", "closedBy"),
        closed_at=_time(dig(found, "status", "closedAt")),
        exported=_word(found, "status", "exported"),
        created=_time(dig(found, "metadata", "creationTimestamp")),
        copied=copied,
    )


def ref_of_pin(pin: Pin) -> Ref:
    """Name the object that records a pin."""
    return Ref(api_version=API_VERSION, kind=KIND, namespace=HOME if pin.copied else pin.namespace, name=pin.name)


def ref_of_copy(pin: Pin) -> Ref:
    """Name the object that is left of a pin when its namespace is gone."""
    return Ref(api_version=API_VERSION, kind=KIND, namespace=HOME, name=pin.name)


def is_copy(found: Object) -> bool:
    """Tell whether an object is the copy of a pin."""
    return bool(dig(found, "spec", "copyOf"))


def restored(copy: Object) -> Object:
    """Give the pin that a copy is of, as it was recorded; over since nobody knows when."""
    of, status = dig(copy, "spec", "copyOf"), copy.get("status")
    meta = {**copy["metadata"], "namespace": dig(of, "namespace"), "uid": dig(of, "uid")}
    kept = status if isinstance(status, Mapping) else {}
    return {**copy, "metadata": meta, "status": {**kept, "phase": "Closed", "message": GONE}}


def _word(found: Object, *path: str) -> str:
    return clean(dig(found, *path) or "", limit=512)


def _time(text: object) -> datetime | None:
    return instant(text) if text else None
