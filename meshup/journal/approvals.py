"""Approvals: one immutable record each, beside the run, so that giving one never disturbs the run that waits."""

from __future__ import annotations

import hashlib

from meshup.cluster.ports import Reader, Writer
from meshup.journal.home import HOME, MANAGED, ensure_home, make_once
from meshup.model.journal import Approved
from meshup.model.objects import dig
from meshup.model.wire import dump, load

LABEL = "meshup.dev/approval"


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:20]


def approve(cluster: Writer, approval: Approved) -> None:
    """Store an approval. Safe to repeat."""
    import json

    ensure_home(cluster)
    text = json.dumps(dump(approval), sort_keys=True)
    mark = hashlib.sha256(f"{approval.plan} {approval.place} {approval.user} {approval.at}".encode()).hexdigest()[:10]
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": f"approval-{mark}",
            "namespace": HOME,
            "labels": {**MANAGED, LABEL: _short(approval.plan)},
        },
        "data": {"approval": text},
        "immutable": True,
    }
    make_once(cluster, body)


def approvals(cluster: Reader, plan: str) -> tuple[Approved, ...]:
    """Give every approval for a plan's digest, oldest first; empty when there is none."""
    import json

    found = cluster.list("v1", "ConfigMap", namespace=HOME, labels=f"{LABEL}={_short(plan)}")
    several: list[Approved] = [load(Approved, json.loads(str(dig(each, "data", "approval")))) for each in found]
    return tuple(sorted((each for each in several if each.plan == plan), key=lambda each: each.at))
