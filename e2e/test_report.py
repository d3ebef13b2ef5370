"""`meshup report` as a person runs it: one release, several clusters, a page, and what CI is told."""

from __future__ import annotations

import pytest
import yaml
from conftest import Person

pytestmark = pytest.mark.e2e

BACK = ("rollback", "cart", "--to", "1.29.4", "--reason", "timeouts to ledger", "--until", "2h", "--yes")
ZERO = {"enforced": 0, "declared": 0, "inferred": 0, "unknown": 0}


def onboarded(shop: Person) -> None:
    """Roll the mesh out to the shop, and take cart back."""
    shop.meshup("init")
    shop.meshup("apply", "--through", "onboard", "--yes")
    shop.meshup(*BACK)


def add_silent_context(shop: Person) -> str:
    """Add a context whose server's port nobody listens on, and give the name of the one that answers."""
    assert shop.kubeconfig is not None
    config = yaml.safe_load(shop.kubeconfig.read_text("utf-8"))
    there = config["contexts"][0]
    config["clusters"].append({"name": "silent", "cluster": {"server": "http://127.0.0.1:9"}})
    config["contexts"].append({"name": "silent", "context": {**there["context"], "cluster": "silent"}})
    shop.kubeconfig.write_text(yaml.safe_dump(config), "utf-8")
    return str(there["name"])


def test_the_report_of_a_release_and_what_ci_is_told(shop: Person) -> None:
    onboarded(shop)
    told = shop.meshup("report", "-o", "json").document()
    (row,) = told["rollbacks"]
    assert (row["service"], row["to"], row["reason"], row["overdue"], row["effect"], row["trust"]) == (
        "shop/cart",
        "1.29.4",
        "timeouts to ledger",
        False,
        "yes",
        "declared",
    )
    left = row["from"]
    (release,) = (each for each in told["releases"] if each["release"] == left)
    assert release["services"]["active"] == {**ZERO, "declared": 1}
    assert release["temporary"] == {**ZERO, "declared": 1}
    assert release["overdue"] == ZERO
    assert [each["reason"] for each in release["reasons"]] == ["timeouts to ledger"]
    assert sum(each["count"]["declared"] for each in release["trend"]) == 1
    assert release["installed"]
    shop.meshup("report", "--check")

    only = shop.meshup("report", "--version", left, "-o", "json").document()
    assert [each["release"] for each in only["releases"]] == [left]
    shop.meshup("report", "--version", "9.9.9", code=2).is_one_error(exit_code=2, code="MU1032")
    assert shop.meshup("report", "--release", left, code=2).err

    # A threshold of the runbook: nobody may go back.
    runbook = shop.home / "meshup.yaml"
    before = runbook.read_text("utf-8")
    runbook.write_text(before + "\nholds: {users: 0}\n", "utf-8")
    held = shop.meshup("report", "--check", code=3)
    assert f"{left} is on hold: 1 user went back from it, more than 0" in held.err
    runbook.write_text(before, "utf-8")

    shop.meshup("simulator", "advance", "3h")
    late = shop.meshup("report", "--check", code=3)
    assert "the pin of shop/cart is overdue" in late.err
    assert "OVERDUE" in late.out
    assert shop.meshup("report", "--check", "-o", "json", code=3).document()["rollbacks"][0]["overdue"] is True
    shop.meshup("report", "--since", "1h", "--report", "html=r.html", "--report", "md=r.md", "--report", "json=r.json")
    page = (shop.home / "r.html").read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert "timeouts to ledger" in page
    assert "timeouts to ledger" in (shop.home / "r.md").read_text("utf-8")
    shop.meshup("report", "--since", "soon", code=2).is_one_error(exit_code=2)


def test_a_cluster_that_does_not_answer_is_unknown_beside_one_that_does(shop: Person) -> None:
    onboarded(shop)
    there = add_silent_context(shop)
    alone = shop.meshup("report", "--context", "silent", code=None)
    assert alone.code == 7, str(alone)
    said = shop.meshup("report", "--context", there, "--context", "silent", "--plain")
    assert "at least" in said.out
    assert "1 of 2 clusters" in said.out
    assert "unknown   silent" in said.out
    told = shop.meshup("report", "--context", there, "--context", "silent", "-o", "json").document()
    assert told["complete"] is False
    assert [(each["name"], each["read"]) for each in told["clusters"]] == [(there, True), ("silent", False)]
    assert {each["verdict"]["answer"] for each in told["releases"]} == {"unknown"}
    assert (
        "silent is unknown" in shop.meshup("report", "--context", there, "--context", "silent", "--check", code=3).err
    )

    # The same cluster by two names is one cluster, and its numbers are the same as by one.
    once = shop.meshup("report", "--context", there, "-o", "json").document()
    twice = shop.meshup("report", "--context", there, "--context", there, "-o", "json").document()
    assert [each["services"] for each in once["releases"]] == [each["services"] for each in twice["releases"]]
    assert len(twice["clusters"]) == 1
