"""The way a person goes by hand, with the installed command and the stock kubectl, against the shop."""

from __future__ import annotations

import json

import pytest
from conftest import Person

pytestmark = pytest.mark.e2e

ROLLBACK = ("--reason", "timeouts to ledger", "--until", "7d", "--yes")


def objects(person: Person, kind: str, *more: str) -> list[dict]:
    """Give what kubectl sees of a kind."""
    return json.loads(person.kubectl("get", kind, "-o", "json", *more).out)["items"]


def revisions(person: Person, namespace: str, name: str) -> str | None:
    """Give the revision label on a Deployment's pod template, as kubectl sees it."""
    found = json.loads(person.kubectl("get", "deployment", name, "-n", namespace, "-o", "json").out)
    return found["spec"]["template"]["metadata"].get("labels", {}).get("istio.io/rev")


def test_the_whole_way(shop: Person) -> None:
    pods = shop.kubectl("get", "pods", "-A").out
    assert "cart" in pods
    assert "Running" in pods
    version = json.loads(shop.kubectl("version", "-o", "json").out)
    assert version["serverVersion"]["gitVersion"] == "v1.34.4+meshup-simulator"

    # init and lint write nothing to the cluster.
    before = shop.mutations()
    shop.meshup("init")
    assert (shop.home / "meshup.yaml").is_file()
    assert (shop.home / "meshup.lock").is_file()
    assert "yaml-language-server" in (shop.home / "meshup.yaml").read_text("utf-8").splitlines()[0]
    shop.meshup("lint")
    planned = shop.meshup("plan", "--out", "p.plan.json")
    assert "onboard" in planned.out
    assert shop.mutations() == before, "reading only, until apply"
    first = json.loads((shop.home / "p.plan.json").read_text("utf-8").splitlines()[0])
    assert first["schema"] == "meshup.dev/plan/v1"
    shown = shop.meshup("show", "p.plan.json")
    assert "onboard" in shown.out
    assert shop.meshup("plan", "--detailed-exitcode", code=2)

    # apply through the onboarding; every stage is told.
    applied = shop.meshup("apply", "p.plan.json", "--through", "onboard", "--yes", "-o", "events")
    events = [json.loads(line) for line in applied.out.splitlines()]
    assert "schema" in events[0]
    told = json.dumps(events)
    for place in ("preflight", "ingress", "onboard"):
        assert place in told, place
    assert shop.mutations() > before

    # A second apply of the same plan, and of the runbook anew, writes nothing.
    after = shop.mutations()
    shop.meshup("apply", "p.plan.json", "--through", "onboard", "--yes")
    assert shop.mutations() == after, "a finished apply, run again, writes nothing"

    # kubectl sees what was said.
    assert objects(shop, "deployments", "-n", "istio-system")
    assert objects(shop, "gateways.gateway.networking.k8s.io", "-A")
    labelled = [
        each
        for each in objects(shop, "deployments", "-A")
        if each["spec"]["template"]["metadata"].get("labels", {}).get("istio.io/rev")
        and each["metadata"]["namespace"] != "istio-system"
    ]
    assert labelled
    for each in labelled:
        running = objects(shop, "pods", "-n", each["metadata"]["namespace"])
        mine = [pod for pod in running if pod["metadata"]["name"].startswith(each["metadata"]["name"] + "-")]
        names = [c["name"] for pod in mine for c in pod["spec"].get("initContainers", []) + pod["spec"]["containers"]]
        if each["spec"].get("replicas", 1):
            assert "istio-proxy" in names, each["metadata"]["name"]
    assert objects(shop, "leases", "-n", "meshup-system")
    assert objects(shop, "configmaps", "-n", "meshup-system")

    status = shop.meshup("status")
    assert "onboard" in status.out
    assert shop.meshup("status", "-o", "json").document()["schema"].startswith("meshup.dev/")
    assert shop.mutations() == after, "status reads"

    # A service owner goes back, by themselves, to the release that was there.
    to = rollback_target(shop)
    dry = shop.meshup("rollback", "cart", "--to", to, *ROLLBACK[:-1], "--dry-run")
    assert "cart" in dry.out
    assert shop.mutations() == after, "a dry run writes nothing"
    shop.meshup("rollback", "cart", "--to", to, *ROLLBACK)
    pins = objects(shop, "meshpins.meshup.dev", "-n", "shop")
    assert len(pins) == 1
    assert pins[0]["spec"]["reason"] == ROLLBACK[1]
    assert "cart" in shop.meshup("pins").out
    again = shop.meshup("replay", "shop/cart", "-o", "json").document()
    kinds = [each["kind"] for each in again["verdicts"] if each["now"] is not None]
    assert (again["run"], again["same"], kinds) == (
        pins[0]["metadata"]["name"],
        True,
        ["workloads-ready", "proxies-right"],
    )
    report = shop.meshup("report")
    assert "cart" in report.out
    assert to in report.out
    assert shop.meshup("report", "-o", "json").document()["schema"].startswith("meshup.dev/")

    shop.meshup("simulator", "stop")
    shop.kubectl("get", "pods", "-A", code=1)


def rollback_target(person: Person) -> str:
    """Give the release that cart ran before the rollout: the shop begins with it on an older one."""
    found = [
        each["metadata"]["labels"]["istio.io/rev"]
        for each in objects(person, "deployments", "-n", "istio-system")
        if each["metadata"].get("labels", {}).get("istio.io/rev")
    ]
    older = sorted(found, key=lambda each: [int(part) for part in each.split("-") if part.isdigit()])
    assert len(older) >= 2, found
    return older[0].replace("-", ".")


def test_drift_in_a_planned_field_is_refused_and_elsewhere_is_not(shop: Person) -> None:
    shop.meshup("init")
    shop.meshup("plan", "--out", "p.plan.json")
    # An owner's new image does not make the plan stale.
    name = "reviews"
    where = json.loads(
        shop.kubectl("get", "deployments", "-A", "-o", "json", "--field-selector", f"metadata.name={name}").out
    )
    (found,) = where["items"]
    namespace = found["metadata"]["namespace"]
    container = found["spec"]["template"]["spec"]["containers"][0]["name"]
    shop.kubectl("set", "image", f"deployment/{name}", "-n", namespace, f"{container}=shop/{name}:2")
    shop.kubectl("rollout", "status", f"deployment/{name}", "-n", namespace, "--timeout=120s")
    shop.meshup("apply", "p.plan.json", "--through", "ingress", "--yes")
    # A label that the plan means to own does.
    patch = {"spec": {"template": {"metadata": {"labels": {"istio.io/rev": "mine"}}}}}
    shop.kubectl("patch", "deployment", name, "-n", namespace, "--field-manager", "argocd", "-p", json.dumps(patch))
    refused = shop.meshup("apply", "p.plan.json", "--through", "onboard", "--yes", code=6)
    for word in (name, "istio.io/rev", "argocd", "MU2201"):
        assert word in refused.out + refused.err, str(refused)


def test_a_colleague_resumes_with_only_a_kubeconfig(shop: Person) -> None:
    shop.meshup("init")
    shop.meshup("apply", "--through", "ingress", "--yes")
    for each in ("meshup.yaml", "meshup.lock"):
        (shop.home / each).unlink()
    shop.meshup("apply", "--resume", "--through", "onboard", "--yes")
    assert "onboard" in shop.meshup("status").out


@pytest.mark.parametrize("output", ["text", "json", "events"])
def test_the_exit_code_never_depends_on_the_output(shop: Person, output: str) -> None:
    shop.meshup("init")
    shop.meshup("apply", "--through", "preflight", "--yes", "-o", output, code=0)


def test_the_simulator_is_started_once_and_stopped_twice(shop: Person) -> None:
    assert shop.meshup("simulator", "status").code == 0
    shop.meshup("simulator", "stop")
    shop.meshup("simulator", "stop", code=None)
    shop.meshup("status", code=None).is_one_error(exit_code=7)


def test_it_is_a_kubectl_plugin(shop: Person) -> None:
    said = shop.kubectl("meshup", "--help")
    assert "kubectl meshup" in said.out
    assert "meshup" in shop.kubectl("plugin", "list", code=None).out
