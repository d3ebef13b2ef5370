"""A plan on one screen and as a document."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from meshup.model.change import Create, Delete, Handoff, Label, Restart
from meshup.model.plan import LeftOut, Plan, PlannedChange, PlannedGate, PlannedStage, PlannedWave
from meshup.model.text import USUAL_RUNBOOK, clean, of_runbook
from meshup.model.wire import dump
from meshup.views.spans import span
from meshup.views.table import amount, columns, folded

RISK_WORDS = {"none": "none", "low": "low", "medium": "med", "high": "HIGH"}
RISK_ORDER = ("none", "low", "medium", "high")
FOLDED_FROM, NAMED, AGAINST = 4, 6, 20
"""So many waves that read alike become one row; so many services of one reason, or records, are named."""
Row: TypeAlias = tuple[str, str, str, str, str]


def kind_of(change: PlannedChange) -> str:
    """Sort a change into add, change, delete, or handoff, as the total line counts them."""
    match change.change:
        case Create():
            return "add"
        case Delete():
            return "delete"
        case Handoff():
            return "handoff"
        case _ if getattr(change.change, "uid", "") == "":
            return "add"
        case _:
            return "change"


def restarts(change: PlannedChange) -> bool:
    """Tell whether a change rolls the pods of a workload."""
    one = change.change
    return isinstance(one, Restart) or (isinstance(one, Label) and one.restarts and one.set != one.before)


def totals(plan: Plan) -> Counter[str]:
    """Count changes by kind, and restarts."""
    found: Counter[str] = Counter(kind_of(each) for each in plan.changes())
    found["restart"] = sum(restarts(each) for each in plan.changes())
    return found


def _changes_cell(wave: PlannedWave, out: Mapping[str, tuple[LeftOut, str]]) -> str:
    count = Counter(kind_of(each) for each in wave.writes())
    parts = []
    moving = sum(restarts(each) for each in wave.changes)
    if wave.services and (moving or not wave.writes()):
        parts.append(amount(len(wave.services), "service") + ("" if moving else ", right already"))
    if moving:
        parts.append(amount(moving, "restart"))
    words = {"add": "new", "change": "edit", "delete": "delete", "handoff": "handoff"}
    parts += [
        f"{number} {words[kind]}"
        for kind, number in sorted(count.items())
        if not (wave.services and moving and kind == "change")
    ]
    why = Counter(out[each][0] if each in out else "not opted in" for each in wave.waiting)
    parts += [f"{number} {how}" for how, number in sorted(why.items())]
    return ", ".join(parts) or ("nothing to change" if not wave.before and not wave.gates else "checks only")


def gate_cell(gate: PlannedGate) -> str:
    """Say what one gate waits for, with its patience, in a few words."""
    if gate.waived:
        return f"{gate.kind} (waived: {gate.waived})"
    bounds = ", ".join(
        f"{key} {value}" for key, value in gate.params.items() if value not in ("", None, (), []) and key != "query"
    )
    return f"{gate.kind}{' ' + bounds if bounds else ''} within {span(gate.patience.limit_s)}"


def _way_back(wave: PlannedWave) -> str:
    doors = [each.one_way for each in wave.writes() if each.one_way]
    if doors:
        return "ONE-WAY " + ", ".join(dict.fromkeys(doors))
    if not any(each.inverse for each in wave.writes()):
        return "-"
    again = sum(restarts(each) for each in wave.changes)
    return f"yes, {amount(again, 'restart')}" if again else "yes, no restart"


def _risk(wave: PlannedWave) -> str:
    worst = max((RISK_ORDER.index(each.risk) for each in wave.writes()), default=0)
    return RISK_WORDS[RISK_ORDER[worst]]


def _rows(plan: Plan) -> Iterator[Row]:
    out = plan.left_out()
    for number, stage in enumerate(plan.stages, 1):
        if not stage.waves:
            yield f"{number} {stage.name}", "nothing to change", "-", "none", "-"
        elif len(stage.waves) > 1 or stage.waves[0].name:
            yield f"{number} {stage.name}", "", "", "", ""
        for wave in stage.waves:
            name = f"   {wave.name}" if wave.name else f"{number} {stage.name}"
            held = wave.asks()
            waits = "; ".join(gate.kind for gate in held) or "-"
            later = {each.known.removeprefix("after:") for each in wave.writes() if each.known.startswith("after:")}
            later -= {stage.name}
            if later:
                waits += f"; known after stage {', '.join(sorted(later))}"
            yield name, _changes_cell(wave, out), waits, _risk(wave), _way_back(wave)


def _folded(rows: Iterable[Row]) -> list[Row]:
    """Put neighbouring waves that read alike into one row when there are many: "wave-3 to wave-48"."""
    found: list[Row] = []
    for _, group in itertools.groupby(rows, key=lambda row: (row[0].startswith("   "), row[1:])):
        several = list(group)
        first, last = several[0], several[-1]
        if len(several) < FOLDED_FROM or not first[0].startswith("   "):
            found += several
            continue
        found.append((f"{first[0]} to {last[0].strip()}", f"{len(several)} x {first[1]}", *first[2:]))
    return found


def stage_rows(plan: Plan) -> list[Row]:
    """Give every stage and wave as cells: name, changes, what it waits for, risk, way back."""
    return list(_shorter(_rows(plan)))


def totals_line(plan: Plan) -> str:
    """Say how much a plan writes, and what it costs, in one line."""
    return _total(plan).removeprefix("total").strip()


def _shorter(rows: Iterable[Row]) -> Iterator[Row]:
    """Say "same" where a wave waits for what the one above it waits for."""
    above = ""
    for name, changes, waits, risk, back in rows:
        alike = name.startswith("   ") and waits == above and len(waits) > len("same")
        yield name, changes, "same" if alike else waits, risk, back
        above = waits


def _unjudged(plan: Plan) -> list[str]:
    """Name the services that can't be judged, one line a reason."""
    reasons: dict[str, list[str]] = {}
    for service, why in plan.unjudged:
        reasons.setdefault(why, []).append(service)
    lines = []
    for why, services in reasons.items():
        shown = ", ".join(services[:NAMED])
        more = f" and {len(services) - NAMED} more" if len(services) > NAMED else ""
        lines.append(f"unjudged  {shown}{more}: {why}")
    return lines


def text(plan: Plan, *, width: int = 160, saved: str = "", details: bool = False, runbook: str = USUAL_RUNBOOK) -> str:
    """Show a plan, the next command last.

    saved: the file it was written to, "" = none. details: every change and gate on a line of its own.
    runbook: the file that commands must name, unless it is the usual one.
    """
    release = f"{plan.driver} {plan.release}, revision {plan.revision}" if plan.release else f"out of {plan.driver}"
    mesh = "" if plan.takes_back else f"; {release}"
    lines = [
        f"plan      {plan.id}  {plan.kind} of {plan.runbook} on {plan.context or 'the cluster'} "
        f"(id {plan.cluster_uid[:8]}...) as {plan.user}{mesh}"
    ]
    rows = list(_shorter(_folded(_rows(plan))))
    if rows:
        lines.append(columns(rows, header=("stage", "changes", "waits for", "risk", "way back"), width=width))
    lines += _blocked(plan) + on_hold(plan)
    lines.append(_total(plan))
    if plan.one_way:
        open_doors = [door for door in plan.one_way if door not in plan.accepted_one_way]
        lines.append(
            f"one-way   {', '.join(plan.one_way)}"
            + (f"; accept with --accept-one-way {open_doors[0]}" if open_doors else "")
        )
    lines += _unjudged(plan)
    lines += [f"note      {note}" for note in (*plan.notes, *(each for stage in plan.stages for each in stage.notes))]
    lines = [each if "\n" in each else folded(each, width=width) for each in lines]
    if details:
        lists = (change_list(plan, width=width), gate_list(plan, width=width))
        lines += [line for each in lists if each for line in ("", each)] + [""]
    if saved:
        moves = f"; refused if one of its {len(plan.basis)} objects moves" if plan.changed else ""
        lines.append(f"saved     {saved} (plan {plan.id}{moves})")
    lines.append(f"Next      {_next(plan, saved, runbook)}")
    return "\n".join(lines)


def _total(plan: Plan) -> str:
    count = totals(plan)
    added = {each.change.on for each in plan.changes() if kind_of(each) == "add"}
    own = sum(kind_of(each) == "delete" and each.change.on in added for each in plan.changes())
    deletes = f"{count['delete']} delete" + (f" ({own} of them helpers it added itself)" if own else "")
    handed = f", {count['handoff']} handed off" if count["handoff"] else ""
    cost = _cost(plan)
    return (
        f"total     {count['add']} add, {count['change']} change, {deletes}{handed}; "
        f"{amount(count['restart'], 'restart')}{'    ' + cost if cost else ''}"
    )


def _blocked(plan: Plan) -> list[str]:
    lines = []
    for problem in plan.blocked:
        where = f" {problem.at}" if problem.at else ""
        lines.append(f"blocked   [{problem.code}]{where} {problem.what}")
        lines.append(f"          fix: {problem.fix}")
    return lines


def on_hold(plan: Plan) -> list[str]:
    """Say that the release is on hold: which waves are refused, and who is against it."""
    held = plan.held
    if held is None:
        return []
    more = f" and {len(held.places) - NAMED} more" if len(held.places) > NAMED else ""
    lines = [
        f"held      [MU3121] {clean(held.release)} is on hold: {clean(held.because)}",
        f"          refused now: {', '.join(held.places[:NAMED])}{more}",
    ]
    lines += [f"          {clean(each)}" for each in held.names[:AGAINST]]
    if len(held.names) > AGAINST:
        lines.append(f"          {len(held.names) - AGAINST} more; meshup report --version {held.release}")
    return lines


def _cost(plan: Plan) -> str:
    parts = []
    if plan.cost.get("memory_mib"):
        parts.append(f"+{plan.cost['memory_mib']:.0f} MiB memory")
    if plan.cost.get("cpu_m"):
        parts.append(f"+{plan.cost['cpu_m']:.0f}m CPU")
    return "cost " + ", ".join(parts) if parts else ""


def _next(plan: Plan, saved: str, runbook: str) -> str:
    of = of_runbook(runbook)
    if plan.blocked:
        return f"mend what is blocked, then: meshup plan{of}"
    if plan.held is not None:
        return f"meshup report --version {clean(plan.held.release)}      when it may spread again: meshup plan{of}"
    if not plan.changed:
        return "nothing to do: the cluster is as the runbook says" if plan.kind == "apply" else "nothing to take back"
    if plan.kind != "apply":
        return "the same command without --dry-run"
    return f"meshup apply {saved}" if saved else f"meshup plan{of} --out release.plan.json, or meshup apply{of}"


def change_list(plan: Plan, *, width: int = 160) -> str:
    """List every change with what the server knows of it; "" when there is none."""
    rows = [
        (each.id, each.summary, each.known, RISK_WORDS[each.risk], each.one_way or ("yes" if each.inverse else "-"))
        for each in plan.changes()
    ]
    return columns(rows, header=("change", "what", "known", "risk", "way back"), width=width) if rows else ""


def gate_list(plan: Plan, *, width: int = 160) -> str:
    """List every gate with its bounds and patience; "" when there is none."""
    rows = []
    for stage in plan.stages:
        for wave in stage.waves:
            rows += [(gate.id, gate.title, gate_cell(gate)) for gate in wave.asks()]
    return columns(rows, header=("gate", "holds when", "patience"), width=width) if rows else ""


def document(plan: Plan) -> dict[str, Any]:
    """Give a plan as one JSON document."""
    count = totals(plan)
    return {
        "schema": "meshup.dev/plan-view/v1",
        "id": plan.id,
        "kind": plan.kind,
        "digest": plan.digest,
        "runbook": {"name": plan.runbook, "digest": plan.runbook_digest},
        "cluster": {"uid": plan.cluster_uid, "context": plan.context},
        "user": plan.user,
        "mesh": {"driver": plan.driver, "release": plan.release, "revision": plan.revision},
        "summary": {kind: count[kind] for kind in ("add", "change", "delete", "handoff", "restart")}
        | {"changed": plan.changed},
        "stages": [_stage_document(stage) for stage in plan.stages],
        "blocked": [
            {"code": p.code, "what": p.what, "object": str(p.at) if p.at else "", "fix": p.fix} for p in plan.blocked
        ],
        "held": _held_document(plan),
        "unjudged": [{"service": service, "why": why} for service, why in plan.unjudged],
        "permissions": list(plan.permissions),
        "one_way": list(plan.one_way),
        "accepted_one_way": list(plan.accepted_one_way),
        "cost": dict(plan.cost),
        "notes": list(plan.notes),
        "reconnects": [
            {
                "service": each.service,
                "per_pod": round(each.per_pod, 3),
                "pods": each.pods,
                "measured": each.measured,
                "source": each.source,
            }
            for each in plan.reconnects
        ],
        "pin": dict(plan.pin) if plan.pin else None,
    }


def _held_document(plan: Plan) -> dict[str, Any] | None:
    if plan.held is None:
        return None
    names, places = list(map(clean, plan.held.names)), list(plan.held.places)
    head = {"code": "MU3121", "release": plan.held.release, "because": clean(plan.held.because)}
    return head | {"names": names, "places": places}


def _stage_document(stage: PlannedStage) -> dict[str, Any]:
    return {
        "name": stage.name,
        "on_fail": stage.on_fail,
        "notes": list(stage.notes),
        "waves": [
            {
                "name": wave.name,
                "services": list(wave.services),
                "waiting": list(wave.waiting),
                "risk": _risk(wave),
                "way_back": _way_back(wave),
                "changes": [_change_document(each, place) for place, several in _placed(wave) for each in several],
                "gates": [_gate_document(each, "before") for each in wave.before]
                + [_gate_document(each, "halfway") for each in wave.halfway]
                + [_gate_document(each, "after") for each in wave.gates],
            }
            for wave in stage.waves
        ],
    }


def _placed(wave: PlannedWave) -> tuple[tuple[str, tuple[PlannedChange, ...]], ...]:
    return (("opening", wave.opening), ("main", wave.changes), ("rest", wave.rest), ("closing", wave.closing))


def _change_document(each: PlannedChange, place: str) -> dict[str, Any]:
    return {
        "id": each.id,
        "place": place,
        "op": type(each.change).__name__.lower(),
        "object": str(each.change.on),
        "service": each.service,
        "step": each.step,
        "summary": each.summary,
        "known": each.known,
        "risk": each.risk,
        "restarts": restarts(each),
        "one_way": each.one_way or None,
        "inverse": dump(each.inverse),
        "fields": list(each.fields),
        "line": each.line,
    }


def _gate_document(gate: PlannedGate, when: str) -> dict[str, Any]:
    patience = gate.patience
    return {
        "id": gate.id,
        "kind": gate.kind,
        "when": when,
        "title": gate.title,
        "params": dict(gate.params),
        "services": list(gate.services),
        "waived": gate.waived or None,
        "limit_s": patience.limit_s,
        "every_s": patience.every_s,
        "in_a_row": patience.in_a_row,
        "least": patience.least,
        "window_s": patience.window_s,
        "line": gate.line,
    }
