"""From the runbook that onboarded a mesh to one that upgrades it: critical users first, then everybody. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from meshup.engine import comparing
from meshup.engine.draft import pinned
from meshup.engine.jump import check
from meshup.engine.opted import opted
from meshup.engine.propose import revision_of
from meshup.engine.running import asked
from meshup.engine.widening import record_of
from meshup.gates.leftovers import RevisionsUnused
from meshup.gates.people import Soak
from meshup.gates.preflight import Preflight
from meshup.gates.proxies_right import ProxiesRight
from meshup.meshes.driver import ENDPOINT_COUNTS, Driver
from meshup.model.release import state_of
from meshup.model.runbook import GateSpec, Manifests, Mesh, Runbook, Service, Stage, StepSpec, Waiver, Wave
from meshup.model.snapshot import Snapshot
from meshup.model.upgrade import Upgrade
from meshup.model.verdict import Patience
from meshup.steps.freshen import Freshen

QUALIFY, SPREAD, GATEWAY, CONTROL_PLANE, MINIMISE = "qualify", "spread", "gateway", "control-plane", "minimise"
FRESHEN = Freshen.kind
GATEWAY_OWN = "gateway-own"
PREFLIGHT = "preflight"
WEIGHTS = (10, 50, 100)
"""Percents of the gateway's pods that are new: few users first, then half of them."""
CRITICAL, LATER = "critical", "later"
"""Waves: those who qualify the release, and those who qualified an earlier one and are not asked to now."""
STRUCTURAL = ("workloads-ready", ProxiesRight.kind, "proxies-in-sync")
"""Gates that tell whether a wave arrived; what it is like there is judged after it has run for a while."""
SERVES = ("workloads-ready", "proxies-in-sync")
"""Those of them that tell something of a gateway, which is nobody's service."""
READY = GateSpec(kind="workloads-ready", params={}, patience=Patience())


def derive(
    book: Runbook,
    snapshot: Snapshot,
    driver: Driver,
    *,
    to: str,
    manifests: str = "",
    soak_s: float,
    keep_s: float,
    compare: str = "auto",
) -> Upgrade:
    """Derive the upgrade of a mesh. Everything people tuned (gates, patience, pacing, budgets) is the old runbook's.

    to: the release. manifests: path of its program, charts or folder, "" = the old runbook's. soak_s: how long critical
    services run it before they are judged. keep_s: how long the old revision stays once nobody uses it. compare: one of
    `comparing.COMPARE`. Raises what `check` raises, which is everything that speaks against the jump before anything is
    planned, and what `comparing.moved_whole` raises.
    """
    said = opted(book, snapshot, driver)
    agreed = said.book
    mesh = _mesh(book.mesh, to=to, manifests=manifests)
    pins = pinned(replace(agreed, mesh=mesh), snapshot)
    held = {name: why for name, (_, why) in pins.items()}
    members = list(dict.fromkeys(_members(agreed)))
    known = {each.id: each for each in agreed.services}
    left = {
        name: _why_not(known[name], snapshot, driver, mesh, held=held.get(name, ""), early=said.early.get(name, ""))
        for name in members
        if name in known
    }
    moves = [name for name, why in left.items() if not why]
    critical = [name for name in moves if known[name].critical]
    check(agreed, snapshot, driver, to=to, agreed=critical, left=left)
    stay = {
        name: pins[name][0] if name in pins else asked(known[name], snapshot, driver)
        for name, why in left.items()
        if why
    }
    mesh = _keeping(mesh, stay.values(), driver.installed(snapshot))
    waves = _waves(agreed, critical, known)
    beside = driver.gateway_beside(book.ingress, mesh, snapshot) if book.ingress is not None else None
    weights = WEIGHTS if beside is not None and not beside.blocked else ()
    qualify = [known[name] for name in critical]
    whole = comparing.moved_whole(agreed, snapshot, driver, qualify, compare=compare)
    stages, dropped = _stages(agreed, waves, soak_s=soak_s, keep_s=keep_s, weights=weights, hold=not whole)
    said_of_gateway = (
        (f"the gateway moves in place, pod by pod: {beside.blocked}",) if beside and beside.blocked else ()
    )
    waivers, gone = _waivers(book, stages)
    made = replace(
        book,
        cluster_uid=book.cluster_uid or snapshot.cluster_uid,
        name=f"{book.name.partition('-to-')[0]}-to-{mesh.revision}",
        path="",
        digest="",
        lock_digest="",
        mesh=mesh,
        ingress=replace(book.ingress, handoff=None) if book.ingress is not None else None,
        waves=waves,
        stages=stages,
        waivers=waivers,
    )
    return Upgrade(
        before=book.mesh,
        book=made,
        state=state_of(record_of(snapshot, to)),
        qualifies=tuple((name, known[name].owner) for name in critical),
        judged=comparing.said(book, driver, qualify, whole),
        left=tuple((name, why) for name, why in left.items() if why),
        notes=(*said.notes, *said_of_gateway, *dropped, *gone, *_noted(book, mesh, snapshot)),
    )


def _members(book: Runbook) -> Iterator[str]:
    """Give the services of waves that enrol, in the order they moved."""
    by_name = {each.name: each for each in book.waves}
    for stage in book.stages:
        if _has(stage, "enrol"):
            for name in stage.waves:
                yield from by_name[name].services


def _has(stage: Stage, step: str) -> bool:
    return any(each.kind == step for each in stage.steps)


def _why_not(service: Service, snapshot: Snapshot, driver: Driver, mesh: Mesh, *, held: str, early: str) -> str:
    """Say why a service does not move now, "" = it does. An upgrade enrols nobody who is not in the mesh yet."""
    if service.opt_in is None:
        return early or "its owner did not opt in"
    if held or early:
        return held or early
    workload = snapshot.get(service.workload)
    if workload is None:
        return f"{service.workload} is not in the cluster"
    now = driver.enrolment(workload, snapshot, None)
    if not now.revision_before:
        return "it is not in the mesh yet; the runbook that onboards it moves it"
    wanted = driver.enrolment(workload, snapshot, mesh.revision)
    return now.blocked or (wanted.blocked if wanted.tag is None else "")


def _mesh(before: Mesh, *, to: str, manifests: str) -> Mesh:
    revision = revision_of(to)
    values: Mapping[str, Any] = _renamed(before.values, before, release=to, revision=revision)
    source = Manifests(source=before.manifests.source, path=manifests or before.manifests.path)
    kept = tuple(each for each in before.keep_revisions if each != revision)
    return replace(before, release=to, revision=revision, manifests=source, values=values, keep_revisions=kept)


def _renamed(value: Any, before: Mesh, *, release: str, revision: str) -> Any:
    """Give chart values that name the old release (an image's tag) or its revision (the default validator's) with the new ones."""
    if isinstance(value, Mapping):
        return {key: _renamed(each, before, release=release, revision=revision) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_renamed(each, before, release=release, revision=revision) for each in value]
    if value == before.revision:
        return revision
    return value.replace(before.release, release) if isinstance(value, str) else value


def _keeping(mesh: Mesh, revisions: Iterable[str], installed: Container[str]) -> Mesh:
    """Keep the revisions of those who stay: a pin's is its owner's way back, and nobody is left without a control plane."""
    kept = {each for each in revisions if each in installed and each != mesh.revision}
    return replace(mesh, keep_revisions=tuple(dict.fromkeys([*mesh.keep_revisions, *sorted(kept)])))


def _waves(book: Runbook, critical: Sequence[str], known: dict[str, Service]) -> tuple[Wave, ...]:
    """Give the qualifying wave, then the waves of the runbook in their order without those who are in it.

    Who is held back now stays in a wave: a later plan takes them along.
    """
    by_name = {each.name: each for each in book.waves}
    others = {each.name for each in book.waves if not each.qualifies}
    found = [Wave(name=_free(CRITICAL, others), services=tuple(critical), qualifies=True)]
    late: list[str] = []
    placed = set(critical)
    for stage in book.stages:
        for name in stage.waves if _has(stage, "enrol") else ():
            wave = by_name[name]
            rest = tuple(each for each in dict.fromkeys(wave.services) if each in known and each not in placed)
            placed.update(rest)
            if wave.qualifies:
                late += rest
            elif rest:
                found.append(replace(wave, services=rest, selector=None, at=None))
    return (*found, Wave(name=_free(LATER, others), services=tuple(late))) if late else tuple(found)


def _free(name: str, taken: Container[str]) -> str:
    return next(
        each
        for each in itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
        if each not in taken
    )


def _stages(
    book: Runbook, waves: Sequence[Wave], *, soak_s: float, keep_s: float, weights: Sequence[int], hold: bool
) -> tuple[tuple[Stage, ...], tuple[str, ...]]:
    """Give the stages, and what of the runbook's is not repeated.

    What nothing but reads stands first, a preflight among it in any case; then the control plane beside the old one, the
    qualifying wave, the gateway, the other waves, and, once the old revision was kept for long enough and nothing uses it,
    its removal. weights: of the gateway's traffic, () = it moves in place; else its own Deployment serves again before that.
    hold: the qualifying wave is compared half-way; the others are as the runbook has them.
    """
    moving = next(each for each in book.stages if _has(each, "enrol"))
    install = next((each for each in book.stages if _has(each, "install-control-plane")), None)
    gateway = next((each for each in book.stages if _has(each, "ingress-gateway")), None)
    least = next((each for each in book.stages if _has(each, MINIMISE)), None)
    first = [each for each in book.stages[: book.stages.index(install or moving)] if not each.steps]
    if not any(gate.kind == Preflight.kind for each in first for gate in (*each.before, *each.gates)):
        looked = GateSpec(kind=Preflight.kind, params={}, patience=Preflight.patience)
        first = [
            Stage(name=_free(PREFLIGHT, {each.name for each in book.stages}), steps=(), gates=(), before=(looked,)),
            *first,
        ]
    installs = (_step("install-control-plane"), *((_step(ENDPOINT_COUNTS),) if hold else ()))
    found = [*first, Stage(name=CONTROL_PLANE, steps=installs, gates=_ready(install))]
    gates = _with_right(comparing.gates_of([each for each in moving.gates if each.kind != Soak.kind], hold=hold))
    before = tuple(each for each in moving.before if each.kind != Soak.kind)
    arrived = tuple(each for each in gates if each.kind in STRUCTURAL)
    judged = tuple(each for each in gates if each.kind not in STRUCTURAL)
    wait = (_soak(soak_s),) if soak_s else ()
    first_waves = tuple(each.name for each in waves if each.qualifies)
    if hold:
        # Whoever must agree does so before the pods are made anew: they are young for minutes only.
        found.append(
            Stage(name=FRESHEN, waves=first_waves, before=before, steps=(_step(FRESHEN),), gates=_ready(moving))
        )
    found.append(
        Stage(
            name=QUALIFY,
            waves=first_waves,
            before=() if hold else before,
            steps=comparing.steps_of(moving, hold=hold),
            gates=(*arrived, *wait, *judged),
            on_fail=moving.on_fail,
        )
    )
    own: tuple[StepSpec, ...] = ()
    if gateway is not None and book.ingress is not None:
        own = tuple(_in_place(each) for each in gateway.steps if each.kind == "ingress-gateway")
        if weights:
            gateway = replace(gateway, gates=_and(gateway.gates, [each for each in gates if each.kind in SERVES]))
        by_weight = tuple(replace(each, params={**each.params, "weights": list(weights)}) for each in own)
        steps = by_weight if weights else own
        found.append(Stage(name=GATEWAY, steps=steps, gates=gateway.gates, on_fail=gateway.on_fail))
    others = tuple(each.name for each in waves if not each.qualifies)
    if others:
        found.append(_spread(book, moving, others))
    steps = tuple(each for each in least.steps if each.kind == MINIMISE) if least is not None else (_step(MINIMISE),)
    unused = GateSpec(kind=RevisionsUnused.kind, params={}, patience=RevisionsUnused.patience)
    kept = (_soak(keep_s),) if keep_s else ()
    if gateway is not None and own and weights:
        found.append(Stage(name=GATEWAY_OWN, before=kept, steps=own, gates=gateway.gates, on_fail=gateway.on_fail))
        kept = ()
    asked = tuple(
        each for each in (least.before if least is not None else ()) if each.kind not in (Soak.kind, unused.kind)
    )
    found.append(Stage(name=MINIMISE, before=(*kept, unused, *asked), steps=steps, gates=least.gates if least else ()))
    used = {moving.name, *(each.name for each in (install, gateway, least) if each is not None)}
    dropped = [
        each.name
        for each in book.stages
        if each.steps and each.name not in used and not _has(each, "enrol") and not _has(each, "ingress-gateway")
    ]
    said = (f"not repeated, as it is done and stays: {', '.join(dropped)}",) if dropped else ()
    return tuple(_bare(each) for each in found), said


def _in_place(step: StepSpec) -> StepSpec:
    return replace(step, params={key: value for key, value in step.params.items() if key != "weights"})


def _and(gates: Sequence[GateSpec], more: Iterable[GateSpec]) -> tuple[GateSpec, ...]:
    """Give gates, and before them those of others whose kind is not among them."""
    there = {each.kind for each in gates}
    return (*(each for each in more if each.kind not in there), *gates)


def _spread(book: Runbook, moving: Stage, waves: tuple[str, ...]) -> Stage:
    """Give the stage of everybody else, as the runbook moved those who qualified nothing."""
    qualifying = {each.name for each in book.waves if each.qualifies}
    enrol = [each for each in book.stages if _has(each, "enrol")]
    wide = next((each for each in enrol if set(each.waves) - qualifying), moving)
    return Stage(
        name=SPREAD,
        waves=waves,
        before=tuple(each for each in wide.before if each.kind != Soak.kind),
        steps=wide.steps,
        gates=_with_right([each for each in wide.gates if each.kind != Soak.kind]),
        on_fail=wide.on_fail,
    )


def _step(kind: str) -> StepSpec:
    return StepSpec(kind=kind, params={})


def _soak(seconds: float) -> GateSpec:
    """Give a soak that is asked often enough to be seen passing, and not thousands of times."""
    every = min(600.0, max(15.0, float(round(seconds / 60))))
    return GateSpec(
        kind=Soak.kind,
        params={"for": float(seconds)},
        patience=Patience(limit_s=max(14 * 86400.0, 2 * seconds), every_s=every, in_a_row=1),
    )


def _ready(install: Stage | None) -> tuple[GateSpec, ...]:
    found = tuple(each for each in (install.gates if install is not None else ()) if each.kind == READY.kind)
    return found or (READY,)


def _with_right(gates: Sequence[GateSpec]) -> tuple[GateSpec, ...]:
    """Give gates that certainly look at what the pods run: nothing else tells that a wave moved at all."""
    if any(each.kind == ProxiesRight.kind for each in gates):
        return tuple(gates)
    right = GateSpec(kind=ProxiesRight.kind, params={}, patience=Patience(limit_s=900, every_s=5, in_a_row=2))
    return (right, *gates)


def _bare(stage: Stage) -> Stage:
    """Give a stage without the lines of the file it was read from."""

    def gates(several: Sequence[GateSpec]) -> tuple[GateSpec, ...]:
        return tuple(replace(each, at=None) for each in several)

    steps = tuple(replace(each, at=None) for each in stage.steps)
    return replace(stage, at=None, steps=steps, gates=gates(stage.gates), before=gates(stage.before))


def _waivers(book: Runbook, stages: Sequence[Stage]) -> tuple[tuple[Waiver, ...], tuple[str, ...]]:
    """Take over the waivers of stages that are repeated under their old name; a skip is never widened to another."""
    names = {each.name for each in stages}
    kept = tuple(replace(each, at=None) for each in book.waivers if each.stage in names)
    gone = [f"{each.gate} of {each.stage} ({each.owner})" for each in book.waivers if each.stage not in names]
    return kept, tuple(f"not taken over: the waiver of {each}; write it anew if it is meant here too" for each in gone)


def _noted(book: Runbook, mesh: Mesh, snapshot: Snapshot) -> Iterator[str]:
    old = record_of(snapshot, book.mesh.release)
    if old is not None and old.state != "supported":
        yield (
            f"{old.version} is {old.state}, so no owner could go back to it by themselves; if they may: "
            f"meshup releases promote {old.version}"
        )
    if book.ingress is not None and book.ingress.handoff is not None:
        yield "the handoff of real traffic to the ingress is not repeated"
    if mesh.values != book.mesh.values:
        yield f"values that named {book.mesh.release} or {book.mesh.revision} name {mesh.release} and {mesh.revision}"
    if mesh.values.get("defaultRevision") == mesh.revision:
        yield f"the default validator is repointed to {mesh.revision} when its control plane is installed"
    yield f"once it is done, {book.path or 'the old runbook'} is history: applying it would be refused, as proxies are ahead of it"
