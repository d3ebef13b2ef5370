"""The platform owner's side of the ledger by the installed command: on the simulator and on a real API server alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import Person, Said, started
from enrolling import deployment, write_runbook
from test_roles import CRDS, ROLES, bind

from e2e.providers import Provider
from meshup.journal.pin import to_body
from meshup.model.ledger import Pin
from meshup.model.objects import Ref

pytestmark = pytest.mark.e2e
NEW, OLD = "1.30.3", "1.29.4"
NAMES = ("cart", "web")
LEFT = {"ads": "ana", "mail": "ben", "pay": "cem", "search": "dan"}
"""Services that went back, and their owners: one user more than may."""


@dataclass(frozen=True, slots=True)
class Town:
    """A cluster with the ledger's definitions and the roles, and three people with kubeconfigs of their own."""

    admin: Person
    platform: Person
    owner: Person

    def stored(self, kind: str, *more: str) -> list[dict[str, Any]]:
        """Give what the server has of a kind."""
        return json.loads(self.admin.kubectl("get", kind, *more, "-o", "json").out)["items"]

    def pinnable(self) -> list[str]:
        """Give the releases that owners may pin."""
        role = self.admin.kubectl("get", "clusterrole", "meshup-owner-releases", "-o", "json").document()
        return sorted(role["rules"][0]["resourceNames"])

    def revisions(self) -> dict[str, str | None]:
        """Give the revision that each service's template asks for."""
        found = {}
        for each in self.stored("deployments", "-n", "shop"):
            labels = each["spec"]["template"]["metadata"].get("labels") or {}
            found[each["metadata"]["name"]] = labels.get("istio.io/rev")
        return {name: found[name] for name in NAMES}


def simulated(admin: Person, _: Provider, __: Path) -> Iterator[Town]:
    """The shop of the simulator, whose roles are bound as they are shipped."""
    admin.kubeconfig = started(admin, "--scenario", "shop")
    try:
        people = {}
        for name, group in (("pia", "platform"), ("alice", "shop-owners")):
            said = admin.meshup("simulator", "user", name, "--group", group, "-o", "json").document()
            people[name] = replace(admin, kubeconfig=Path(said["kubeconfig"]))
        yield Town(admin, people["pia"], people["alice"])
    finally:
        admin.meshup("simulator", "stop", code=None)


def real(admin: Person, provider: Provider, folder: Path) -> Iterator[Town]:
    """A real API server, the roles bound as their files say."""
    with provider.api_server(fake_nodes=1) as reached:
        admin.kubeconfig = reached.kubeconfig
        admin.kubectl("apply", "-f", str(ROLES))
        for name in ("shop", "istio-system"):
            admin.kubectl("create", "namespace", name)
        several = [deployment(name, enrolled=False) for name in NAMES]
        admin.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": several}))
        bind(admin.kubectl)
        people = {
            name: replace(admin, kubeconfig=provider.user(reached, name, groups))
            for name, groups in (("pia", ("viewers", "operators", "installers")), ("alice", ("shop-team",)))
        }
        yield Town(admin, people["pia"], people["alice"])


@pytest.fixture(params=[simulated, real], ids=["simulator", "real"])
def town(request: pytest.FixtureRequest, person: Person, provider: Provider, tmp_path: Path) -> Iterator[Town]:
    """The same town twice."""
    where: Callable[[Person, Provider, Path], Iterator[Town]] = request.param
    write_runbook(tmp_path, NAMES)
    for made in where(person, provider, tmp_path):
        made.admin.kubectl("apply", "-f", str(CRDS))
        made.admin.established("meshreleases.meshup.dev")
        yield made


def went_back(town: Town, service: str, user: str) -> None:
    """Record that an owner took a service from the new release to the old one an hour ago."""
    now = datetime.now(UTC).replace(microsecond=0)
    pin = Pin(
        name=f"{service}-1",
        namespace="shop",
        service=service,
        workload=Ref(api_version="apps/v1", kind="Deployment", namespace="shop", name=service),
        workload_uid=service,
        from_release=NEW,
        from_revision="1-30-3",
        to_release=OLD,
        to_revision="1-29-4",
        user=user,
        user_uid="",
        reason=f"timeouts of {service}",
        since=now - timedelta(hours=1),
        until=now + timedelta(days=7),
    )
    town.admin.kubectl("create", "-f", "-", stdin=json.dumps(to_body(pin)))


def names(said: Said) -> str:
    """Give everything that was said, as one line."""
    return " ".join((said.out + said.err).split())


def test_releases_are_decided_recorded_and_hold_a_rollout(town: Town) -> None:
    platform = town.platform

    # A decision is one write with who and why; the same again is none.
    assert platform.meshup("releases", "add", NEW, "-o", "json").document()["wrote"] is True
    promote = ["releases", "promote", NEW, "--reason", "qualified", "--end-of-support", "2099-04-30"]
    platform.meshup(*promote, "--issue", "slow start")
    (first,) = town.stored("meshreleases")
    assert (first["spec"]["state"], first["spec"]["endOfSupport"]) == ("supported", "2099-04-30T23:59:59Z")
    assert [(each["state"], each["by"]) for each in first["spec"]["decisions"]] == [
        ("candidate", "pia"),
        ("supported", "pia"),
    ]
    assert platform.meshup(*promote, "-o", "json").document()["wrote"] is False
    (again,) = town.stored("meshreleases")
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"], "nothing was written"
    table = town.admin.kubectl("get", "meshreleases").out
    assert all(word in table for word in (NEW, "supported", "qualified")), table

    # Owners may pin what is supported, by name.
    assert town.pinnable() == ["1.30.3", "none"]

    # What does not lead on is refused, and so is whoever may not decide.
    platform.meshup("releases", "add", OLD)
    said = platform.meshup("releases", "deprecate", OLD, "--reason", "old", code=None)
    said.is_one_error(exit_code=6, code="MU3501")
    platform.meshup("releases", "block", "9.9.9", "--reason", "x", code=None).is_one_error(exit_code=6, code="MU3502")
    refused = town.owner.meshup("releases", "block", NEW, "--reason", "mine", code=None)
    refused.is_one_error(exit_code=7, code="MU7101")
    assert {each["spec"]["state"] for each in town.stored("meshreleases")} == {"supported", "candidate"}

    # As many users as may went back: nothing is held. One more: nothing widens the release, and each is named.
    for service, user in list(LEFT.items())[:-1]:
        went_back(town, service, user)
    assert platform.meshup("plan", "-o", "json").document()["held"] is None
    service, user = list(LEFT.items())[-1]
    went_back(town, service, user)
    held = platform.meshup("plan", "-o", "json", code=3).document()["held"]
    assert (held["code"], held["release"], held["places"]) == ("MU3121", NEW, ["onboard/all"])
    for service, user in LEFT.items():
        assert any(f"{user} took shop/{service} to {OLD}" in each for each in held["names"]), held
    before = town.revisions()
    stopped = platform.meshup("apply", "--yes", code=3)
    assert "MU3121" in names(stopped)
    assert "dan took shop/search to 1.29.4" in names(stopped)
    assert town.revisions() == before, "no service moved"
    listed = platform.meshup("releases", "-o", "json").document()["releases"]
    verdicts = {each["version"]: each["verdict"]["answer"] for each in listed}
    assert verdicts[NEW] == "hold"
    platform.meshup("releases", "deprecate", NEW, "--reason", "too many left")
    again = platform.meshup("releases", "promote", NEW, "--reason", "all is well", code=None)
    again.is_one_error(exit_code=3, code="MU3503")
    assert "ana took shop/ads" in names(again)

    # Nobody is away any more: the plan is free again, until somebody blocks the release by name.
    town.admin.kubectl("delete", "meshpins", "-n", "shop", "--all")
    assert platform.meshup("plan", "-o", "json").document()["held"] is None
    platform.meshup("releases", "block", NEW, "--reason", "loses connections")
    assert town.pinnable() == ["none"]
    blocked = platform.meshup("plan", code=3)
    assert "loses connections (pia" in names(blocked)
    assert platform.meshup("plan", "--detailed-exitcode", code=1)
    platform.meshup("releases", "promote", NEW, "--reason", "x", code=None).is_one_error(exit_code=6, code="MU3501")
    platform.meshup("releases", "add", NEW, "--reason", "mended upstream")
    platform.meshup("plan")
