"""A mesh moves to another release on a real cluster under traffic: one that hurts stops at its critical users, one that does not goes through."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from conftest import Person
from installed import Installed
from owners import owner, roles
from small import REVISION, written
from town import NEW, OLD, OLD_REVISION, Town, kubectl, standing
from upgrading import (
    CRITICAL,
    EVERYBODY,
    LEADS_NEW,
    LEADS_OLD,
    TAG,
    Unmeshed,
    all_on,
    applied,
    compared_soon,
    heard,
    images,
    leads,
    led,
    moved_on,
    onboarding,
)

from e2e import lab
from e2e.lab.kubectl import apply_gateway_api
from e2e.providers import Provider

pytestmark = [pytest.mark.e2e, pytest.mark.lab]
HURTS = {
    "apiVersion": "networking.istio.io/v1alpha3",
    "kind": "EnvoyFilter",
    "metadata": {"name": "hurts", "namespace": "istio-system"},
    "spec": {
        "configPatches": [
            {
                "applyTo": "HTTP_FILTER",
                "match": {
                    "context": "SIDECAR_INBOUND",
                    "proxy": {"proxyVersion": r"^1\.31.*"},
                    "listener": {
                        "filterChain": {
                            "filter": {
                                "name": "envoy.filters.network.http_connection_manager",
                                "subFilter": {"name": "envoy.filters.http.router"},
                            }
                        }
                    },
                },
                "patch": {
                    "operation": "INSERT_BEFORE",
                    "value": {
                        "name": "envoy.filters.http.fault",
                        "typed_config": {
                            "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
                            "abort": {"http_status": 503, "percentage": {"numerator": 20}},
                        },
                    },
                },
            }
        ]
    },
}
"""What makes a release bad: every fifth request to a proxy of the newer one is refused, as by a filter that no longer fits."""


@pytest.fixture(scope="module")
def town(provider: Provider, evidence: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A real cluster with an application under the older release, and callers that never stop."""
    if provider.name != "lab":
        pytest.skip("it is written for the images and addresses of the lab: PROVIDER=lab")
    folder = tmp_path_factory.mktemp("upgrade")
    with provider.cluster() as reached, evidence(reached, "upgrade"):
        apply_gateway_api(reached.lab)
        with standing(Unmeshed(folder), "upgrade") as made:
            yield made


@pytest.fixture(scope="module")
def platform(programs: Installed, town: Town) -> Person:
    """The platform engineer."""
    home = town.folder / "platform"
    home.mkdir()
    path = f"{programs.bin}{os.pathsep}{os.environ['PATH']}"
    return Person(programs=programs, home=home, kubeconfig=lab.Home().kubeconfig, more={"PATH": path})


def both_served(ended: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Check that both revisions of each critical service served callers when the gate judged; give cart's arms."""
    (canary,) = [each for each in ended["verdicts"] if each["kind"] == "canary"]
    for service in CRITICAL:
        control, new = [each for each in canary["arms"] if each["service"] == service]
        assert (control["revision"], new["revision"]) == (OLD_REVISION, REVISION), canary
        assert control["pods"], canary
        assert new["pods"], canary
        assert control["requests"] > 0, canary
        assert new["requests"] > 0, canary
    return {each["arm"]: each for each in canary["arms"] if each["service"] == "shop/cart"}


def spread_is_refused(town: Town, platform: Person, *, because: str) -> None:
    """Check that neither a plan nor an apply nor a promotion goes on, and that they and a report say because of whom."""
    promoted = ("releases", "promote", NEW.version, "--reason", "all is well")
    for words in (("plan",), ("apply", "--yes"), promoted, ("report", "--check")):
        said = platform.meshup(*words, "-f", "newer.yaml", code=3, timeout=300)
        town.keep(said)
        assert because in " ".join((said.out + said.err).split()), str(said)


@pytest.mark.usefixtures("told")
def test_a_release_that_hurts_is_caught_half_way_one_whose_critical_user_went_back_waits_and_then_it_reaches_everybody(
    town: Town, platform: Person, programs: Installed
) -> None:
    written(onboarding(judged=False), platform.home)
    roles()
    platform.meshup("ledger", "install", "--yes")
    for each in (OLD, NEW):
        platform.meshup("releases", "add", each.version)
    ran = ["--reason", "ran for a year", "--end-of-support", "2099-04-30"]
    platform.meshup("releases", "promote", OLD.version, *ran)
    with town.stage("everybody comes to the older release"):
        applied(town, platform)
    assert images() == all_on(OLD.proxy_image)
    with town.stage("a namespace comes to lead by a tag"):
        led(town)
    assert images() == all_on(OLD.proxy_image)
    with town.stage("traffic moves to the gateway"):
        town.ask_through("edge-istio", "istio-ingress")
        time.sleep(5)
    alice = owner(town, programs, "alice", group="cart-team", spaces=["shop"])

    written(onboarding(judged=True), platform.home)
    new = ["--to", NEW.version, "--manifests", str(lab.istioctl(NEW)), "--soak", "10s", "--keep", "5s"]
    said = platform.meshup("upgrade", *new, "--into", "newer.yaml")
    town.keep(said)
    assert "half-way, while both revisions of front/web, shop/cart serve" in " ".join(said.out.split())
    compared_soon(platform.home / "newer.yaml")
    said = platform.meshup("plan", "-f", "newer.yaml")
    town.keep(said)
    assert "errors at callers from Envoy's own metrics by endpoint" in " ".join(said.out.split())
    kubectl("apply", "--filename=-", stdin=json.dumps(HURTS))
    with town.stage("a release that hurts (failures are meant)"):
        whole = ["apply", "-f", "newer.yaml", "--yes", "--report", "json=bad.json"]
        said = platform.meshup(*whole, code=None, timeout=600)
        town.keep(said)
        assert said.code == 4, str(said)
    ended = json.loads((platform.home / "bad.json").read_text("utf-8"))
    assert ended["stopped"] == "qualify/critical"
    both_served(ended)
    screen = " ".join(said.out.split())
    assert re.search(r"canary: (front/web|shop/cart) seen by [^:]+: [1-9][0-9.]*% of \d+ against 0\.00% of", screen), (
        screen
    )
    assert images() == all_on(OLD.proxy_image), "put back"
    kubectl("delete", "envoyfilter", "hurts", "--namespace=istio-system")
    time.sleep(10)

    with town.stage("critical users qualify it"):
        ended = applied(town, platform, "-f", "newer.yaml", "--through", "qualify")
    arms = both_served(ended)
    assert (arms["control"]["failed"], arms["canary"]["failed"]) == (0, 0)
    qualified = {each: {NEW.proxy_image if each in CRITICAL else OLD.proxy_image} for each in EVERYBODY}
    assert images() == qualified, "nobody else moved"
    assert leads() == LEADS_OLD, "its wave has not begun"

    with town.stage("a critical user goes back by herself"):
        back = ["rollback", "cart", "-n", "shop", "--to", OLD.version, "--reason", "timeouts to ledger"]
        town.keep(alice.meshup(*back, "--until", "7d"))
        spread_is_refused(town, platform, because="critical service shop/cart went back: timeouts to ledger (alice)")
    assert images() == {**qualified, "shop/cart": {OLD.proxy_image}}, "a release on hold goes no further"
    with town.stage("she ends her pin"):
        town.keep(alice.meshup("unpin", "cart", "-n", "shop", "--reason", "the ledger was slow by itself"))

    with town.stage("cart again, gateway, and the wave before the tag's"):
        ended = applied(town, platform, "-f", "newer.yaml", "--through", "spread/small")
    (canary,) = [each for each in ended["verdicts"] if each["kind"] == "canary"]
    assert {each["service"] for each in canary["arms"]} == {"shop/cart"}, "who stayed is not compared again"
    assert leads() == LEADS_OLD, "its wave has not begun"
    with town.stage("the tag with its wave, and the old revision goes"):
        events = heard(town, platform, "-f", "newer.yaml")
    last = [
        each for each in events if each["event"] == "change-ended" and each["place"] == "spread/last" and each["wrote"]
    ]
    moved = [each["summary"].partition(":")[0] for each in last]
    assert moved[0] == f"tag {TAG}", "it leads there before any pod of its wave is made anew"
    assert sorted(moved[1:]) == ["Deployment data/ledger", "StatefulSet data/orders-db"]
    assert leads() == LEADS_NEW
    moved_on()
    with town.stage("a second apply"):
        again = applied(town, platform, "-f", "newer.yaml")
    assert again["changes"]["written"] == 0
    failed = {row["stage"]: row["why"] for row in town.report.rows if row["failed"] and "are meant" not in row["stage"]}
    assert failed == {}, town.report.tell()
