"""The records of a cluster as an export holds them: the fields that are named here, their texts cleaned, and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from meshup.cluster.errors import NotFound
from meshup.cluster.ports import Reader
from meshup.journal.enforcement import trusted
from meshup.journal.in_cluster import ClusterStore
from meshup.journal.ledger import pins
from meshup.journal.pin import API_VERSION, KIND
from meshup.journal.runs import heads
from meshup.journal.store import to_line
from meshup.model.held import OPEN
from meshup.model.journal import Started
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
    trusts = {(each.namespace, each.name): each.trust for each in trusted(cluster, pins(cluster))}
    for kind in SPECS:
        try:
            found = list(cluster.list(API_VERSION, kind))
        except NotFound:
            continue
        for each in sorted(found, key=_age):
            place = (str(dig(each, "metadata", "namespace") or ""), str(dig(each, "metadata", "name")))
            yield {"kind": kind, "trust": trusts.get(place, "declared"), "record": bare(each, kind)}
    for head in heads(cluster):
        yield {"kind": RUN, "trust": "declared", "record": _run(cluster, head.run, head.epoch)}


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
