"""The simulator answers as a real API server did when the cases were recorded."""

from __future__ import annotations

import pytest

from meshup.simulate.api.server import ApiServer
from meshup.simulate.clock import VirtualClock
from tests.conformance.comparing import DIFFERENCES, TARGET, differences
from tests.conformance.playing import cases, known, load, play


@pytest.mark.parametrize("path", cases(), ids=lambda path: path.stem)
def test_the_simulator_answers_as_recorded(path, record_property):
    case = load(path)
    clock = VirtualClock()
    record_property(TARGET, "the simulator")
    answers = play(case, ApiServer(clock), "conf-abc001", clock.advance)
    found = differences(case, answers)
    if path.stem in known():
        record_property(DIFFERENCES, 0)
        assert found, "no longer differs: take it out of known-differences.yaml"
        return
    record_property(DIFFERENCES, len(found))
    assert not found, "\n".join(found)
