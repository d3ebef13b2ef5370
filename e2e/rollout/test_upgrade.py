"""A mesh moves to another release on a real cluster under traffic: one that hurts stops at its critical users, one that does not goes through."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent))

from conftest import Person
from installed import Installed
from small import QUICK, REVISION, patience, runbook, stage, written
from town import HOST, NEW, OLD, OLD_REVISION, Town, get, kubectl, proxies, standing

from e2e import lab
from e2e.lab.kubectl import apply_gateway_api
from e2e.providers import Provider

pytestmark = [pytest.mark.e2e, pytest.mark.lab]
CRITICAL = ("front/web", "shop/cart")
OTHERS = {"small": ("shop/reviews", "data/ledger"), "last": ("shop/catalog", "data/orders-db")}
EVERYBODY = (*CRITICAL, *(each for wave in OTHERS.values() for each in wave))
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


class Unmeshed(Town):
    """The application as it was before any mesh; of Istio there are the definitions that one of its objects is of."""

    def _install_old(self) -> None:
        rendered = subprocess.run(
            [str(lab.istioctl(OLD)), "manifest", "generate", "--set=profile=minimal"],
            capture_output=True,
            text=True,
            check=True,
            stdin=subprocess.DEVNULL,
        ).stdout
        kinds = [each for each in yaml.safe_load_all(rendered) if each and each["kind"] == "CustomResourceDefinition"]
        kubectl("create", "--filename=-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": kinds}))
        for each in kinds:
            kubectl("wait", "--for=condition=Established", "--timeout=60s", f"crd/{each['metadata']['name']}")


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


def onboarding(*, judged: bool) -> dict[str, Any]:
    """Give the runbook that puts the older release under everybody, gateway first. judged: by their traffic too."""
    traffic = {"limit": "3m", "every": "2s", "in_a_row": 2, "least": 100, "window": "45s"}
    rates = [patience("success-rate", params={"floor": 0.99}, **traffic)] if judged else []
    made = runbook(
        "onboard",
        {"first": CRITICAL, **OTHERS},
        stages=[
            stage("mesh", "install-control-plane", gates=QUICK[:1]),
            stage("ingress", "ingress-gateway", gates=[*QUICK[:1], patience("ingress-probe", limit="60s")]),
            stage("onboard", "enrol", waves=["first", *OTHERS], gates=[*QUICK, *rates]),
        ],
    )
    for each in made["services"]:
        each["critical"] = f"{each['namespace']}/{each['name']}" in CRITICAL
        if each["name"] == "orders-db":
            each["workload"] = "StatefulSet/orders-db"
    values = yaml.safe_load(yaml.safe_dump(made["mesh"]["values"]).replace(NEW.version, OLD.version))
    source = {"from": "istioctl", "path": str(lab.istioctl(OLD))}
    made["mesh"] |= {"release": OLD.version, "revision": OLD_REVISION, "values": values, "manifests": source}
    made["metrics"] = {"service": "monitoring/prometheus:9090", "ingestDelay": "4s"}
    made["ingress"] = {
        "api": "gateway",
        "name": "edge",
        "namespace": "istio-ingress",
        "hosts": [
            {
                "host": HOST,
                "paths": [{"path": "/debug", "kind": "Prefix", "service": "web", "namespace": "front", "port": 80}],
            }
        ],
    }
    return made


def applied(town: Town, person: Person, *arguments: str, code: int = 0) -> dict[str, Any]:
    """Apply and give the last document; every event is kept beside the report."""
    said = person.meshup("apply", *arguments, "--yes", "-o", "events", code=None, timeout=900)
    town.keep(said)
    assert said.code == code, f"{said}"
    return json.loads(said.out.splitlines()[-1])


def images() -> dict[str, set[str]]:
    """Give the proxies' images of everybody's pods."""
    return {each: proxies(*each.split("/")) for each in EVERYBODY}


def all_on(image: str) -> dict[str, set[str]]:
    return {each: {image} for each in EVERYBODY}


@pytest.mark.usefixtures("told")
def test_a_release_that_hurts_stops_at_its_critical_users_and_one_that_does_not_reaches_everybody(
    town: Town, platform: Person
) -> None:
    written(onboarding(judged=False), platform.home)
    platform.meshup("ledger", "install", "--yes")
    for each in (OLD, NEW):
        platform.meshup("releases", "add", each.version)
    ran = ["--reason", "ran for a year", "--end-of-support", "2099-04-30"]
    platform.meshup("releases", "promote", OLD.version, *ran)
    with town.stage("everybody comes to the older release"):
        applied(town, platform)
    assert images() == all_on(OLD.proxy_image)
    with town.stage("traffic moves to the gateway"):
        town.ask_through("edge-istio", "istio-ingress")
        time.sleep(5)

    written(onboarding(judged=True), platform.home)
    new = ["--to", NEW.version, "--manifests", str(lab.istioctl(NEW)), "--soak", "10s", "--keep", "5s"]
    said = platform.meshup("upgrade", *new, "--into", "newer.yaml")
    town.keep(said)
    kubectl("apply", "--filename=-", stdin=json.dumps(HURTS))
    with town.stage("a release that hurts (failures are meant)"):
        ended = applied(town, platform, "-f", "newer.yaml", code=4)
    assert ended["stopped"] == "qualify/critical"
    assert "success-rate" in ended["why"], ended["why"]
    assert images() == all_on(OLD.proxy_image), "put back"
    kubectl("delete", "envoyfilter", "hurts", "--namespace=istio-system")
    time.sleep(10)

    with town.stage("critical users qualify it"):
        applied(town, platform, "-f", "newer.yaml", "--through", "qualify")
    assert images() == {each: {NEW.proxy_image if each in CRITICAL else OLD.proxy_image} for each in EVERYBODY}, (
        "nobody else moved"
    )
    with town.stage("gateway, everybody else, and the old revision goes"):
        applied(town, platform, "-f", "newer.yaml")
    assert images() == all_on(NEW.proxy_image)
    planes = {
        each["metadata"]["name"] for each in get("deployments") if each["metadata"]["namespace"] == "istio-system"
    }
    assert f"istiod-{REVISION}" in planes
    assert f"istiod-{OLD_REVISION}" not in planes
    with town.stage("a second apply"):
        again = applied(town, platform, "-f", "newer.yaml")
    assert again["changes"]["written"] == 0
    failed = {row["stage"]: row["why"] for row in town.report.rows if row["failed"] and "are meant" not in row["stage"]}
    assert failed == {}, town.report.tell()
