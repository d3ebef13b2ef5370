"""What failed is taken apart on one screen: metric, value, bound, n, window, since when, and which callers."""

from __future__ import annotations

import json

import pytest

from meshup.cli.main import main
from meshup.model.problem import Exit


def rehearsed(capsys, *words):
    code = main(["rehearse", "--no-back", "-o", "json", *words])
    return code, json.loads(capsys.readouterr().out)


BAD = {
    "errors": ("success-rate", "share", 0.99, "requests"),
    "slow": ("latency p99", "ms", 1000.0, "timed requests"),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_release_is_told_with_its_number_its_bound_and_its_callers(capsys, bad):
    code, document = rehearsed(capsys, "--bad", bad)
    assert code == Exit.UNDONE
    (found,) = document["failing"]
    metric, unit, bound, of = BAD[bad]
    assert (found["metric"], found["unit"], found["of"]) == (metric, unit, of)
    if bad == "errors":
        assert found["bound"] == bound
        assert f"{found['value']:.2%} of {found['n']:.0f} requests" in document["why"]
    assert found["service"] in document["why"]
    assert f"seen by {found['view']}" in document["why"]
    assert found["n"] >= 20
    assert found["window_s"] > 0
    assert found["since"]
    assert found["source"]


def test_callers_are_told_worst_first_with_what_each_counted(capsys):
    _, document = rehearsed(capsys, "--bad", "connect,share=0.5")
    (found,) = document["failing"]
    assert found["view"].startswith("caller ")
    assert found["callers"][0].startswith(f"{found['view'].removeprefix('caller ')}: {found['value']:.2%} of ")


def test_certificates_and_configurations_that_are_refused_are_likely_causes(capsys):
    _, document = rehearsed(capsys, "--bad", "connect,share=0.5")
    assert "a certificate or its trust: ssl.connection_error" in document["likely"]
    _, document = rehearsed(capsys, "--bad", "config")
    assert "a rejected configuration: update_rejected" in document["likely"]
    _, document = rehearsed(capsys, "--bad", "errors")
    assert document["likely"] == "", "errors of the requests themselves point to no cause"


def test_a_rollout_that_cannot_end_has_no_number_and_says_what_its_pods_show(capsys):
    code, document = rehearsed(capsys, "--fault", "crash:shop/cart")
    assert code == Exit.UNDONE
    assert document["failing"] == []
    assert "CrashLoopBackOff" in str(document["seen"])
