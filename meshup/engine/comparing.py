"""Comparing two revisions while both serve: whether an upgrade can, the stages that do, and what a plan says of it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from meshup.engine.running import asked
from meshup.gates.canary.gate import Canary
from meshup.gates.finding import MOST_SCRAPED
from meshup.gates.sources import PAGES, source
from meshup.meshes.driver import ENDPOINT_COUNTS, Driver
from meshup.model.objects import dig
from meshup.model.plan import PlannedGate
from meshup.model.problem import UsageError
from meshup.model.runbook import GateSpec, Runbook, Service, Stage, StepSpec
from meshup.model.snapshot import Snapshot
from meshup.model.text import amount
from meshup.steps.enrol import Enrol
from meshup.steps.halfway import held

COMPARE = ("auto", "always", "never")
"""auto: where `why_not` finds nothing and a Prometheus is named, as pages see a few pods only, and too little traffic holds."""


def moved_whole(book: Runbook, snapshot: Snapshot, driver: Driver, services: Sequence[Service], *, compare: str) -> str:
    """Say why the services move whole, "" = they are compared half-way. Raises UsageError (MU3608) where they must be and can't."""
    if compare == "never":
        return "--compare never"
    why = why_not(book, snapshot, driver, services)
    if why and compare == "always":
        crowded = source(book, driver) == PAGES and _too_many(book, snapshot, driver, services) == why
        named = f"name one in {book.path or 'the runbook'}: metrics: {{service: NAMESPACE/NAME:PORT}}"
        mend = named if crowded else "mend it"
        raise UsageError(
            "the critical services can't be compared half-way",
            code="MU3608",
            why=why,
            fix=f"{mend}, or leave --compare always out: then they are judged after they moved",
            cluster="only read",
        )
    if not why and compare == "auto" and source(book, driver) == PAGES:
        return "the runbook names no Prometheus (metrics.service); by the proxies' own pages: --compare always"
    return why


def why_not(book: Runbook, snapshot: Snapshot, driver: Driver, services: Sequence[Service]) -> str:
    """Say what keeps two revisions of these services from serving at once, or from being told apart; "" = nothing."""
    if not {ENDPOINT_COUNTS, *Canary.needs} <= driver.capabilities:
        return f"proxies of {driver.name} don't count by the pod they call"
    if source(book, driver) == PAGES and (why := _too_many(book, snapshot, driver, services)):
        return why
    reasons = [f"{each.id}: {why}" for each in services if (why := _whole(each, snapshot))]
    return "; ".join(reasons[:3]) + (f" and {len(reasons) - 3} more" if len(reasons) > 3 else "")


def _too_many(book: Runbook, snapshot: Snapshot, driver: Driver, services: Sequence[Service]) -> str:
    """Say why proxies' own pages would leave somebody out: one of each revision, and of each caller, is read; "" = they do not."""
    compared = {each.id for each in services}
    callers = [each for each in book.services if each.id not in compared and asked(each, snapshot, driver)]
    needed = 2 * len(services) + len(callers) + int(book.ingress is not None)
    if needed <= MOST_SCRAPED:
        return ""
    return (
        f"the runbook names no Prometheus (metrics.service), and of proxies' own pages {needed} would be needed, one of each "
        f"revision and of every caller: at most {MOST_SCRAPED} are read"
    )


def _whole(service: Service, snapshot: Snapshot) -> str:
    """Say why a service moves as a whole, so that no moment has both revisions of it; "" = it can be held."""
    workload = snapshot.get(service.workload) or {}
    hold, replicas = held(workload), dig(workload, "spec", "replicas")
    if hold.refused:
        return hold.refused
    if workload.get("kind") not in ("Deployment", "StatefulSet"):
        return f"a {workload.get('kind')} is moved whole"
    pods = 1 if replicas is None else int(replicas)
    return "" if pods > 1 else f"it has {amount(pods, 'pod')}, so one revision of it serves at a time"


def said(book: Runbook, driver: Driver, services: Sequence[Service], why: str) -> str:
    """Say how the critical services are judged. why: as `moved_whole` gives it."""
    if why:
        return f"after they moved, by themselves alone; both revisions are not compared: {why}"
    names = ", ".join(each.id for each in services)
    where = source(book, driver)
    of = f" of at most {MOST_SCRAPED} pods" if where == PAGES else ""
    return (
        f"half-way, while both revisions of {names} serve: callers' requests by the pod they call, and both revisions' own "
        f"counts, from {where}{of}; then the rest of them moves"
    )


def steps_of(stage: Stage, *, hold: bool) -> tuple[StepSpec, ...]:
    """Give the steps of a stage that enrols, with or without the hold."""

    def held_or_not(each: StepSpec) -> StepSpec:
        if each.kind != Enrol.kind:
            return each
        params: dict[str, Any] = {name: value for name, value in each.params.items() if name != "hold"}
        return replace(each, params={**params, "hold": True} if hold else params)

    return tuple(held_or_not(each) for each in stage.steps)


def gates_of(gates: Sequence[GateSpec], *, hold: bool) -> tuple[GateSpec, ...]:
    """Give gates with the one that compares, or without any: what people said of it is kept."""
    own = tuple(each for each in gates if each.kind == Canary.kind)
    rest = tuple(each for each in gates if each.kind != Canary.kind)
    usual = (GateSpec(kind=Canary.kind, params={}, patience=Canary.patience),)
    return (*(own or usual), *rest) if hold else rest


def about_held(gate: PlannedGate, services: tuple[str, ...], held: Collection[str]) -> PlannedGate:
    """Let a gate that compares be about those that are held alone: who moved earlier runs one revision."""
    about = gate.services or services
    kept = tuple(each for each in about if each in held)
    return gate if kept == about else replace(gate, services=kept)
