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
STEP: dict[str, Any] = {"place": TEXT, "step": TEXT, "changes": COUNT, "done": COUNT, "wrote": COUNT, "how": TEXT}
QUALIFIED: dict[str, Any] = {
    **_record(run=TEXT, at=TEXT, users=_many(service=TEXT, owner=TEXT), soak_s=NUMBER, gates=TEXTS),
    "type": ["object", "null"],
}
SUFFERED = _record(requests=COUNT, failed=COUNT, slowed=COUNT)
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

BY_TRUST = _record(enforced=COUNT, declared=COUNT, inferred=COUNT, unknown=COUNT)

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
        held={"type": ["object", "null"]},
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
        steps=_many(**STEP),
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
    "releases": _record(
        user=TEXT,
        mesh=TEXT,
        releases=_many(
            version=TEXT,
            state=TEXT,
            digest=TEXT,
            end_of_support=TEXT,
            ended=FLAG,
            known_issues=TEXTS,
            note=TEXT,
            decisions=_many(state=TEXT, by=TEXT, at=TEXT, reason=TEXT),
            qualified=QUALIFIED,
            revisions=TEXTS,
            services=_many(service=TEXT, owner=TEXT, pods=COUNT, whole=FLAG),
            owners=_many(owner=TEXT, services=COUNT),
            verdict=_record(answer=TEXT, because=TEXT, trust=TEXT),
            went_back=_many(
                service=TEXT, user=TEXT, to=TEXT, since=TEXT, until=TEXT, reason=TEXT, trust=TEXT, phase=TEXT
            ),
        ),
        odd=TEXTS,
        unread=TEXTS,
    ),
    "release": _record(
        version=TEXT,
        state=TEXT,
        before=TEXT,
        wrote=FLAG,
        by=TEXT,
        at=TEXT,
        reason=TEXT,
        digest=TEXT,
        installed=TEXTS,
        looked=FLAG,
        went_back=COUNT,
        owners_changed=FLAG,
        evidence=QUALIFIED,
    ),
    "pins": _record(installed=FLAG, pins=_many(**PIN, on_behalf_of=TEXT, on_behalf_trust=TEXT, closed_by=TEXT)),
    "report": _record(
        at=TEXT,
        version=TEXT,
        since=TEXT,
        complete=FLAG,
        clusters=_many(name=TEXT, cluster=TEXT, read=FLAG, looked=FLAG, why=TEXT),
        releases=_many(
            release=TEXT,
            state=TEXT,
            end_of_support=TEXT,
            installed=TEXTS,
            on=COUNT,
            partly=COUNT,
            owners=COUNT,
            users=_record(ever=BY_TRUST, active=BY_TRUST),
            services=_record(ever=BY_TRUST, active=BY_TRUST),
            temporary=BY_TRUST,
            overdue=BY_TRUST,
            renewed=BY_TRUST,
            failed=BY_TRUST,
            untracked=COUNT,
            reasons=_many(reason=TEXT, count=BY_TRUST),
            trend=_many(start=TEXT, count=BY_TRUST),
            verdict=_record(answer={"enum": ["pass", "hold", "unknown"]}, because=TEXT, trust=TEXT),
        ),
        services=_many(cluster=TEXT, service=TEXT, namespace=TEXT, owner=TEXT, releases={"type": "object"}),
        rollbacks=_many(
            name=TEXT,
            cluster=TEXT,
            namespace=TEXT,
            service=TEXT,
            user=TEXT,
            who=TEXT,
            **{"from": TEXT},
            to=TEXT,
            reason=TEXT,
            since=TEXT,
            until=TEXT,
            phase=TEXT,
            overdue=FLAG,
            renews=FLAG,
            effect={"enum": ["yes", "no", ""]},
            trust=TEXT,
        ),
        untracked=_many(cluster=TEXT, service=TEXT, namespace=TEXT, release=TEXT),
        users=_many(user=TEXT, count=BY_TRUST),
        ended_more=COUNT,
        odd=TEXTS,
        next=TEXT,
    ),
    "rehearse": _record(
        exit=COUNT,
        scenario=TEXT,
        stopped=TEXT,
        why=TEXT,
        virtual_s=NUMBER,
        way_back=TEXT,
        assumed=TEXT,
        trials=_many(
            bad=_many(release=TEXT, kind=TEXT, values=TEXT),
            caught=FLAG,
            gate=TEXT,
            place=TEXT,
            because=TEXT,
            watched_s=NUMBER,
            at=SUFFERED,
            in_all=SUFFERED,
        ),
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
    "upgrade": _record(
        runbook=TEXT,
        lock=TEXT,
        cluster=_record(uid=TEXT, context=TEXT),
        before=_record(release=TEXT, revision=TEXT),
        after=_record(release=TEXT, revision=TEXT),
        state={"enum": ["none", "candidate", "supported", "deprecated", "blocked"]},
        qualifies=_many(service=TEXT, owner=TEXT),
        left=_many(service=TEXT, why=TEXT),
        waves=_many(name=TEXT, services=TEXTS, qualifies=FLAG),
        stages=TEXTS,
        notes=TEXTS,
        plan=TEXT,
        changed=FLAG,
        blocked=TEXTS,
    ),
    "pipeline": _record(system=TEXT, file=TEXT, runbook=TEXT, stages=TEXTS),
    "config": _record(settings=_many(name=TEXT, value=TEXT, origin=TEXT)),
    "simulator": _record(state=TEXT, scenario=TEXT, kubeconfig=TEXT, server=TEXT, pid=COUNT),
    "simulator-user": _record(user=TEXT, groups=TEXTS, roles=TEXTS, kubeconfig=TEXT),
    "opt-in": _record(
        name=TEXT,
        namespace=TEXT,
        service=TEXT,
        joins=FLAG,
        user=TEXT,
        on_behalf_of=TEXT,
        on_behalf_trust=TEXT,
        reason=TEXT,
        wave=TEXT,
        not_before=TEXT,
        at=TEXT,
        fresh=FLAG,
        notes=TEXTS,
        next=TEXT,
    ),
    "unpin": _record(pin=_record(**PIN), closed_by=TEXT, closed_at=TEXT, fresh=FLAG, notes=TEXTS, next=TEXT),
    "ledger-install": _record(
        written=_many(how=TEXT, object=TEXT),
        state=TEXT,
        since=TEXT,
        why=TEXT,
        unasked=_many(policy=TEXT, why=TEXT),
    ),
    "ledger-export": _record(
        file=TEXT, cluster=TEXT, head=TEXT, lines=COUNT, new=COUNT, at=TEXT, on_record=FLAG, why=TEXT
    ),
    "ledger-verify": _record(file=TEXT, cluster=TEXT, head=TEXT, lines=COUNT, records=COUNT, at=TEXT, head_given=FLAG),
    "ledger-prune": _record(
        file=TEXT,
        performed=FLAG,
        in_effect=COUNT,
        over=COUNT,
        going=_many(namespace=TEXT, name=TEXT, line=TEXT),
        left=_many(namespace=TEXT, name=TEXT, why=TEXT),
        resting=_many(namespace=TEXT, name=TEXT, release=TEXT),
        missing=TEXTS,
    ),
    "replay": _record(
        run=TEXT,
        plan=TEXT,
        terms=TEXTS,
        same=FLAG,
        exit=COUNT,
        verdicts=_many(
            at=TEXT,
            place=TEXT,
            id=TEXT,
            kind=TEXT,
            readings=COUNT,
            was=_record(answer=TEXT, because=TEXT, object=TEXT, names=TEXTS, missing=COUNT),
            now={"type": ["object", "null"]},
            same=FLAG,
            why=TEXT,
        ),
    ),
    "rehearse-judge": _record(
        seed=COUNT,
        services=COUNT,
        waves=COUNT,
        looks=COUNT,
        metrics=TEXTS,
        passed=COUNT,
        held=COUNT,
        trials=_many(release=TEXT, word=TEXT, runs=COUNT, hits=COUNT, kept=FLAG, median_requests=COUNT),
    ),
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
