"""From drafts and the server's answers to a plan. Pure: equal input gives an equal plan, whatever its order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC

from meshup.engine.comparing import about_held
from meshup.engine.draft import Drafting, Numbered, Place
from meshup.engine.drift import wanted_values
from meshup.engine.findings import (
    blinded,
    budget,
    compared_by,
    compares,
    conflicts,
    pods,
    pretended,
    refusals,
    taken,
    unanswered,
    unmade,
)
from meshup.engine.known import same
from meshup.engine.planfile import sealed
from meshup.engine.probe import NOT_CHECKED, permissions
from meshup.engine.undo import STAYS, inverse
from meshup.engine.widening import asked_before, on_hold
from meshup.gates.evidence.checking import Facts
from meshup.gates.gate import Gate
from meshup.gates.on_hold import NotOnHold
from meshup.gates.reconnects import said
from meshup.gates.sources import source
from meshup.journal.home import EPOCH, RUN, STEP
from meshup.meshes.driver import Driver
from meshup.model.change import Apply, Change, Create, Delete, Evict, Handoff, Label, Restart, moves_pods
from meshup.model.fields import leaves, managers_of, value_at
from meshup.model.objects import MANAGED, Object, Ref, dig
from meshup.model.pace import Reconnects
from meshup.model.plan import Basis, Plan, PlannedChange, PlannedGate, PlannedStage, PlannedWave
from meshup.model.problem import Problem
from meshup.model.runbook import GateSpec, Runbook, Service, Stage, Waiver
from meshup.model.snapshot import DryRun, Snapshot
from meshup.model.text import some


def plan(
    drafting: Drafting,
    snapshot: Snapshot,
    *,
    driver: Driver,
    gates: Mapping[str, Gate],
    kind: str = "apply",
    accept: Sequence[str] = (),
    facts: Facts | None = None,
    paced: Sequence[Reconnects] = (),
) -> Plan:
    """Give the plan. snapshot: with the answers of `probe.probe`. accept: one-way doors named on the command line.

    facts: what the runbook's Prometheus can tell of two revisions, None = it was not asked.
    paced: what the services that restart make their callers open anew, where the runbook paces by that.
    """
    book = drafting.book
    services = {each.id: each for each in book.services}
    stages: list[PlannedStage] = []
    alone = any(
        not each.draft.beside and each.draft.place == "main" and planned(each, snapshot) is not None
        for place in drafting.places
        for each in place.drafts
    )
    for stage in book.stages:
        waves = [
            _wave(place, snapshot, book, gates, services, alone=alone)
            for place in drafting.places
            if place.stage.name == stage.name
        ]
        legs = any(place.together for place in drafting.places if place.stage.name == stage.name)
        stages.append(PlannedStage(name=stage.name, waves=tuple(waves), on_fail=stage.on_fail, together=legs))
    kinds = {each.kind for stage in stages for wave in stage.waves for each in wave.asks()}
    judging = [gates[each] for each in sorted(kinds)]
    made = Plan(
        id="",
        kind=kind,
        runbook=book.name,
        runbook_digest=book.digest,
        lock_digest=book.lock_digest,
        cluster_uid=snapshot.cluster_uid,
        context=snapshot.context,
        user=snapshot.identity.user,
        driver=book.mesh.driver,
        release=book.mesh.release,
        revision=book.mesh.revision,
        taken_at=snapshot.taken_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        stages=tuple(stages),
        basis=(),
        book=book,
        permissions=tuple(sorted(permissions(drafting, snapshot))),
    )
    changes = tuple(made.changes())
    doors = tuple(dict.fromkeys(each.one_way for each in changes if each.one_way))
    asked = cost(drafting, snapshot, driver)
    blocked = (
        *(each for each in drafting.problems if each.severity == "error"),
        *pretended(book, snapshot),
        *blinded(book, stages, driver),
        *(unanswered(book, stages, gates, driver, facts) if kind == "apply" else ()),
        *unmade(changes),
        *conflicts(changes, snapshot),
        *refusals(changes, snapshot),
        *pods(drafting, snapshot),
        *budget(asked, drafting),
    )
    made = replace(
        made,
        basis=basis(changes, snapshot),
        blocked=tuple(sorted(dict.fromkeys(blocked), key=_order)),
        unjudged=_unjudged(drafting, snapshot),
        one_way=doors,
        accepted_one_way=tuple(sorted({*book.accept_one_way, *accept} & set(doors))),
        cost=asked,
        held=on_hold(stages, book, snapshot, driver) if kind == "apply" else None,
        notes=(
            *_notes(drafting, changes, snapshot, driver, judging),
            *compared_by(book, stages, gates, driver, facts),
            *said(paced, book.pacing.new_connections_per_s),
        ),
        reconnects=tuple(paced),
        left=drafting.left,
    )
    return sealed(made)


def _order(problem: Problem) -> tuple[str, str, str]:
    return problem.code, str(problem.at or ""), problem.what


def _wave(
    place: Place,
    snapshot: Snapshot,
    book: Runbook,
    gates: Mapping[str, Gate],
    services: Mapping[str, Service],
    *,
    alone: bool,
) -> PlannedWave:
    """Give one wave. alone: changes that only stand beside others are kept even when this wave has no others."""
    kept: dict[str, list[PlannedChange]] = {"opening": [], "main": [], "rest": [], "closing": []}
    beside: set[str] = set()
    for each in place.drafts:
        found = planned(each, snapshot)
        if found is not None:
            kept[each.draft.place].append(found)
            if each.draft.beside:
                beside.add(found.id)
    if not alone and all(each.id in beside for each in kept["main"]):
        kept["main"] = []
    moved = {each.service for each in kept["main"]}
    kept["rest"] = [each for each in kept["rest"] if each.service in moved]
    if not kept["main"]:
        # What only surrounds changes (arming and disarming a guard) is not needed when there are none.
        kept["opening"], kept["closing"] = [], []
    names: dict[str, int] = defaultdict(int)
    asked = asked_before(place.stage, kept["main"]) if NotOnHold.kind in gates else place.stage.before
    before = tuple(_gate(place, spec, names, snapshot=snapshot, book=book, gates=gates) for spec in asked)
    between = [each for each in place.stage.gates if kept["rest"] and compares(gates[each.kind])]
    held = {each.service for each in kept["rest"]}
    halfway = tuple(
        about_held(_gate(place, spec, names, snapshot=snapshot, book=book, gates=gates), place.services, held)
        for spec in between
    )
    nobody = not kept["main"] and any(each.params.get("hold") for each in place.stage.steps)
    left = [each for each in place.stage.gates if each not in between and not (nobody and compares(gates[each.kind]))]
    after = tuple(_gate(place, spec, names, snapshot=snapshot, book=book, gates=gates) for spec in left)
    return PlannedWave(
        name=place.name,
        changes=tuple(kept["main"]),
        gates=after,
        opening=tuple(kept["opening"]),
        before=before,
        closing=tuple(kept["closing"]),
        services=place.services,
        waiting=place.waiting,
        guard=place.guard if kept["opening"] else None,
        halfway=halfway,
        rest=tuple(kept["rest"]),
    )


def planned(each: Numbered, snapshot: Snapshot) -> PlannedChange | None:
    """Give one change as planned; None when the server, or the object itself, shows that it is right already."""
    draft = each.draft
    answer = snapshot.dry_runs.get(each.id, DryRun(known=NOT_CHECKED))
    if _is_no_change(draft.change, answer, snapshot):
        return None
    stays = draft.stays or draft.place == "rest" or _stays(draft.change)
    back = None if draft.one_way or stays else inverse(draft.change)
    return PlannedChange(
        id=each.id,
        step=draft.step,
        change=draft.change,
        inverse=back,
        known=answer.known,
        summary=draft.summary,
        risk=draft.risk,
        service=draft.service,
        one_way=draft.one_way,
        fields=tuple(sorted(_fields(draft.change))),
        line=each.line,
        settled=draft.settled,
    )


def _stays(change: Change) -> bool:
    made = isinstance(change, Create) or (isinstance(change, Apply) and change.uid == "")
    return made and change.on.kind in STAYS


def _is_left(each: PlannedChange) -> bool:
    """Tell whether a way back leaves what a change makes, without its being a one-way door."""
    return isinstance(each.change, Create | Apply) and each.inverse is None and not each.one_way


def _fields(change: Change) -> Iterable[str]:
    return leaves(change.body) if isinstance(change, Create) else wanted_values(change)


def _is_no_change(change: Change, answer: DryRun, snapshot: Snapshot) -> bool:
    there = snapshot.get(change.on)
    if isinstance(change, Delete) and not change.uid:
        # It takes away what an earlier change of this very plan makes.
        return False
    if there is None:
        return isinstance(change, Delete | Evict)
    if isinstance(change, Delete | Evict):
        return bool(change.uid) and dig(there, "metadata", "uid") != change.uid
    if isinstance(change, Handoff):
        return bool(change.until) and all(str(_at(there, key)) == value for key, value in change.until.items())
    if answer.known != "server" or answer.after is None or answer.conflicts or answer.refused:
        return False
    if isinstance(change, Label | Restart):
        # A key that another manager holds is taken off after the apply, which the server's answer can't show.
        return same(change, there)
    if answer.after is there:
        return True
    return _plain(answer.after) == _plain(there)


def _at(obj: Object, key: str) -> object:
    if key.startswith("/"):
        return value_at(obj, key)
    return dig(obj, *(int(step) if step.isdigit() else step for step in key.split(".")))


MARKS = frozenset({MANAGED, RUN, STEP, EPOCH})


def _plain(obj: Object) -> Object:
    """Give an object without what every answer of the server differs in, and without the marks of earlier runs."""
    left = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink")
    meta = {key: value for key, value in (obj.get("metadata") or {}).items() if key not in left}
    for name in ("labels", "annotations"):
        kept = {
            key: value
            for key, value in (meta.pop(name, None) or {}).items()
            if key not in MARKS and "last-applied" not in key
        }
        if kept:
            meta[name] = kept
    return {**{key: value for key, value in obj.items() if key != "status"}, "metadata": meta}


def _gate(
    place: Place,
    spec: GateSpec,
    names: dict[str, int],
    *,
    snapshot: Snapshot,
    book: Runbook,
    gates: Mapping[str, Gate],
) -> PlannedGate:
    names[spec.kind] += 1
    number = names[spec.kind]
    gate = gates[spec.kind]
    params = {name: usual for name, (_, usual, _) in gate.params.items() if usual is not ...}
    waivers = [each for each in book.waivers if _waives(each, place.stage, spec.kind, snapshot)]
    whole = next((each for each in waivers if not each.service), None)
    spared = {each.service for each in waivers if each.service}
    services = tuple(each for each in place.services if each not in spared) if spared else ()
    waived = f"{whole.owner}: {whole.reason}, until {whole.until:%Y-%m-%d}" if whole is not None else ""
    if spared and not services and place.services:
        waived = f"for every service of it: {', '.join(sorted(spared))}"
    return PlannedGate(
        id=f"{place.id}/{spec.kind}" + (f"-{number}" if number > 1 else ""),
        kind=spec.kind,
        title=gate.title,
        params={**params, **spec.params},
        patience=spec.patience,
        services=services,
        waived=waived,
        line=spec.at.line if spec.at else 0,
    )


def _waives(waiver: Waiver, stage: Stage, gate: str, snapshot: Snapshot) -> bool:
    return waiver.gate == gate and waiver.stage == stage.name and waiver.until > snapshot.taken_at


def basis(changes: Iterable[PlannedChange], snapshot: Snapshot) -> tuple[Basis, ...]:
    """Say what each planned object looks like now, planned fields only; ordered by reference."""
    fields: dict[Ref, set[str]] = defaultdict(set)
    for each in changes:
        if isinstance(each.change, Handoff | Evict):
            continue
        fields[each.change.on].update(wanted_values(each.change))
    found: list[Basis] = []
    for on in sorted(fields):
        there = snapshot.get(on)
        if there is None:
            found.append(Basis(on=on, uid=""))
            continue
        holders = {one: managers_of(there, one) for one in sorted(fields[on])}
        found.append(
            Basis(
                on=on,
                uid=str(dig(there, "metadata", "uid") or ""),
                fields={one: value_at(there, one) for one in sorted(fields[on])},
                managers={one: several[0] for one, several in holders.items() if several},
            )
        )
    return tuple(found)


def cost(drafting: Drafting, snapshot: Snapshot, driver: Driver) -> Mapping[str, float]:
    """Say what the proxies of newly enrolled services ask for: cpu_m, memory_mib, pods and restarts."""
    moved: set[str] = set()
    fresh: set[str] = set()
    services = {each.id: each for each in drafting.book.services}
    for _, each in drafting.drafts():
        change = each.draft.change
        if each.draft.service in services and moves_pods(change):
            moved.add(each.draft.service)
            if isinstance(change, Label) and change.set and not any(change.before.values()):
                fresh.add(each.draft.service)
    restarts = sum(_pods(services[each], snapshot) for each in moved)
    added = sum(_pods(services[each], snapshot) for each in fresh)
    cpu, memory = driver.sidecar_requests(snapshot, drafting.book.mesh) if added else (0, 0)
    found = {"cpu_m": float(cpu * added), "memory_mib": float(memory * added), "restarts": float(restarts)}
    return {key: value for key, value in found.items() if value}


def _pods(service: Service, snapshot: Snapshot) -> int:
    there = snapshot.get(service.workload)
    if there is None:
        return 0
    if there.get("kind") == "DaemonSet":
        return int(dig(there, "status", "desiredNumberScheduled") or 0)
    replicas = dig(there, "spec", "replicas")
    return 0 if there.get("kind") in ("CronJob", "Job") else int(1 if replicas is None else replicas)


def _unjudged(drafting: Drafting, snapshot: Snapshot) -> tuple[tuple[str, str], ...]:
    found = dict(drafting.unjudged)
    services = {each.id: each for each in drafting.book.services}
    for place in drafting.places:
        for name in place.services:
            service = services.get(name)
            if service is None or name in found or service.workload.kind in ("CronJob", "Job"):
                continue
            if _pods(service, snapshot) == 0:
                found[name] = "it has no pods now, so nothing of it can be judged"
    return tuple(sorted(found.items()))


def _notes(
    drafting: Drafting, changes: Sequence[PlannedChange], snapshot: Snapshot, driver: Driver, judging: Iterable[Gate]
) -> tuple[str, ...]:
    notes = list(drafting.notes)
    refused = sorted(right for right, held in snapshot.allowed.items() if not held)
    unread = [right.removeprefix("list ") for right in refused if right.startswith("list ")]
    missing = [right for right in refused if not right.startswith("list ")]
    if unread:
        notes.append(f"not permitted to read: {some(unread, 8)}")
    unchecked = sum(each.known == NOT_CHECKED and not isinstance(each.change, Handoff | Evict) for each in changes)
    if unchecked:
        notes.append(f"{unchecked} changes were not checked by the server, which did not answer a dry run of them")
    if missing:
        notes.append(f"{snapshot.identity.user} may not: {some(missing, 8)}")
    stay = [str(each.change.on) for each in changes if _is_left(each)]
    if stay:
        notes.append(f"a way back leaves these, as others may use them by then: {some(stay, 4)}")
    notes += taken(changes, snapshot)
    if any("proxy-counters" in each.needs for each in judging):
        notes.append(f"gates read the counters of proxies from {source(drafting.book, driver)}")
    if drafting.right:
        notes.append(f"{len(drafting.right)} already right: {some(drafting.right, 5)}")
    return tuple(dict.fromkeys(notes))
