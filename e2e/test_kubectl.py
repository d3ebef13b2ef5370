"""The stock kubectl works on the simulator as on any cluster."""

from __future__ import annotations

import json
import subprocess
import threading
import time

import pytest
import yaml
from conftest import Person

pytestmark = pytest.mark.e2e

DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "hello", "namespace": "tryout", "labels": {"app": "hello"}},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "hello"}},
        "template": {
            "metadata": {"labels": {"app": "hello"}},
            "spec": {"containers": [{"name": "hello", "image": "shop/hello:1", "ports": [{"containerPort": 80}]}]},
        },
    },
}


@pytest.fixture
def tryout(shop: Person) -> Person:
    """A namespace with one Deployment, made by server-side apply."""
    shop.kubectl("create", "namespace", "tryout")
    (shop.home / "hello.yaml").write_text(yaml.safe_dump(DEPLOYMENT))
    shop.kubectl("apply", "--server-side", "-f", "hello.yaml")
    shop.kubectl("rollout", "status", "deployment/hello", "-n", "tryout", "--timeout=120s")
    return shop


def get(person: Person, *what: str) -> dict:
    """Give an object as kubectl sees it."""
    return json.loads(person.kubectl("get", *what, "-o", "json").out)


def test_get_in_all_forms(tryout: Person) -> None:
    table = tryout.kubectl("get", "deployments", "-n", "tryout").out.splitlines()
    assert table[0].split()[:3] == ["NAME", "READY", "UP-TO-DATE"]
    assert table[1].split()[:2] == ["hello", "2/2"]
    assert "hello" in tryout.kubectl("get", "deploy", "-A", "-o", "wide").out
    assert tryout.kubectl("get", "deploy", "hello", "-n", "tryout", "-o", "name").out.strip() == "deployment.apps/hello"
    path = "jsonpath={.status.availableReplicas}"
    assert tryout.kubectl("get", "deploy", "hello", "-n", "tryout", "-o", path).out == "2"
    assert len(tryout.kubectl("get", "pods", "-n", "tryout", "-l", "app=hello", "--no-headers").out.splitlines()) == 2
    running = ("get", "pods", "-n", "tryout", "--field-selector", "status.phase=Running", "--no-headers")
    assert len(tryout.kubectl(*running).out.splitlines()) == 2
    assert "NotFound" in tryout.kubectl("get", "deploy", "nobody", "-n", "tryout", code=1).err
    assert "tryout" in tryout.kubectl("get", "ns").out
    assert len(tryout.kubectl("get", "pods", "-A", "--chunk-size=3", "--no-headers").out.splitlines()) > 10
    tryout.kubectl("get", "all", "-n", "tryout")


def test_describe(tryout: Person) -> None:
    said = tryout.kubectl("describe", "deployment", "hello", "-n", "tryout").out
    assert "2 desired | 2 updated | 2 total | 2 available" in said
    assert "shop/hello:1" in tryout.kubectl("describe", "pods", "-n", "tryout").out


def test_server_side_apply_and_its_conflicts(tryout: Person) -> None:
    assert tryout.kubectl("apply", "--server-side", "-f", "hello.yaml").out.strip().endswith("serverside-applied")
    other = {**DEPLOYMENT, "spec": {**DEPLOYMENT["spec"], "replicas": 3}}
    (tryout.home / "other.yaml").write_text(yaml.safe_dump(other))
    refused = tryout.kubectl("apply", "--server-side", "--field-manager", "other", "-f", "other.yaml", code=1)
    assert "conflict" in refused.err
    assert ".spec.replicas" in refused.err
    tryout.kubectl("apply", "--server-side", "--field-manager", "other", "--force-conflicts", "-f", "other.yaml")
    managers = {
        each["manager"]
        for each in get(tryout, "deploy", "hello", "-n", "tryout", "--show-managed-fields")["metadata"]["managedFields"]
    }
    assert {"kubectl", "other"} <= managers


def test_client_side_apply_and_diff(tryout: Person) -> None:
    (tryout.home / "config.yaml").write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "c", "namespace": "tryout"},
                "data": {"a": "1"},
            }
        )
    )
    tryout.kubectl("apply", "-f", "config.yaml")
    assert tryout.kubectl("diff", "-f", "config.yaml").out == ""
    (tryout.home / "config.yaml").write_text((tryout.home / "config.yaml").read_text().replace("'1'", "'2'"))
    said = tryout.kubectl("diff", "-f", "config.yaml", code=1).out
    assert '-  a: "1"' in said
    assert '+  a: "2"' in said
    assert get(tryout, "cm", "c", "-n", "tryout")["data"] == {"a": "1"}, "diff is a dry run"
    tryout.kubectl("apply", "-f", "config.yaml")
    assert get(tryout, "cm", "c", "-n", "tryout")["data"] == {"a": "2"}


def test_label_annotate_and_three_patches(tryout: Person) -> None:
    hello = ("deployment", "hello", "-n", "tryout")
    tryout.kubectl("label", *hello, "team=red")
    assert "already has a value" in tryout.kubectl("label", *hello, "team=blue", code=1).err
    tryout.kubectl("label", *hello, "team=blue", "--overwrite")
    tryout.kubectl("annotate", *hello, "note=x")
    tryout.kubectl(
        "patch", *hello, "-p", '{"spec":{"template":{"spec":{"containers":[{"name":"hello","image":"shop/hello:2"}]}}}}'
    )
    tryout.kubectl("patch", *hello, "--type", "merge", "-p", '{"metadata":{"labels":{"merged":"yes"}}}')
    tryout.kubectl("patch", *hello, "--type", "json", "-p", '[{"op":"replace","path":"/spec/replicas","value":3}]')
    found = get(tryout, *hello)
    assert found["metadata"]["labels"] == {"app": "hello", "team": "blue", "merged": "yes"}
    assert found["spec"]["replicas"] == 3
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "shop/hello:2"
    assert found["spec"]["template"]["spec"]["containers"][0]["ports"], "a strategic patch merges by name"
    tryout.kubectl("label", *hello, "team-")
    assert "team" not in get(tryout, *hello)["metadata"]["labels"]


def test_rollout_restart_scale_undo_and_wait(tryout: Person) -> None:
    hello = ("deployment/hello", "-n", "tryout")
    tryout.kubectl("rollout", "restart", *hello)
    tryout.kubectl("rollout", "status", *hello, "--timeout=120s")
    tryout.kubectl("scale", *hello, "--replicas=1")
    tryout.kubectl("wait", *hello, "--for=jsonpath={.status.availableReplicas}=1", "--timeout=120s")
    tryout.kubectl("wait", *hello, "--for=condition=Available", "--timeout=120s")
    assert len(tryout.kubectl("rollout", "history", *hello).out.strip().splitlines()) >= 4
    tryout.kubectl("rollout", "undo", *hello)
    tryout.kubectl("rollout", "status", *hello, "--timeout=120s")


def test_delete_takes_what_it_owns_along(tryout: Person) -> None:
    tryout.kubectl("delete", "deployment", "hello", "-n", "tryout", "--timeout=120s")
    tryout.kubectl("wait", "pods", "-n", "tryout", "-l", "app=hello", "--for=delete", "--timeout=120s", code=None)
    assert tryout.kubectl("get", "rs,pods", "-n", "tryout", "--no-headers").out == ""
    tryout.kubectl("delete", "namespace", "tryout", "--timeout=120s")
    assert "NotFound" in tryout.kubectl("get", "ns", "tryout", code=1).err


def test_watch_hears_of_a_change(tryout: Person) -> None:
    watch = subprocess.Popen(
        [str(tryout.programs.kubectl), "get", "cm", "-n", "tryout", "--watch", "--no-headers"],
        stdout=subprocess.PIPE,
        text=True,
        env=tryout.env,
    )
    heard: list[str] = []
    assert watch.stdout is not None
    reader = threading.Thread(target=lambda: heard.extend(iter(watch.stdout.readline, "")), daemon=True)
    reader.start()
    try:
        time.sleep(1.0)
        tryout.kubectl("create", "configmap", "seen", "-n", "tryout", "--from-literal=a=1")
        until = time.monotonic() + 15
        while time.monotonic() < until and not any("seen" in line for line in heard):
            time.sleep(0.1)
    finally:
        watch.kill()
        watch.wait()
        reader.join(5)
        watch.stdout.close()
    assert any("seen" in line for line in heard)


def test_explain_and_api_resources(tryout: Person) -> None:
    said = tryout.kubectl("explain", "deployment.spec.replicas").out
    assert "integer" in said
    resources = tryout.kubectl("api-resources").out
    for name in ("deployments", "leases", "mutatingwebhookconfigurations", "customresourcedefinitions", "cronjobs"):
        assert name in resources, name
    assert "apps/v1" in tryout.kubectl("api-versions").out


def test_who_may_do_what(tryout: Person) -> None:
    assert tryout.kubectl("auth", "can-i", "create", "deployments", "-n", "tryout").out.strip() == "yes"
    assert "Username" in tryout.kubectl("auth", "whoami").out
    denied = tryout.kubectl("auth", "can-i", "delete", "pods", "-n", "tryout", "--as", "nobody@example.com", code=1)
    assert denied.out.strip().startswith("no")
    assert "forbidden" in tryout.kubectl("get", "pods", "-n", "tryout", "--as", "nobody@example.com", code=1).err


def test_definitions_give_kinds_with_their_schema(tryout: Person) -> None:
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "properties": {
                                "spec": {
                                    "type": "object",
                                    "required": ["size"],
                                    "properties": {
                                        "size": {"type": "integer"},
                                        "colour": {"type": "string", "default": "red"},
                                    },
                                }
                            },
                        }
                    },
                }
            ],
        },
    }
    (tryout.home / "crd.yaml").write_text(yaml.safe_dump(crd))
    tryout.kubectl("apply", "--server-side", "-f", "crd.yaml")
    tryout.established("widgets.example.com")
    widget = {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "w", "namespace": "tryout"},
        "spec": {"size": 3},
    }
    (tryout.home / "w.yaml").write_text(yaml.safe_dump(widget))
    tryout.kubectl("apply", "--server-side", "-f", "w.yaml")
    assert get(tryout, "widget", "w", "-n", "tryout")["spec"] == {"size": 3, "colour": "red"}
    widget["spec"] = {"size": "three"}
    (tryout.home / "w.yaml").write_text(yaml.safe_dump(widget))
    assert "spec.size" in tryout.kubectl("apply", "--server-side", "-f", "w.yaml", code=1).err


def test_logs_of_a_pod(tryout: Person) -> None:
    tryout.kubectl("logs", "deployment/hello", "-n", "tryout", "--tail=5")


def test_what_it_does_not_do_it_says(tryout: Person) -> None:
    said = tryout.kubectl("get", "--raw", "/apis/apps/v1/namespaces/tryout/deployments/hello/nosuch", code=1)
    assert said.err
