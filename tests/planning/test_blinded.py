"""A gate that could never hold is found while planning, not after a wave has moved and waited."""

from __future__ import annotations

import pytest
from seen import snapshot

from meshup.cli.kinds import kinds
from meshup.engine.findings import blinded
from meshup.engine.propose import propose
from meshup.gates.grouped import LEAST_WINDOW_S
from meshup.meshes import BUILT_IN
from meshup.model.plan import PlannedGate, PlannedStage, PlannedWave
from meshup.model.verdict import Patience
from meshup.runbook import load, write

DRIVER = BUILT_IN[0]


def found(*, window_s: float, prometheus: bool, kind: str):
    """Look at a plan of one gate, for a runbook with or without a Prometheus."""
    text = write.text(propose(snapshot([]), DRIVER, release="1.30.3"))
    text += "\nmetrics: {service: monitoring/prometheus:9090}\n" if prometheus else ""
    book = load.load(text.encode(), name="meshup.yaml", kinds=kinds()).runbook
    gate = PlannedGate(id="g", kind=kind, title="", params={}, patience=Patience(window_s=window_s), line=7)
    wave = PlannedWave(
        name="wave-1", opening=(), before=(), changes=(), gates=(gate,), closing=(), services=(), settle=Patience()
    )
    return list(blinded(book, [PlannedStage(name="onboard", waves=(wave,))], DRIVER))


@pytest.mark.parametrize(
    ("window_s", "prometheus", "kind", "codes"),
    [
        (LEAST_WINDOW_S - 1, True, "success-rate", ["MU2128"]),
        (LEAST_WINDOW_S - 1, True, "latency", ["MU2128"]),
        (LEAST_WINDOW_S, True, "success-rate", []),
        (0.0, True, "success-rate", []),  # since the wave began, however long that is
        (LEAST_WINDOW_S - 1, False, "success-rate", []),  # pages are read at any distance
        (LEAST_WINDOW_S - 1, True, "proxies-in-sync", []),
    ],
)
def test_a_window_too_short_for_a_rate_blocks_the_plan_and_names_its_line(window_s, prometheus, kind, codes):
    problems = found(window_s=window_s, prometheus=prometheus, kind=kind)
    assert [each.code for each in problems] == codes
    assert all((each.at.file, each.at.line) == ("meshup.yaml", 7) for each in problems)
