"""The schemas of what programs read: one document or stream each, versioned; within v1 fields are only added."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TEXT: dict[str, Any] = {"type": "string"}
COUNT: dict[str, Any] = {"type": "integer"}
NUMBER: dict[str, Any] = {"type": "number"}
FLAG: dict[str, Any] = {"type": "boolean"}
MAYBE_TEXT: dict[str, Any] = {"type": ["string", "null"]}
TEXTS: dict[str, Any] = {"type": "array", "items": TEXT}


def _record(**fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(fields), "properties": dict(fields)}


def _many(**fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": _record(**fields)}


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
}
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

SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    "error": _record(
        exit=COUNT,
        code=TEXT,
        what=TEXT,
        at=MAYBE_TEXT,
        why=TEXT,
        details=TEXTS,
        cluster=TEXT,
        fix=TEXT,
        problems=_many(**PROBLEM),
    ),
    "lint": _record(runbook=TEXT, errors=COUNT, warnings=COUNT, problems=_many(**PROBLEM)),
    "plan-view": _record(
        id=TEXT,
        kind=TEXT,
        digest=TEXT,
        runbook=_record(name=TEXT, digest=TEXT),
        cluster=_record(uid=TEXT, context=TEXT),
        user=TEXT,
        mesh=_record(driver=TEXT, release=TEXT, revision=TEXT),
        summary=_record(add=COUNT, change=COUNT, delete=COUNT, handoff=COUNT, restart=COUNT, changed=FLAG),
        stages=_many(
            name=TEXT,
            on_fail=TEXT,
            notes=TEXTS,
            waves=_many(
                name=TEXT,
                services=TEXTS,
                waiting=TEXTS,
                risk=TEXT,
                way_back=TEXT,
                assumed=TEXT,
                changes=_many(**CHANGE),
                gates=_many(**GATE),
            ),
        ),
        blocked=_many(code=TEXT, what=TEXT, object=TEXT, fix=TEXT),
        unjudged=_many(service=TEXT, why=TEXT),
        permissions=TEXTS,
        one_way=TEXTS,
        accepted_one_way=TEXTS,
        cost={"type": "object"},
        notes=TEXTS,
    ),
    "run": _record(
        exit=COUNT,
        run=TEXT,
        plan=TEXT,
        kind=TEXT,
        stopped=TEXT,
        why=TEXT,
        next=TEXT,
        changes=_record(planned=COUNT, written=COUNT, already_right=COUNT),
        places=_many(place=TEXT, how=TEXT),
        verdicts=_many(**VERDICT),
        requests=COUNT,
        mutations=COUNT,
    ),
    "events": _record(schema=TEXT, event=TEXT, at=TEXT),
    "status": _record(
        run=MAYBE_TEXT,
        state=TEXT,
        plan=TEXT,
        user=TEXT,
        next=TEXT,
        places=_many(place=TEXT, how=TEXT),
        open=TEXTS,
        services=_many(service=TEXT, namespace=TEXT, owner=TEXT, releases={"type": "object"}, revision=TEXT),
    ),
    "pins": _record(pins=_many(**PIN)),
    "report": _record(
        releases=_many(release=TEXT, services=COUNT, pods=COUNT, rolled_back=COUNT, overdue=COUNT),
        services=_many(service=TEXT, namespace=TEXT, owner=TEXT, releases={"type": "object"}),
        rollbacks=_many(**PIN),
        untracked=_many(service=TEXT, namespace=TEXT, release=TEXT),
    ),
    "rehearse": _record(
        exit=COUNT,
        scenario=TEXT,
        stopped=TEXT,
        why=TEXT,
        virtual_s=NUMBER,
        way_back=TEXT,
        assumed=TEXT,
        places=_many(place=TEXT, how=TEXT),
        verdicts=_many(**VERDICT),
    ),
    "explain": _record(words=_many(name=TEXT, sort=TEXT, text=TEXTS)),
    "init": _record(
        runbook=TEXT,
        lock=TEXT,
        cluster=_record(uid=TEXT, context=TEXT),
        release=TEXT,
        services=COUNT,
        opted_in=COUNT,
        unknown_owners=TEXTS,
        untranslated=TEXTS,
        blocked=_many(workload=TEXT, why=TEXT),
        waves=_many(name=TEXT, services=TEXTS),
    ),
    "config": _record(settings=_many(name=TEXT, value=TEXT, origin=TEXT)),
    "simulator": _record(state=TEXT, scenario=TEXT, kubeconfig=TEXT, server=TEXT, pid=COUNT),
    "approval": _record(place=TEXT, user=TEXT, plan=TEXT, until=TEXT),
}


def name_of(schema: str) -> str:
    """Give the value of the `schema` field of a document of that name."""
    return f"meshup.dev/{schema}/v1"


def document(schema: str, **fields: Any) -> dict[str, Any]:
    """Put a document's schema in front of its fields. Raises KeyError for a name without a schema."""
    if schema not in SCHEMAS:
        raise KeyError(schema)
    return {"schema": name_of(schema), **fields}


def schema_of(name: str) -> dict[str, Any]:
    """Give the JSON Schema (draft 7) of one output. Raises KeyError when there is none of that name."""
    body = dict(SCHEMAS[name])
    properties = {"schema": {"const": name_of(name)}, **body["properties"]}
    if name == "events":
        properties["schema"] = {"type": "string"}
    required = list(dict.fromkeys(["schema", *body["required"]]))
    head = {"$schema": "http://json-schema.org/draft-07/schema#", "$id": name_of(name), "title": f"meshup {name}"}
    return {**head, "type": "object", "required": required, "properties": properties}
