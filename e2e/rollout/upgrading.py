"""An application that comes to the older release of the mesh and goes on to the newer one, for tests of the way there."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import yaml
from conftest import Person
from small import QUICK, REVISION, patience, runbook, stage
from town import HOST, NEW, OLD, OLD_REVISION, Town, get, kubectl, proxies

from e2e import lab

CRITICAL = ("front/web", "shop/cart")
OTHERS = {"small": ("shop/reviews", "shop/catalog"), "last": ("data/ledger", "data/orders-db")}
TAG, LED = "data", "data"
"""A tag of the mesh, and the namespace whose pods it leads: all of one wave."""
EVERYBODY = (*CRITICAL, *(each for wave in OTHERS.values() for each in wave))


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
    made["mesh"]["values"]["revisionTags"] = [TAG]
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


def led(town: Town) -> None:
    """Have a namespace lead its pods by a tag, as whoever may change Namespaces does; the client in it stays outside."""
    stays = {
        "spec": {"jobTemplate": {"spec": {"template": {"metadata": {"labels": {"sidecar.istio.io/inject": "false"}}}}}}
    }
    kubectl("patch", "cronjob/reports", f"--namespace={LED}", f"--patch={json.dumps(stays)}")
    kubectl("label", "namespace", LED, f"istio.io/rev={TAG}")
    gone = [{"op": "remove", "path": "/spec/template/metadata/labels/istio.io~1rev"}]
    for each in ("deployment/ledger", "statefulset/orders-db"):
        kubectl("patch", each, f"--namespace={LED}", "--type=json", f"--patch={json.dumps(gone)}")
        town.settled(LED, each)


def leads() -> tuple[str, set[str]]:
    """Give the revision that the tag names, and the control planes that its webhooks ask."""
    found = get("mutatingwebhookconfigurations", f"istio-revision-tag-{TAG}")
    asked = {each["clientConfig"]["service"]["name"] for each in found["webhooks"]}
    return found["metadata"]["labels"]["istio.io/rev"], asked


LEADS_OLD, LEADS_NEW = ((each, {f"istiod-{each}"}) for each in (OLD_REVISION, REVISION))


def heard(town: Town, person: Person, *arguments: str) -> list[dict[str, Any]]:
    """Apply and give every event, which is kept beside the report; the last one is the document of how it ended."""
    said = person.meshup("apply", *arguments, "--yes", "-o", "events", code=None, timeout=900)
    town.keep(said)
    assert said.code == 0, f"{said}"
    return [json.loads(each) for each in said.out.splitlines()]


def applied(town: Town, person: Person, *arguments: str) -> dict[str, Any]:
    """Apply and give the document of how it ended."""
    return heard(town, person, *arguments)[-1]


def images() -> dict[str, set[str]]:
    """Give the proxies' images of everybody's pods."""
    return {each: proxies(*each.split("/")) for each in EVERYBODY}


def all_on(image: str) -> dict[str, set[str]]:
    return {each: {image} for each in EVERYBODY}


def compared_soon(path: Path) -> None:
    """Have the comparison look for a harm that the lab's traffic shows within a minute; a person tunes it the same way."""
    found = yaml.safe_load(path.read_text("utf-8"))
    for each in (gate for one in found["stages"] for gate in one.get("gates", ()) if "canary" in gate):
        each["canary"] = {"smallest-rise": 0.1, "metrics": ["errors"], "watch": "20s"}
        each["patience"] = {"limit": "4m", "every": "10s"}
    path.write_text(yaml.safe_dump(found, sort_keys=False), "utf-8")


def planes() -> set[str]:
    """Name the Deployments of the mesh's namespace."""
    return {each["metadata"]["name"] for each in get("deployments") if each["metadata"]["namespace"] == "istio-system"}


def moved_on() -> None:
    """Check that everybody runs the newer release, and that nothing is left of the older one or of the way there."""
    assert images() == all_on(NEW.proxy_image)
    assert f"istiod-{REVISION}" in planes()
    assert f"istiod-{OLD_REVISION}" not in planes()
    assert leads() == LEADS_NEW
    assert {"istio.io/rev": TAG}.items() <= get("namespace", LED)["metadata"]["labels"].items()
    assert get("envoyfilters.networking.istio.io") == [], "callers stopped counting"
