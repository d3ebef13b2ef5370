"""The simulator answers as a real API server did when the cases were recorded."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from playing import cases, known, load, play

from meshup.simulate.api.server import ApiServer
from meshup.simulate.clock import VirtualClock

REAL = os.environ.get("MESHUP_CONFORMANCE_KUBECONFIG")


def differences(case: dict, answers: list) -> list[str]:
    found = []
    for number, (step, answer) in enumerate(zip(case["steps"], answers, strict=True)):
        _compare(step["answer"], answer, f"step {number}", found)
    return found


def _compare(wanted: object, got: object, at: str, into: list[str]) -> None:
    if isinstance(wanted, dict) and isinstance(got, dict):
        for key in {**wanted, **got}:
            if key not in wanted:
                into.append(f"{at}.{key}: not there, got {json.dumps(got[key])[:300]}")
            elif key not in got:
                into.append(f"{at}.{key}: missing, wanted {json.dumps(wanted[key])[:300]}")
            else:
                _compare(wanted[key], got[key], f"{at}.{key}", into)
    elif isinstance(wanted, list) and isinstance(got, list) and len(wanted) == len(got):
        for number, (left, right) in enumerate(zip(wanted, got, strict=True)):
            _compare(left, right, f"{at}[{number}]", into)
    elif wanted != got:
        into.append(f"{at}: wanted {json.dumps(wanted)[:400]}, got {json.dumps(got)[:400]}")


@pytest.mark.parametrize("path", cases(), ids=lambda path: path.stem)
def test_the_simulator_answers_as_recorded(path):
    case = load(path)
    clock = VirtualClock()
    answers = play(case, ApiServer(clock), "conf-abc001", clock.advance)
    found = differences(case, answers)
    if path.stem in known():
        assert found, "no longer differs: take it out of known-differences.yaml"
        return
    assert not found, "\n".join(found)


@pytest.mark.skipif(not REAL, reason="MESHUP_CONFORMANCE_KUBECONFIG names no real cluster")
@pytest.mark.parametrize("path", cases(), ids=lambda path: path.stem)
def test_a_real_server_answers_as_recorded(path):
    from meshup.cluster.https import HttpsTransport
    from meshup.cluster.kubeconfig import Choice, access

    case = load(path)
    transport = HttpsTransport(access(Choice(kubeconfig=REAL)))
    answers = play(case, transport, f"conf-{time.time_ns() % 10**9:x}", time.sleep)
    found = differences(case, answers)
    assert not found, "\n".join(found)
