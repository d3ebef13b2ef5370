"""The recorded cases against a real API server and against the simulator, through the same transport."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.providers import Reached
from meshup.cluster.https import HttpsTransport
from meshup.cluster.kubeconfig import Choice, access
from meshup.model.transport import Request, Transport
from meshup.simulate.api.server import ApiServer
from meshup.simulate.clock import VirtualClock
from tests.conformance.comparing import DIFFERENCES, TARGET, differences
from tests.conformance.playing import cases, known, load, play

pytestmark = pytest.mark.e2e
JSON = {"accept": "application/json"}
NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def real(api_server: Reached) -> tuple[Transport, str]:
    """A transport to the real server, and what it is called in the report."""
    transport = HttpsTransport(access(Choice(kubeconfig=str(api_server.kubeconfig))))
    version = json.loads(transport.send(Request(method="GET", path="/version", headers=JSON)).body)["gitVersion"]
    return transport, f"a real API server {version}"


@pytest.fixture
def namespace(real: tuple[Transport, str]) -> Iterator[str]:
    """The name of a namespace that a case may make on the real server; deleted after."""
    name = f"conf-{time.time_ns() % 10**6:x}{next(NUMBERS):03d}"
    yield name
    real[0].send(Request(method="DELETE", path=f"/api/v1/namespaces/{name}", headers=JSON))


@pytest.mark.parametrize("path", cases(), ids=lambda path: path.stem)
def test_a_real_server_answers_as_recorded(
    path: Path, real: tuple[Transport, str], namespace: str, record_property: Callable[[str, Any], None]
) -> None:
    case = load(path)
    transport, called = real
    record_property(TARGET, called)
    found = differences(case, play(case, transport, namespace, time.sleep))
    record_property(DIFFERENCES, len(found))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path", cases(), ids=lambda path: path.stem)
def test_the_simulator_answers_as_recorded(path: Path, record_property: Callable[[str, Any], None]) -> None:
    case = load(path)
    clock = VirtualClock()
    record_property(TARGET, "the simulator")
    found = differences(case, play(case, ApiServer(clock), "conf-abc001", clock.advance))
    record_property(DIFFERENCES, 0 if path.stem in known() else len(found))
    assert path.stem in known() or not found, "\n".join(found)
