"""What keeps a plan from being performed, found while planning. Pure; each finding says what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from meshup.engine.draft import Drafting
from meshup.engine.send import foreign_fields
from meshup.gates.evidence.checking import Facts, told, unfit, unfit_for_pages
from meshup.gates.finding import MOST_SCRAPED
from meshup.gates.gate import Gate
from meshup.gates.grouped import LEAST_WINDOW_S
from meshup.gates.sources import PAGES, source
from meshup.meshes.driver import Driver
from meshup.model.change import Apply, Label
from meshup.model.objects import Ref
from meshup.model.plan import PlannedChange, PlannedStage
from meshup.model.problem import Problem, Where
from meshup.model.runbook import Runbook
from meshup.model.snapshot import Snapshot
from meshup.model.text import clean

OVER_A_WINDOW = frozenset({"success-rate", "latency", "new-connections"})
"""Gates whose counts a Prometheus gives as those of a window."""


def _at(on: Ref) -> Where:
    return Where(object=str(on))


def unmade(changes: Sequence[PlannedChange]) -> Iterator[Problem]:
    """Name changes whose kind or namespace is not there, and which nothing makes before them."""
    for each in changes:
        if each.known == "after:?":
            yield Problem(
                code="MU2121",
                what=f"{each.change.on} can't be made: the server lacks its kind or namespace, and no earlier step makes it",
                at=_at(each.change.on),
                why=f"{each.change.on.api_version} {each.change.on.kind}, namespace {each.change.on.namespace or '-'}",
                fix="install the definition or make the namespace first, then: meshup plan",
            )


def conflicts(changes: Sequence[PlannedChange], snapshot: Snapshot) -> Iterator[Problem]:
    """Name planned fields that another manager owns and the plan does not take."""
    for each in changes:
        answer = snapshot.dry_runs.get(each.id)
        force = each.change.force if isinstance(each.change, Apply | Label) else ()
        for manager, field in foreign_fields(answer.conflicts, force) if answer is not None else ():
            yield Problem(
                code="MU2122",
                what=f'{each.change.on}: {field.lstrip(".")} is owned by "{clean(manager)}"',
                at=_at(each.change.on),
                why="a field that another manager owns is only taken when the plan lists it",
                fix=f'agree with the owner of "{clean(manager)}", or leave the service out; then: meshup plan',
            )


def refusals(changes: Sequence[PlannedChange], snapshot: Snapshot) -> Iterator[Problem]:
    """Name writes that the server, or an admission rule, would refuse."""
    for each in changes:
        answer = snapshot.dry_runs.get(each.id)
        if answer is not None and answer.refused and answer.known == "server":
            yield Problem(
                code="MU2123",
                what=f"{each.change.on} would be refused",
                at=_at(each.change.on),
                why=clean(answer.refused, limit=400),
                fix="mend what it names, then: meshup plan",
            )


def pods(drafting: Drafting, snapshot: Snapshot) -> Iterator[Problem]:
    """Name services whose pods would not come up in the mesh as planned."""
    revision = drafting.book.mesh.revision
    for service, found in sorted(snapshot.pod_probes.items()):
        at = Where(object=service)
        if found.revision == "not checked":
            continue
        if found.refused:
            yield Problem(
                code="MU2124",
                what=f"pods of {service} would be refused",
                at=at,
                why=clean(found.refused, limit=400),
                fix="mend what it names, then: meshup plan",
            )
        elif not found.injected:
            yield Problem(
                code="MU2125",
                what=f"pods of {service} would come up without a proxy",
                at=at,
                why=f"a dry-run Pod with the planned labels came back bare; revision {revision} is installed",
                fix="look at the labels of its namespace and at the injector's selectors, then: meshup plan",
            )
        elif found.revision and found.revision != revision:
            yield Problem(
                code="MU2126",
                what=f"pods of {service} would get revision {clean(found.revision)}, not {revision}",
                at=at,
                why="another label, most often its namespace's, beats the label on the pod",
                fix="take the label off the namespace first, then: meshup plan",
            )


def budget(cost: Mapping[str, float], drafting: Drafting) -> Iterator[Problem]:
    """Name budgets of the runbook that performing the plan would exceed."""
    budgets = drafting.book.budgets
    bounds = (
        ("memory", cost.get("memory_mib", 0.0), float(budgets.memory_mib), "MiB"),
        ("cpu", cost.get("cpu_m", 0.0), float(budgets.cpu_m), "m"),
        ("restarts", cost.get("restarts", 0.0), float(budgets.restarts), " pods"),
    )
    for name, value, bound, unit in bounds:
        if bound and value > bound:
            yield Problem(
                code="MU2127",
                what=f"the plan needs {value:.0f}{unit} of {name}, the budget is {bound:.0f}{unit}",
                at=Where(file=drafting.book.path),
                fix="make the waves smaller, or raise the budget in the runbook; then: meshup plan",
            )


def taken(changes: Sequence[PlannedChange], snapshot: Snapshot) -> Iterator[str]:
    """Say which fields the plan takes from another manager, one line each."""
    for each in changes:
        answer = snapshot.dry_runs.get(each.id)
        if answer is None or not isinstance(each.change, Apply | Label):
            continue
        allowed = foreign_fields(answer.conflicts, ())
        refused = foreign_fields(answer.conflicts, each.change.force)
        for manager, field in allowed:
            if (manager, field) not in refused:
                yield f'{each.change.on}: {field.lstrip(".")} is taken from "{clean(manager)}"'


def pretended(book: Runbook, snapshot: Snapshot) -> Iterator[Problem]:
    """Find stand-in manifests planned for a real cluster."""
    if book.mesh.manifests.source == "stand-in" and not snapshot.simulator:
        yield Problem(
            code="MU2203",
            what="the runbook uses stand-in manifests, and this is not the simulator",
            why="stand-ins only pretend to be a mesh",
            fix="set mesh.manifests.from to istioctl, helm or directory, then: meshup plan",
            at=Where(object="mesh.manifests"),
        )


def unanswered(
    book: Runbook, stages: Iterable[PlannedStage], gates: Mapping[str, Gate], driver: Driver, facts: Facts | None
) -> Iterator[Problem]:
    """Find gates that compare and would stay unknown, as the Prometheus, or the pages, that they ask can't tell them enough."""
    for stage in stages:
        for wave in stage.waves:
            for each in wave.asks():
                if each.waived or not compares(gates[each.kind]):
                    continue
                found = list(unfit(facts, each.params, each.patience)) if facts is not None else []
                if source(book, driver) == PAGES:
                    found = list(unfit_for_pages(driver.comparison(), each.params, len(wave.services)))
                for one in found:
                    yield Problem(
                        code="MU2129",
                        what=f"gate {each.kind} of {stage.name} would stay unknown: {one.what}",
                        why=one.why,
                        fix=f"{one.fix}; then: meshup plan",
                        at=Where(file=book.path, line=each.line),
                    )


def compared_by(
    book: Runbook, stages: Iterable[PlannedStage], gates: Mapping[str, Gate], driver: Driver, facts: Facts | None
) -> Iterator[str]:
    """Say which metrics a gate that compares will be told by which family, once for all that ask for the same."""
    planned = [gate for stage in stages for wave in stage.waves for gate in (*wave.halfway, *wave.gates)]
    asked = dict.fromkeys(tuple(gate.params.get("metrics") or ()) for gate in planned if compares(gates[gate.kind]))
    low = [each for each in book.services if each.low_traffic is not None and each.opt_in is not None]
    if asked and low:
        names = ", ".join(each.id for each in low[:5]) + (f" and {len(low) - 5} more" if len(low) > 5 else "")
        yield f"{names}: little traffic is declared, so probed with GETs at its pods, no statistical evidence"
    if asked and source(book, driver) == PAGES:
        yield f"both revisions are compared by {PAGES}: of at most {MOST_SCRAPED} pods, some of every revision and caller"
    for metrics in asked:
        words = told(facts, metrics) if facts is not None else ""
        if words:
            yield f"both revisions are compared by {words}"
        elif facts is not None and not facts.proxies:
            yield "what both revisions are compared by is known once a proxy runs"


def compares(gate: Gate) -> bool:
    """Tell whether a gate compares what is half-way, so that it needs samples of both revisions."""
    return bool(getattr(gate, "halfway", False))


def blinded(book: Runbook, stages: Iterable[PlannedStage], driver: Driver) -> Iterator[Problem]:
    """Find gates that could never hold: their window is too short for the rate that a Prometheus gives."""
    if source(book, driver) == PAGES:
        return
    for stage in stages:
        for wave in stage.waves:
            for each in wave.asks():
                if each.kind in OVER_A_WINDOW and 0 < each.patience.window_s < LEAST_WINDOW_S:
                    yield Problem(
                        code="MU2128",
                        what=f"gate {each.kind} of {stage.name} asks for {each.patience.window_s:.0f} s of samples",
                        why=f"a rate from a Prometheus needs {LEAST_WINDOW_S:.0f} s, so it would stay unknown and hold",
                        fix=f"patience.window of at least {LEAST_WINDOW_S:.0f}s in the runbook, then: meshup plan",
                        at=Where(file=book.path, line=each.line),
                    )
