"""The heads of exports, kept in meshup-system: a file that was cut or replaced does not end with the one on record."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from meshup.cluster.errors import AlreadyExists, Conflict, MaybeDone
from meshup.cluster.ports import Reader, Writer
from meshup.journal.home import HOME, MANAGED, RESENDS, ensure_home
from meshup.model.objects import Ref, dig
from meshup.model.problem import Refused

PLACE = Ref(api_version="v1", kind="ConfigMap", namespace=HOME, name="ledger-exports")
MOST = 200
"""Exports that are remembered; the oldest go. 200 of them take about 40 KiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """One export. start: hash of its chain's first line. head: of its last. lines: how many. at: RFC 3339. by: who made it."""

    start: str
    head: str
    lines: int
    at: str
    by: str


def heads(cluster: Reader) -> tuple[Head, ...]:
    """Give every export on record, oldest first. Raises Refused (MU2311) when the record can't be read."""
    return _of(cluster.find(PLACE))


def _of(found: object) -> tuple[Head, ...]:
    if found is None:
        return ()
    try:
        return tuple(Head(**each) for each in json.loads(str(dig(found, "data", "exports"))))
    except (ValueError, TypeError) as odd:
        raise Refused(
            f"the record of exports is damaged: {PLACE}",
            code="MU2311",
            why=str(odd),
            fix=f"kubectl get configmap -n {HOME} {PLACE.name} -o yaml shows it; delete it to begin anew",
            cluster="nothing was changed",
        ) from odd


def newest(found: Sequence[Head], start: str) -> Head | None:
    """Give the last export of a chain; None when it is not on record."""
    return next((each for each in reversed(found) if each.start == start), None)


def keep(cluster: Writer, head: Head) -> None:
    """Put an export on record. Safe to repeat. Raises Refused (MU2317) when somebody else keeps writing."""
    ensure_home(cluster)
    for _ in range(RESENDS):
        there = cluster.find(PLACE)
        found = _of(there)
        last = newest(found, head.start)
        if last is not None and last.head == head.head:
            return
        text = json.dumps([asdict(each) for each in (*found, head)][-MOST:])
        meta = {"name": PLACE.name, "namespace": HOME, "labels": dict(MANAGED)}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"exports": text}}
        try:
            if there is None:
                cluster.create(body)
            else:
                cluster.replace({**there, **body, "metadata": {**there["metadata"], **meta}})
        except (AlreadyExists, Conflict, MaybeDone):
            continue
        return
    raise Refused(
        "the export's head could not be put on record",
        code="MU2317",
        why="somebody else keeps writing it",
        fix="run the same command again",
        cluster="nothing else was changed",
    )
