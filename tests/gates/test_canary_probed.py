"""A service that is declared to have little traffic is probed half-way: never compared, and never called evidence."""

from __future__ import annotations

import pytest
from halfway import SCENARIO, book, rehearsed

from meshup.model.problem import Exit

HELD = {"hold": True}
QUICK = {"metrics": ["errors", "connection-failures", "latency"]}
PROBED = "shop/cart: probed, no statistical evidence"
LOW = {"path": "/healthz", "port": 8080}
SILENT = {"edges": [each for each in SCENARIO["edges"] if each["to"] != "shop/cart"]}
"""Nobody calls cart."""


def declared(runbook, **low):
    """The same runbook, in which cart is declared to have little traffic."""
    several = [
        {**each, "lowTraffic": {**LOW, **low}} if each["name"] == "cart" else each for each in runbook["services"]
    ]
    return {**runbook, "services": several}


def pages(runbook):
    return {key: value for key, value in runbook.items() if key != "metrics"}


@pytest.mark.parametrize("source", [dict, pages], ids=["prometheus", "pages"])
def test_without_traffic_it_is_unknown_and_passes_as_probed_once_it_is_declared(tmp_path, capsys, source):
    written = source(book("cart", enrol=HELD, **QUICK))
    code, _, (found,) = rehearsed(tmp_path, capsys, written, "--no-back", **SILENT)
    assert (code, found["answer"]) == (Exit.GATE_HELD, "unknown")
    code, document, (found,) = rehearsed(tmp_path, capsys, declared(written), "--no-back", **SILENT)
    assert (code, found["answer"]) == (Exit.DONE, "pass"), document["why"]
    assert PROBED in found["because"]
    assert "0 comparisons of 1 service found no harm" in found["because"]


@pytest.mark.parametrize("source", [dict, pages], ids=["prometheus", "pages"])
def test_probes_that_fail_take_the_wave_back_and_the_verdict_says_that_they_are_probes(tmp_path, capsys, source):
    written = declared(source(book("cart", enrol=HELD, **QUICK)))
    code, document, (found,) = rehearsed(tmp_path, capsys, written, "--bad", "errors,errors=0.6", **SILENT)
    assert (code, found["answer"]) == (Exit.UNDONE, "fail"), document["why"]
    assert PROBED in found["because"]
    assert document["way_back"] == "works: the cluster equals its first state"


def test_what_both_revisions_answer_wrongly_says_nothing_of_one_of_them(tmp_path, capsys):
    written = declared(book("cart", enrol=HELD, patience={"limit": "5m"}, **QUICK), expect=204)
    code, _, (found,) = rehearsed(tmp_path, capsys, written, "--no-back", **SILENT)
    assert (code, found["answer"]) == (Exit.GATE_HELD, "unknown")
    assert "probes of the control failed as well" in found["because"]
    assert "answered 200, not 204" in found["because"]
    assert PROBED in found["because"]


def test_under_strict_mode_no_probe_is_answered_and_it_is_unknown(tmp_path, capsys):
    policy = {
        "apiVersion": "security.istio.io/v1",
        "kind": "PeerAuthentication",
        "metadata": {"name": "default", "namespace": "shop"},
        "spec": {"mtls": {"mode": "STRICT"}},
    }
    objects = [*SCENARIO["objects"], policy]
    written = declared(pages(book("cart", enrol=HELD, patience={"limit": "5m"}, **QUICK)))
    code, _, (found,) = rehearsed(tmp_path, capsys, written, "--no-back", objects=objects, **SILENT)
    assert (code, found["answer"]) == (Exit.GATE_HELD, "unknown")
    assert "probes of the control failed as well" in found["because"]


def test_beside_a_service_that_is_compared_only_the_declared_one_is_called_probed(tmp_path, capsys):
    written = declared(book("cart", "store", enrol=HELD, **QUICK))
    code, document, (found,) = rehearsed(tmp_path, capsys, written, "--no-back", **SILENT)
    assert code == Exit.DONE, document["why"]
    assert f"found no harm; {PROBED}" in found["because"]
    assert "shop/store" not in found["because"]


def test_fewer_probes_than_asked_for_are_not_enough(tmp_path, capsys):
    written = declared(book("cart", enrol=HELD, probes=500, patience={"limit": "5m"}, **QUICK))
    code, _, (found,) = rehearsed(tmp_path, capsys, written, "--no-back", **SILENT)
    assert (code, found["answer"]) == (Exit.GATE_HELD, "unknown")
    assert "of 500 probes" in found["because"]
