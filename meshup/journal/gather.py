"""The records of a cluster as an export holds them: the fields that are named here, their texts cleaned, and nothing else."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from meshup.cluster.errors import NotFound
from meshup.cluster.ports import Reader
from meshup.journal.copies import whole
from meshup.journal.enforcement import trusted
from meshup.journal.in_cluster import ClusterStore
from meshup.journal.pin import API_VERSION, KIND, from_body
from meshup.journal.runs import heads
from meshup.journal.store import to_line
from meshup.model.held import OPEN
from meshup.model.journal import Started
from meshup.model.ledger import Pin, Trust
from meshup.model.objects import Object, dig
from meshup.model.text import clean

WHO = ("username", "uid", "groupsDigest")
BEHALF = ("name", "trust")
WORKLOAD = ("apiVersion", "kind", "name", "uid")
TO = ("release", "revision", "digest")
META: Mapping[str, Any] = dict.fromkeys(("name", "namespace", "uid", "creationTimestamp"))
Shape = Mapping[str, Any]
"""Field -> None for what is taken as it is, names of fields for an object (or each of a list of them)."""

SPECS: Mapping[str, Shape] = {
    KIND: {
        **dict.fromkeys(("service", "reason", "since", "until")),
        "workload": WORKLOAD,
        "from": TO,
        "to": TO,
        "requestedBy": WHO,
        "onBehalfOf": BEHALF,
        "copyOf": ("namespace", "uid"),
    },
    "OptIn": {
        **dict.fromkeys(("service", "joins", "wave", "notBefore", "at", "reason")),
        "workload": WORKLOAD,
        "requestedBy": WHO,
        "onBehalfOf": BEHALF,
    },
    "MeshRelease": {
        **dict.fromkeys(("mesh", "version", "state", "digest", "endOfSupport", "knownIssues", "note")),
        "decisions": ("state", "by", "at", "reason"),
    },
}
STATUS: Shape = {
    **dict.fromkeys(("phase", "message", "run", "closedBy", "closedAt")),
    "observed": ("release", "pods"),
}
RUN = "Run"


def gathered(cluster: Reader) -> Iterator[dict[str, Any]]:
    """Give every record as the fields of a line: pins, opt-ins, releases, runs; of each kind the oldest first.

    A kind that is not served has none. Raises what reading raises, and Refused (MU2311) for a journal that is damaged.
    """
    for kind in SPECS:
        found = served(cluster, kind)
        trusts = {pin.uid: pin.trust for pin, _ in relied_on(cluster, found)} if kind == KIND else {}
        for each in sorted(found, key=_age):
            yield line_of(each, kind, trust=trusts.get(str(dig(each, "metadata", "uid")), "declared"))
    for head in heads(cluster):
        yield {"kind": RUN, "trust": "declared", "record": _run(cluster, head.run, head.epoch)}


def served(cluster: Reader, kind: str) -> list[Object]:
    """Give the records of a kind, of pins those too whose namespace is gone; none when it is not served."""
    try:
        found = cluster.list(API_VERSION, kind)
        return list(whole(found) if kind == KIND else found)
    except NotFound:
        return []


def relied_on(cluster: Reader, found: Iterable[Object]) -> list[tuple[Pin, Object]]:
    """Give (pin, its object) with how far each can be relied on; those that can't be read are left out."""
    read: list[tuple[Pin, Object]] = []
    for each in found:
        with contextlib.suppress(ValueError):
            read.append((from_body(each), each))
    known = trusted(cluster, (pin for pin, _ in read))
    return [(pin, body) for pin, (_, body) in zip(known, read, strict=True)]


def line_of(found: Object, kind: str, *, trust: Trust) -> dict[str, Any]:
    """Give a record as the fields of a line."""
    return {"kind": kind, "trust": trust, "record": bare(found, kind)}


def _age(found: Object) -> tuple[str, str, str]:
    meta = found.get("metadata") or {}
    return str(meta.get("creationTimestamp") or ""), str(meta.get("namespace") or ""), str(meta.get("name") or "")


def bare(found: Object, kind: str) -> dict[str, Any]:
    """Give a record as an export holds it. A pin's own journal, once it is over, is there as its digest."""
    record = {"metadata": _only(found.get("metadata"), META), "spec": _only(found.get("spec"), SPECS[kind])}
    if kind == KIND:
        status = _only(found.get("status"), STATUS)
        journal = dig(found, "status", "journal")
        if journal and status.get("phase", "Requested") not in OPEN:
            status["journal"] = digest(str(journal))
        record["status"] = status
    return record


def _only(found: Any, shape: Shape) -> dict[str, Any]:
    """Give the fields of a shape, in its order; what has another form than it should is left out."""
    if not isinstance(found, Mapping):
        return {}
    taken: dict[str, Any] = {}
    for key, inner in shape.items():
        value = found.get(key)
        if value in (None, "", {}, []):
            continue
        if inner is None:
            if isinstance(value, list):
                taken[key] = [_plain(each) for each in value if not isinstance(each, Mapping | list)]
            elif not isinstance(value, Mapping):
                taken[key] = _plain(value)
        elif isinstance(value, list):
            taken[key] = [_only(each, dict.fromkeys(inner)) for each in value]
        else:
            taken[key] = _only(value, dict.fromkeys(inner))
    return taken


def _plain(value: Any) -> Any:
    return clean(value) if isinstance(value, str) else value


def digest(text: str) -> str:
    """Give the digest of a text."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _run(cluster: Reader, run: str, epoch: int) -> dict[str, Any]:
    """Give who began a run, when, and the digest of its journal, so that a journal kept apart can be told genuine."""
    entries = ClusterStore(cluster, run, epoch=epoch).entries()  # type: ignore[arg-type]  # it only reads
    first = next((each for each in entries if isinstance(each, Started)), None)
    return {
        "run": clean(run),
        "epoch": epoch,
        "user": clean(first.user) if first else "",
        "plan": clean(first.plan) if first else "",
        "kind": clean(first.plan_kind) if first else "",
        "at": clean(first.at) if first else "",
        "entries": len(entries),
        "journal": digest("".join(to_line(each) + "\n" for each in entries)),
    }
