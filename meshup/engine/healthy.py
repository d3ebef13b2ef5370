"""On which releases a service was healthy, from what is on record: gates that passed, pins that were verified."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from meshup.cluster.errors import Forbidden
from meshup.engine.fold import fold, place_of
from meshup.engine.planfile import parse
from meshup.engine.session import Session
from meshup.engine.targets import against
from meshup.journal.ledger import pins
from meshup.journal.plans import read_plan
from meshup.journal.release import order
from meshup.journal.runs import RunHead, heads, open_store
from meshup.model.journal import Entry, Intent, Reached
from meshup.model.ledger import Pin
from meshup.model.problem import MeshupError, Refused
from meshup.model.runbook import Service
from meshup.model.snapshot import Snapshot
from meshup.model.verdict import Answer

LOOK_BACK = 20
"""Runs that are read, newest first: each is a list and perhaps a plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One reason to take a release for one that a service is well on. judged: something was verified there, not only run.

    why: where it is on record, in words.
    """

    release: str
    judged: bool
    why: str


def default_target(
    session: Session, service: Service, snapshot: Snapshot, installed: Mapping[str, str], *, now: str
) -> Evidence | None:
    """Give the newest release, other than the present one, that the service was healthy on and may go to; None = unknown.

    now: the release it runs. One where gates passed or proxies were verified goes before any where it merely ran.
    """
    there = {release for release in installed.values() if release and against(release, snapshot) is None}
    found = [each for each in evidence(session, service, installed) if each.release in there - {now}]
    return max(found, key=lambda each: (each.judged, order(each.release)), default=None)


def evidence(session: Session, service: Service, installed: Mapping[str, str]) -> Sequence[Evidence]:
    """Give what the ledger and the journals of the newest runs say of a service. What may not be read says nothing."""
    found = [_of_pin(each) for each in pins(session.cluster, namespace=service.namespace) if _is_proof(each, service)]
    try:
        for head in list(reversed(heads(session.cluster)))[:LOOK_BACK]:
            found += _of_run(session, _entries(session, head), service, installed)
    except Forbidden:
        return found
    return found


def _entries(session: Session, head: RunHead) -> Sequence[Entry]:
    """Read a run's journal; one that is damaged says nothing, and is no reason to keep an owner from another release."""
    try:
        return open_store(session.cluster, head.run, epoch=head.epoch, folder=None).entries()
    except Refused:
        return ()


def _is_proof(pin: Pin, service: Service) -> bool:
    seen = dict(pin.observed)
    return pin.service == service.name and bool(pin.to_release) and set(seen) == {pin.to_release} and any(seen.values())


def _of_pin(pin: Pin) -> Evidence:
    count = dict(pin.observed)[pin.to_release]
    why = f"MeshPin {pin.namespace}/{pin.name} of {pin.since:%Y-%m-%d}: {count} of its pods were seen on it"
    return Evidence(release=pin.to_release, judged=True, why=why)


def _of_run(
    session: Session, entries: Sequence[Entry], service: Service, installed: Mapping[str, str]
) -> Iterator[Evidence]:
    moves = [each for each in entries if isinstance(each, Intent) and each.service == service.id]
    if not moves:
        return
    state = fold(entries)
    for intent in moves:
        before = [installed[str(each)] for each in _values(intent) if str(each) in installed]
        if before and before[0] and not intent.change.startswith("undo:"):
            why = f"it ran there until run {state.run} moved it on {intent.at[:10]}; no gate was asked then"
            yield Evidence(release=before[0], judged=False, why=why)
    places = {place_of(each.change) for each in moves if state.places.get(place_of(each.change)) == "done"}
    passed: dict[str, list[str]] = {place: [] for place in places if (place, service.id) not in state.left}
    for each in state.judgements:
        if each.place in passed and each.judged.verdict.answer is Answer.PASS:
            passed[each.place].append(each.judged.kind)
    if state.plan_kind != "apply" or not any(passed.values()):
        return
    try:
        release = parse(read_plan(session.cluster, state.plan), where=f"the plan of run {state.run}").book.mesh.release
    except MeshupError:
        return
    for place, gates in passed.items():
        at = next(each.at for each in reversed(entries) if isinstance(each, Reached) and each.place == place)
        why = f"run {state.run}: {place} passed {', '.join(dict.fromkeys(gates))} on {at[:10]}"
        if gates:
            yield Evidence(release=release, judged=True, why=why)


def _values(intent: Intent) -> Sequence[object]:
    found = (intent.inverse or {}).get("set")
    return tuple(found.values()) if isinstance(found, Mapping) else ()
