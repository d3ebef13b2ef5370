"""A service with little traffic is declared in the runbook with what it is probed by, and stays so when it is written again."""

from __future__ import annotations

import pytest
import yaml

from meshup.cli.kinds import kinds
from meshup.model.runbook import Probe
from meshup.runbook.load import load
from meshup.runbook.write import service_row


def loaded(low):
    service = {"name": "cart", "namespace": "shop", "workload": "Deployment/cart", "owner": "a", "lowTraffic": low}
    mesh = {"driver": "istio", "release": "1.30.3", "revision": "1-30-3", "manifests": {"from": "stand-in"}}
    book = {"apiVersion": "meshup.dev/v1", "kind": "Runbook", "metadata": {"name": "x"}, "mesh": mesh}
    book |= {"services": [service], "waves": [], "stages": [{"name": "preflight", "before": [{"preflight": {}}]}]}
    return load(yaml.safe_dump(book).encode(), name="book.yaml", kinds=kinds())


@pytest.mark.parametrize(
    ("low", "probe"),
    [
        ({"path": "/healthz", "port": 8080}, Probe(path="/healthz", port=8080)),
        ({"path": "/", "port": 80, "expect": 204}, Probe(path="/", port=80, expect=204)),
    ],
)
def test_it_is_read_and_written_again_as_it_stood(low, probe):
    found = loaded(low)
    assert found.runbook is not None, found.problems
    (service,) = found.runbook.services
    assert service.low_traffic == probe
    assert service_row(service)["lowTraffic"] == low


@pytest.mark.parametrize(
    "low",
    [
        {},
        {"path": "/"},
        {"port": 80},
        {"path": "healthz", "port": 80},
        {"path": "/", "port": 0},
        {"path": "/", "port": 80, "x": 1},
    ],
)
def test_without_a_path_and_a_port_it_is_no_declaration(low):
    assert any(each.severity == "error" for each in loaded(low).problems)
