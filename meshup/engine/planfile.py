"""The plan as a file: JSON lines with its digest; a file that was edited by hand is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from meshup.model.plan import Plan
from meshup.model.problem import Refused, UsageError, Where
from meshup.model.wire import dump, load

SCHEMA = "meshup.dev/plan/v1"
MOST = 64 * 1024 * 1024


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def sealed(plan: Plan) -> Plan:
    """Give the plan with its id and digest: SHA-256 over everything but id, digest and the time it was taken."""
    body = dump(replace(plan, id="", digest="", taken_at="", accepted_one_way=()))
    digest = hashlib.sha256(_canonical(_evened(body)).encode()).hexdigest()
    return replace(plan, id=digest[:8], digest=f"sha256:{digest}")


def text_of(plan: Plan) -> str:
    """Write a plan: a head, one line per change and per gate, and the rest needed to read it back.

    Each change and gate line is complete; the head names schema, id, digests, cluster and counts for reviewers.
    """
    raw: dict[str, Any] = dump(plan)
    changes: list[Any] = []
    gates: list[Any] = []
    for stage in raw.get("stages") or ():
        for wave in stage.get("waves") or ():
            for place in ("opening", "changes", "rest", "closing"):
                wave[place] = _moved(wave.get(place) or [], changes)
            for place in ("before", "halfway", "gates"):
                wave[place] = _moved(wave.get(place) or [], gates)
    basis = raw.pop("basis", [])
    head = {
        "schema": SCHEMA,
        "id": plan.id,
        "digest": plan.digest,
        "seal": _seal(plan),
        "runbook": plan.runbook_digest,
        "lock": plan.lock_digest,
        "cluster": {"uid": plan.cluster_uid, "context": plan.context},
        "summary": {"changes": len(changes), "gates": len(gates), "changed": plan.changed},
        "plan": raw,
    }
    lines = [_canonical(head)]
    lines += [_canonical({"change": each["id"], "body": each}) for each in changes]
    lines += [_canonical({"gate": each["id"], "body": each}) for each in gates]
    lines += [_canonical({"basis": _basis_name(each), "body": each}) for each in basis]
    return "\n".join(lines) + "\n"


def _seal(plan: Plan) -> str:
    """Give the SHA-256 over digest and accepted one-way doors, which may be accepted after the plan was made."""
    raw = _canonical([plan.digest, sorted(plan.accepted_one_way)])
    return f"sha256:{hashlib.sha256(raw.encode()).hexdigest()}"


def _evened(value: Any) -> Any:
    """Give a value with whole numbers written in one way: 5 and 5.0 are the same seconds, before a file and after it."""
    if type(value) is str:  # most are
        return value
    if isinstance(value, dict):
        return {key: _evened(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_evened(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _moved(several: list[Any], into: list[Any]) -> list[int]:
    start = len(into)
    into.extend(several)
    return list(range(start, start + len(several)))


def _basis_name(each: Mapping[str, Any]) -> str:
    on = each["on"]
    return f"{on['kind']} {on.get('namespace', '')}/{on['name']}"


def parse(text: str, *, where: str) -> Plan:
    """Read a plan. Raises UsageError (MU2101) for what is no plan, Refused (MU2102) for one whose digest is wrong."""
    if len(text) > MOST:
        raise _not_a_plan(where, 0, f"it is {len(text)} bytes long, the most is {MOST}")
    lines = text.splitlines()
    rows = [_row(line, where, number) for number, line in enumerate(lines, 1) if line.strip()]
    if not rows or rows[0].get("schema") != SCHEMA:
        found = rows[0].get("schema") if rows else "nothing"
        raise _not_a_plan(where, 1, f"its first line must say schema {SCHEMA}, found {found!r}")
    changes = [row["body"] for row in rows if "change" in row and "body" in row]
    gates = [row["body"] for row in rows if "gate" in row and "body" in row]
    basis = [row["body"] for row in rows if "basis" in row and "body" in row]
    try:
        raw = {**rows[0]["plan"], "basis": basis}
        for stage in raw.get("stages") or ():
            for wave in stage.get("waves") or ():
                for place in ("opening", "changes", "rest", "closing"):
                    wave[place] = [changes[number] for number in wave.get(place) or ()]
                for place in ("before", "halfway", "gates"):
                    wave[place] = [gates[number] for number in wave.get(place) or ()]
        plan: Plan = load(Plan, raw)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise _not_a_plan(where, 0, str(error)) from error
    right = sealed(plan)
    if right.digest != plan.digest or right.id != plan.id or rows[0].get("digest") != plan.digest:
        raise Refused(
            f"the plan in {where} was altered since it was made",
            code="MU2102",
            why=f"its digest says {plan.digest[:19]}..., its content gives {right.digest[:19]}...",
            fix="meshup plan --out FILE makes a new one; change the runbook, not the plan",
            cluster="nothing was changed",
        )
    if rows[0].get("seal") != _seal(plan):
        raise Refused(
            f"the one-way changes that the plan in {where} accepts were altered since it was saved",
            code="MU2102",
            why=f"accepted in the file: {', '.join(plan.accepted_one_way) or 'none'}; its seal is for others",
            fix="meshup apply PLAN --accept-one-way NAME accepts one by its name",
            cluster="nothing was changed",
        )
    return plan


def _row(line: str, where: str, number: int) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _not_a_plan(where, number, f"this line is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise _not_a_plan(where, number, "this line is not a JSON object")
    return found


def _not_a_plan(where: str, line: int, why: str) -> UsageError:
    return UsageError(
        f"{where} is not a plan that this version can read",
        code="MU2101",
        why=why,
        at=Where(file=where, line=line, column=1) if line else None,
        fix="meshup plan --out FILE",
        cluster="not contacted",
    )


def accepting(plan: Plan, doors: Sequence[str]) -> Plan:
    """Give the plan with further one-way doors accepted by name; its content and digest stay as they were saved.

    Raises UsageError (MU2113) for a door that the plan does not have.
    """
    unknown = next((each for each in doors if each not in plan.one_way), None)
    if unknown is not None:
        raise UsageError(
            f'the plan has no one-way change "{unknown}"',
            code="MU2113",
            why=f"it has: {', '.join(plan.one_way)}" if plan.one_way else "everything in it can be taken back",
            fix="correct --accept-one-way",
            cluster="nothing was changed",
        )
    return replace(plan, accepted_one_way=tuple(dict.fromkeys([*plan.accepted_one_way, *doors]))) if doors else plan
