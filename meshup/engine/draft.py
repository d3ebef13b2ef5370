"""Ask every step what it wants changed, place by place. Pure: from a runbook and a snapshot to drafts with ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from meshup.engine.opted import opted
from meshup.meshes.driver import Driver
from meshup.model.change import Apply, Change, Create, Delete
from meshup.model.moment import end_text, instant_or_none
from meshup.model.objects import Object, Ref, dig, is_managed, is_map
from meshup.model.plan import Left
from meshup.model.problem import Problem
from meshup.model.runbook import Ingress, Runbook, Stage, StepSpec
from meshup.model.snapshot import Snapshot
from meshup.model.text import clean
from meshup.steps.step import Draft, Drafted, Scope, Step

BOUNDS = ("since", "until")
PLACES = ("opening", "main", "rest", "closing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbered:
    """A draft with the id its change will have, and the runbook line of its step."""

    id: str
    draft: Draft
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One wave (or phase, or a stage without either) before it is planned. name: of the wave, "" = the stage itself."""

    stage: Stage
    name: str
    services: tuple[str, ...]
    waiting: tuple[str, ...]
    drafts: tuple[Numbered, ...]
    guard: Ref | None = None
    together: bool = False

    @property
    def id(self) -> str:
        """STAGE or STAGE/WAVE."""
        return f"{self.stage.name}/{self.name}" if self.name else self.stage.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafting:
    """What all steps want. book: the runbook with membership of waves and opt-ins resolved and frozen."""

    book: Runbook
    places: tuple[Place, ...]
    problems: tuple[Problem, ...] = ()
    right: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    unjudged: tuple[tuple[str, str], ...] = ()
    left: tuple[Left, ...] = ()

    def drafts(self) -> Iterator[tuple[Place, Numbered]]:
        """Yield every draft in the order of the plan."""
        for place in self.places:
            for each in place.drafts:
                yield place, each


def draft(book: Runbook, snapshot: Snapshot, *, steps: Mapping[str, Step], driver: Driver) -> Drafting:
    """Give what every step of every stage wants, in order. Pure."""
    said = opted(replace(book, ingress=_read(book.ingress, snapshot, driver)), snapshot, driver)
    frozen = said.book
    by_name = {each.name: each for each in frozen.waves}
    pins = pinned(frozen, snapshot)
    held = {name: why for name, (_, why) in pins.items()}
    frozen = _without(frozen, [name for name, (revision, _) in pins.items() if not revision])
    known = {each.id: each for each in frozen.services}
    places: list[Place] = []
    problems: list[Problem] = []
    right: list[str] = []
    pinned_out = tuple(Left(service=name, how="pinned", why=why) for name, why in sorted(held.items()))
    notes: list[str] = [*(each.note for each in pinned_out), *said.notes]
    unjudged: dict[str, str] = {}
    moved: list[str] = []
    for stage in frozen.stages:
        names = stage.waves or ("",)
        for name in names:
            members = by_name[name].services if name else tuple(dict.fromkeys(moved))
            willing = [known[each] for each in members if each in known and known[each].opt_in is not None]
            joined = tuple(each for each in willing if each.id not in held and each.id not in said.early)
            waiting = tuple(
                each
                for each in members
                if each in known and each not in held and (known[each].opt_in is None or each in said.early)
            )
            drafted: list[tuple[StepSpec, Drafted]] = []
            for spec in stage.steps:
                step = steps[spec.kind]
                scope = Scope(
                    book=frozen,
                    stage=stage,
                    wave=name,
                    services=joined,
                    snapshot=snapshot,
                    driver=driver,
                    params=_params(step, spec),
                )
                drafted.append((spec, _completed(step.draft(scope), snapshot)))
            places += _places(stage, name, tuple(each.id for each in joined), waiting, drafted)
            for _, each in drafted:
                problems += each.problems
                right += each.right
                notes += each.notes
                unjudged.update(each.unjudged)
            if name:
                moved += [each.id for each in joined]
    return Drafting(
        book=frozen,
        places=tuple(places),
        problems=tuple(dict.fromkeys(problems)),
        right=tuple(dict.fromkeys(right)),
        left=(*pinned_out, *said.left),
        notes=tuple(dict.fromkeys(notes)),
        unjudged=tuple(sorted(unjudged.items())),
    )


def _params(step: Step, spec: StepSpec) -> Mapping[str, Any]:
    usual = {name: value for name, (_, value, _) in step.params.items() if value is not ...}
    return {**usual, **spec.params}


def _completed(found: Drafted, snapshot: Snapshot) -> Drafted:
    return replace(found, drafts=tuple(replace(each, change=completed(each.change, snapshot)) for each in found.drafts))


def _places(
    stage: Stage,
    wave: str,
    services: tuple[str, ...],
    waiting: tuple[str, ...],
    drafted: list[tuple[StepSpec, Drafted]],
) -> list[Place]:
    """Split one wave's drafts by phase: what has none comes first, then the phases in the order they were named."""
    phases: dict[str, list[tuple[Draft, int]]] = {"": []}
    guards: dict[str, Ref] = {}
    for spec, each in drafted:
        guards.update(each.guard)
        for one in each.drafts:
            phases.setdefault(one.phase, []).append((one, spec.at.line if spec.at else 0))
    several = [name for name in phases if name]
    if several and not phases[""]:
        del phases[""]
    found = []
    for phase, items in phases.items():
        name = "-".join(part for part in (wave, phase) if part)
        where = f"{stage.name}/{name}" if name else stage.name
        ordered = [pair for place in PLACES for pair in items if pair[0].place == place]
        covered = tuple(dict.fromkeys(one.service for one, _ in items if one.service))
        found.append(
            Place(
                stage=stage,
                name=name,
                services=covered if phase and covered else services,
                waiting=waiting,
                drafts=tuple(
                    Numbered(id=f"{where}/{number}", draft=one, line=line)
                    for number, (one, line) in enumerate(ordered, 1)
                ),
                guard=guards.get(phase),
                together=any(each.together for _, each in drafted),
            )
        )
    return found


def completed(change: Change, snapshot: Snapshot) -> Change:
    """Fill in what an apply found there, where the step did not say: UID and the same fields as they are now."""
    match change:
        case Apply():
            there = snapshot.get(change.on)
            if there is None or change.before not in (None, change.body):
                return change
            before = masked(change.body, there)
            return replace(change, uid=str(dig(there, "metadata", "uid") or ""), before=before)
        case Create():
            there = snapshot.get(change.on)
            ours = is_managed(there)
            if there is None or not ours:
                return change
            uid = str(dig(there, "metadata", "uid") or "")
            return Apply(on=change.on, body=change.body, before=masked(change.body, there), uid=uid)
        case Delete(uid=""):
            there = snapshot.get(change.on)
            ours = is_managed(there)
            return replace(change, uid=str(dig(there, "metadata", "uid") or "")) if ours else change
        case _:
            return change


def masked(body: Object, there: Object) -> Object:
    """Give the fields a body sets, with the values an object has now; what it does not have is left out."""
    found = {"apiVersion": body["apiVersion"], "kind": body["kind"], **_masked(body, there)}
    identity = {key: body["metadata"][key] for key in ("name", "namespace") if body["metadata"].get(key)}
    fields = {key: value for key, value in found.get("metadata", {}).items() if key not in ("name", "namespace", "uid")}
    return {**found, "metadata": {**identity, **fields}}


def _masked(wanted: Object, there: Object) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in wanted.items():
        now = there.get(key)
        if now is None:
            continue
        if not (is_map(value) and value):
            found[key] = now
        elif is_map(now) and (inner := _masked(value, now)):
            found[key] = inner
    return found


def _read(ingress: Ingress | None, snapshot: Snapshot, driver: Driver) -> Ingress | None:
    """Fill in hosts that the runbook leaves to existing Ingress objects; what can't be said is listed."""
    if ingress is None or ingress.hosts or not ingress.source:
        return ingress
    there = [each for each in map(snapshot.get, ingress.source) if each is not None]
    found = driver.translate(there)
    return replace(
        ingress, hosts=found.hosts, untranslated=tuple(dict.fromkeys((*ingress.untranslated, *found.dropped)))
    )


def _without(book: Runbook, names: Sequence[str]) -> Runbook:
    """Give the runbook with services that are held out of the mesh no longer opted in: no step may count on them."""
    return replace(
        book, services=tuple(replace(each, opt_in=None) if each.id in names else each for each in book.services)
    )


def pinned(book: Runbook, snapshot: Snapshot) -> Mapping[str, tuple[str, str]]:
    """Give the services that somebody holds elsewhere: (revision, why). No wave touches them; overdue pins hold too."""
    known = {(each.namespace, each.name): each.id for each in book.services}
    found: dict[str, tuple[str, str]] = {}
    for pin in snapshot.pinned_elsewhere(book.mesh.revision):
        name = known.get((str(dig(pin, "metadata", "namespace")), str(dig(pin, "spec", "service"))))
        if name is None:
            continue
        revision = str(dig(pin, "spec", "to", "revision") or "")
        release = dig(pin, "spec", "to", "release") or "none"
        user, since, until = dig(pin, "spec", "requestedBy", "username"), *(dig(pin, "spec", key) for key in BOUNDS)
        begun, over = instant_or_none(since), instant_or_none(until)
        ends = end_text(begun, over) if begun and over else str(until or "")[:10]
        reason = clean(dig(pin, "spec", "reason") or "")
        why = f"{clean(user)} pinned it to {clean(release)} until {ends}" + (f": {reason}" if reason else "")
        found[name] = (revision, why)
    return found
