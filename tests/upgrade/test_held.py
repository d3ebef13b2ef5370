"""Services that meshup enrolled itself are held half-way by the next upgrade, and nothing but what was meant becomes meshup's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml
from onboarded import NEW, OLD, Onboarded, critical, onboarded

from meshup.cluster.ports import MANAGER
from meshup.model.objects import TEMPLATE_PATH, dig
from meshup.model.problem import Exit
from meshup.model.runbook import GateSpec, Runbook
from meshup.model.verdict import Patience
from meshup.simulate.scenario import read

CANARY = GateSpec(kind="canary", params={"metrics": ["errors"]}, patience=Patience(limit_s=60, every_s=15, in_a_row=1))


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Onboarded:
    """A wave that is held half-way: its control pods are much older, so nothing compares, and the run ends with 3."""
    path = tmp_path_factory.mktemp("world") / "watched.yaml"
    path.write_text(yaml.safe_dump({**read("noisy"), "noise": False}), "utf-8")
    made = onboarded(str(path))
    outcome = made.apply(holding(made.written()))
    assert (outcome.exit, outcome.stopped) == (Exit.GATE_HELD, "qualify/critical"), outcome.why
    return made


def holding(book: Runbook) -> Runbook:
    """The same runbook, every wave of which is held half-way and compared."""

    def stage(each: Any) -> Any:
        if not any(step.kind == "enrol" for step in each.steps):
            return each
        steps = tuple(replace(step, params={**step.params, "hold": True}) for step in each.steps)
        return replace(each, steps=steps, gates=(CANARY, *each.gates))

    return replace(book, stages=tuple(stage(each) for each in book.stages))


def template(made: Onboarded, service: str) -> Any:
    namespace, _, name = service.partition("/")
    return made.simulation.server.objects.get("deployments.apps", namespace, name)


def owned(live: Any, *path: str) -> set[str]:
    """Give what is meshup's at one place, whatever stands below it."""
    several = [each["fieldsV1"] for each in live["metadata"]["managedFields"] if each["manager"] == MANAGER]
    return {key for each in several for key in dig(each, *(f"f:{step}" for step in path)) or {}}


def test_a_held_wave_moves_labels_and_takes_no_other_field_of_the_template(held: Onboarded) -> None:
    for service in sorted(critical(held.book)):
        live = template(held, service)
        assert live["spec"]["template"]["metadata"]["labels"]["istio.io/rev"] == "1-31-0"
        assert live["spec"]["minReadySeconds"] > 0
        assert owned(live, *TEMPLATE_PATH["Deployment"]) == {"f:metadata"}, "the pod's own fields stay its owner's"
        assert set(held.runs()[service]) == {OLD, NEW}, "both revisions serve at once"
