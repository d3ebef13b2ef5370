"""A Prometheus that holds the mesh's standard metrics is asked for those, one that does not for Envoy's own."""

from __future__ import annotations

import json

import pytest
import yaml

from meshup.cli.main import main
from meshup.simulate.scenario import read

TRAFFIC = ("success-rate", "latency", "new-connections")


def judged(tmp_path, monkeypatch, capsys, *, standard, fault=()):
    """Rehearse the first wave of a few services under a Prometheus; give exit code and gate -> (answer, because)."""
    scenario = dict(read("big"))
    scenario["generate"] = {**scenario["generate"], "services": 6, "namespaces": ["app-01"]}
    scenario["standard-metrics"] = standard
    path = tmp_path / "few.yaml"
    path.write_text(yaml.safe_dump(scenario))
    monkeypatch.chdir(tmp_path)
    words = ["rehearse", "--scenario", str(path), "--through", "onboard/wave-1", "--no-back", "-o", "json", *fault]
    code = main(words)
    document = json.loads(capsys.readouterr().out)
    return code, {each["kind"]: (each["answer"], each["because"]) for each in document["verdicts"]}


@pytest.mark.parametrize(
    ("standard", "family"), [(True, "the mesh's standard metrics"), (False, "Envoy's own metrics")]
)
def test_traffic_is_judged_by_the_family_that_the_server_holds(tmp_path, monkeypatch, capsys, standard, family):
    code, found = judged(tmp_path, monkeypatch, capsys, standard=standard)
    assert code == 0
    assert {found[kind][0] for kind in TRAFFIC} == {"pass"}
    assert family in found["success-rate"][1]
    assert family in found["latency"][1]
    assert "Envoy's own metrics" in found["new-connections"][1]


@pytest.mark.parametrize("standard", [True, False])
def test_a_service_that_fails_fails_in_either_family(tmp_path, monkeypatch, capsys, standard):
    code, found = judged(
        tmp_path, monkeypatch, capsys, standard=standard, fault=["--fault", "server-first:app-01/svc-0001"]
    )
    assert code == 4
    assert found["success-rate"][0] == "fail"
