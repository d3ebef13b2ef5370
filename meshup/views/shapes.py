"""The fields that schemas are made of, and the records that several documents share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TEXT: dict[str, Any] = {"type": "string"}
COUNT: dict[str, Any] = {"type": "integer"}
NUMBER: dict[str, Any] = {"type": "number"}
MAYBE_NUMBER: dict[str, Any] = {"type": ["number", "null"]}
FLAG: dict[str, Any] = {"type": "boolean"}
MAYBE_TEXT: dict[str, Any] = {"type": ["string", "null"]}
MAYBE_COUNT: dict[str, Any] = {"type": ["integer", "null"]}
TEXTS: dict[str, Any] = {"type": "array", "items": TEXT}


def record(**fields: Mapping[str, Any]) -> dict[str, Any]:
    """Give the schema of an object that has all these fields."""
    return {"type": "object", "required": list(fields), "properties": dict(fields)}


def many(**fields: Mapping[str, Any]) -> dict[str, Any]:
    """Give the schema of a list of such objects."""
    return {"type": "array", "items": record(**fields)}


PROBLEM: dict[str, Any] = {
    "code": TEXT,
    "severity": TEXT,
    "what": TEXT,
    "file": TEXT,
    "line": COUNT,
    "column": COUNT,
    "object": TEXT,
    "why": TEXT,
    "hint": TEXT,
    "fix": TEXT,
}
VERDICT: dict[str, Any] = {
    "id": TEXT,
    "kind": TEXT,
    "place": TEXT,
    "answer": {"enum": ["pass", "fail", "unknown", "skipped"]},
    "because": TEXT,
    "object": TEXT,
    "names": TEXTS,
    "waited_s": NUMBER,
    "arms": many(
        service=TEXT,
        arm={"enum": ["control", "canary"]},
        revision=TEXT,
        pods=TEXTS,
        requests=MAYBE_COUNT,
        failed=MAYBE_COUNT,
        seen_by=TEXTS,
    ),
}
FAILING: dict[str, Any] = {
    "metric": TEXT,
    "service": TEXT,
    "view": TEXT,
    "unit": TEXT,
    "of": TEXT,
    "value": MAYBE_NUMBER,
    "bound": MAYBE_NUMBER,
    "stops_at": MAYBE_NUMBER,
    "control": MAYBE_NUMBER,
    "n": NUMBER,
    "window_s": NUMBER,
    "since": TEXT,
    "source": TEXT,
    "query": TEXT,
    "callers": TEXTS,
}
SEEN: dict[str, Any] = {
    "object": TEXT,
    "service": TEXT,
    "conditions": TEXTS,
    "events": TEXTS,
    "log": TEXTS,
    "signs": {"type": "object"},
    "unread": TEXTS,
}
STEP: dict[str, Any] = {"place": TEXT, "step": TEXT, "changes": COUNT, "done": COUNT, "wrote": COUNT, "how": TEXT}
QUALIFIED: dict[str, Any] = {
    **record(run=TEXT, at=TEXT, users=many(service=TEXT, owner=TEXT), soak_s=NUMBER, gates=TEXTS),
    "type": ["object", "null"],
}
SUFFERED = record(requests=COUNT, failed=COUNT, slowed=COUNT)
CHANGE: dict[str, Any] = {
    "id": TEXT,
    "place": TEXT,
    "op": TEXT,
    "object": TEXT,
    "service": TEXT,
    "step": TEXT,
    "summary": TEXT,
    "known": TEXT,
    "risk": TEXT,
    "restarts": FLAG,
    "one_way": MAYBE_TEXT,
    "fields": TEXTS,
    "line": COUNT,
}
GATE: dict[str, Any] = {
    "id": TEXT,
    "kind": TEXT,
    "when": TEXT,
    "title": TEXT,
    "params": {"type": "object"},
    "services": TEXTS,
    "waived": MAYBE_TEXT,
    "limit_s": NUMBER,
    "every_s": NUMBER,
    "in_a_row": COUNT,
    "least": COUNT,
    "window_s": NUMBER,
}
PIN: dict[str, Any] = {
    "name": TEXT,
    "namespace": TEXT,
    "service": TEXT,
    "user": TEXT,
    "from": TEXT,
    "to": TEXT,
    "reason": TEXT,
    "since": TEXT,
    "until": TEXT,
    "phase": TEXT,
    "overdue": FLAG,
    "trust": TEXT,
}

BY_TRUST = record(enforced=COUNT, declared=COUNT, inferred=COUNT, unknown=COUNT)
