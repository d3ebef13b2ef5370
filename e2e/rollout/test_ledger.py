"""Alice takes her service back on a real cluster under traffic: nobody's leave, no failed request, on record for everybody."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from conftest import Person
from installed import Installed
from owners import home_of, owner, roles
from small import QUICK, runbook, stage, written
from town import NEW, OLD, OLD_REVISION, Town, get, proxies, standing

from e2e import lab
from e2e.providers import Provider

pytestmark = [pytest.mark.e2e, pytest.mark.lab]
TEAMS = {"alice": ("shop-team", ("shop",)), "bob": ("data-team", ("data",))}
CART, REVIEWS = "shop/cart", "shop/reviews"


@pytest.fixture(scope="module")
def town(provider: Provider, evidence: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A real cluster with an application, whose cart is on the older release already, and callers that never stop."""
    if provider.name != "lab":
        pytest.skip("it is written for the images and addresses of the lab: PROVIDER=lab")
    with provider.cluster() as reached, evidence(reached, "ledger"):
        with standing(Town(tmp_path_factory.mktemp("ledger")), "ledger") as made:
            yield made


@pytest.fixture(scope="module")
def people(programs: Installed, town: Town) -> dict[str, Person]:
    """The platform owner, and two owners of services who have the owner's role in their own namespaces and nothing else."""
    roles()
    found = {"pia": home_of(town, programs, "pia", lab.Home().kubeconfig)}
    for name, (group, spaces) in TEAMS.items():
        found[name] = owner(town, programs, name, group=group, spaces=spaces)
    return found


def book(*services: str) -> dict[str, Any]:
    """Give a runbook whose services join by the word of their owners alone."""
    stages = [
        stage("mesh", "install-control-plane", gates=QUICK[:1]),
        stage("onboard", "enrol", waves=["all"]),
    ]
    made = runbook("ledger", {"all": list(services)}, stages=stages)
    for each in made["services"]:
        del each["optIn"]
    return {**made, "holds": {"users": 0}}


@pytest.mark.usefixtures("told")
def test_an_owner_goes_back_by_herself_and_the_platform_owner_reads_what_it_says(
    town: Town, people: dict[str, Person]
) -> None:
    pia, alice, bob = people["pia"], people["alice"], people["bob"]
    pia.meshup("ledger", "install", "--yes")
    pia.meshup("releases", "add", OLD.version)
    promote = ["releases", "promote", OLD.version, "--reason", "ran for a year", "--end-of-support", "2099-04-30"]
    pia.meshup(*promote)
    assert proxies("shop", "cart") == {OLD.proxy_image}

    alice.meshup("opt-in", "cart", "-n", "shop")
    written(book(CART), pia.home)
    with town.stage("the new revision is rolled out"):
        pia.meshup("apply", "--yes", timeout=400)
    assert proxies("shop", "cart") == {NEW.proxy_image}

    with town.stage("alice goes back by herself"):
        back = ["rollback", "cart", "-n", "shop", "--to", OLD.version, "--reason", "timeouts to ledger"]
        alice.meshup(*back, "--until", "7d")
    assert proxies("shop", "cart") == {OLD.proxy_image}, "as the running pods say"
    (pin,) = get("meshpins.meshup.dev", namespace="shop")
    assert pin["status"]["observed"] == [{"release": OLD.version, "pods": 2}]

    assert alice.meshup("replay", "cart", "-n", "shop", "-o", "json").document()["same"] is True
    assert pia.meshup("replay", pin["metadata"]["name"], "-o", "json").document()["same"] is True

    mine = ["rollback", "cart", "-n", "shop", "--to", "none", "--reason", "not mine", "--until", "1d"]
    bob.meshup(*mine, code=None).is_one_error(exit_code=7)
    bob.kubectl("rollout", "restart", "deployment/cart", "-n", "shop", code=1)
    bob.kubectl("delete", "meshpin", pin["metadata"]["name"], "-n", "shop", code=1)

    said = pia.meshup("report", "-o", "json").document()
    (row,) = [each for each in said["rollbacks"] if each["trust"] != "inferred"]
    assert (row["user"], row["service"], row["from"], row["to"]) == ("alice", CART, NEW.version, OLD.version)
    assert (row["reason"], row["trust"], row["overdue"]) == ("timeouts to ledger", "enforced", False)
    assert row["until"] == pin["spec"]["until"]

    alice.meshup("opt-in", "reviews", "-n", "shop")
    written(book(CART, REVIEWS), pia.home)
    held = pia.meshup("plan", "-o", "json", code=3)
    assert "timeouts to ledger" in held.out, str(held)
    pia.meshup("apply", "--yes", code=3)
    assert proxies("shop", "reviews") == set(), "a release on hold goes no further"
    assert proxies("shop", "cart") == {OLD.proxy_image}

    with town.stage("a pin that is over is overdue, and moves nothing"):
        alice.meshup(*back, "--until", "5s")
        time.sleep(6)
        pia.meshup("apply", "--yes", code=3)
    assert proxies("shop", "cart") == {OLD.proxy_image}, "never upgraded silently"
    pia.meshup("report", "--check", code=3)
    assert [
        each["overdue"] for each in pia.meshup("pins", "-o", "json").document()["pins"] if each["phase"] == "Active"
    ] == [True]
    assert OLD_REVISION in get("deployment", "cart", "shop")["spec"]["template"]["metadata"]["labels"]["istio.io/rev"]
    failed = {row["stage"]: row["why"] for row in town.report.rows if row["failed"]}
    assert failed == {}, town.report.tell()
