"""Webhooks that answer, dry runs through them, budgets, accounts, quotas."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from asking import CM, PODS, ask, config, pod, read, server

from meshup.simulate.api.users import User

HOOKS = "/apis/admissionregistration.k8s.io/v1"


def hook(**changed):
    return {
        "name": "inject.example.com",
        "clientConfig": {"service": {"name": "injector", "namespace": "mesh", "path": "/inject"}},
        "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        **changed,
    }


def configured(one, sort="Mutating", **changed):
    kind = f"{sort}WebhookConfiguration"
    body = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": "hooks"},
        "webhooks": [hook(**changed)],
    }
    assert ask(one, "POST", f"{HOOKS}/{kind.lower()}s", body).status == 201


def injecting(review):
    patch = [{"op": "add", "path": "/spec/containers/-", "value": {"name": "proxy", "image": "proxy:1"}}]
    return {"allowed": True, "patch": base64.b64encode(json.dumps(patch).encode()).decode(), "patchType": "JSONPatch"}


def test_a_webhook_adds_a_container_and_the_server_fills_in_its_defaults():
    one = server()
    one.webhooks["mesh", "injector"] = injecting
    configured(one)
    made = read(ask(one, "POST", PODS, pod()))
    assert [each["name"] for each in made["spec"]["containers"]] == ["c", "proxy"]
    assert made["spec"]["containers"][1]["imagePullPolicy"] == "IfNotPresent"


def test_a_dry_run_passes_through_webhooks_and_stores_nothing():
    one = server()
    asked = []
    one.webhooks["mesh", "injector"] = lambda review: asked.append(review["request"]["dryRun"]) or injecting(review)
    configured(one)
    made = read(ask(one, "POST", PODS, pod(), dryRun="All"))
    assert [each["name"] for each in made["spec"]["containers"]] == ["c", "proxy"]
    assert asked == [True]
    assert one.objects.get("pods", "default", "a") is None


def test_pods_that_controllers_create_are_admitted_too():
    one = server()
    one.webhooks["mesh", "injector"] = injecting
    configured(one)
    body = pod()
    body["metadata"]["namespace"] = "default"
    assert len(one.objects.create("pods", body)["spec"]["containers"]) == 2


@pytest.mark.parametrize(("policy", "status"), [("Fail", 500), ("Ignore", 201)])
def test_a_webhook_that_raises_is_one_that_cannot_be_reached(policy, status):
    one = server()

    def down(review):
        raise ConnectionError("connection refused")

    one.webhooks["mesh", "injector"] = down
    configured(one, failurePolicy=policy)
    answer = ask(one, "POST", PODS, pod())
    assert answer.status == status
    if policy == "Fail":
        assert 'failed calling webhook "inject.example.com"' in read(answer)["message"]


def test_a_webhook_that_denies_says_why():
    one = server()
    one.webhooks["mesh", "injector"] = lambda review: {"allowed": False, "status": {"message": "no", "code": 403}}
    configured(one, sort="Validating")
    answer = ask(one, "POST", PODS, pod())
    assert answer.status == 403
    assert read(answer)["message"] == 'admission webhook "inject.example.com" denied the request: no'


def test_selectors_decide_whether_a_webhook_is_asked():
    one = server()
    one.webhooks["mesh", "injector"] = injecting
    configured(
        one,
        objectSelector={"matchExpressions": [{"key": "sidecar", "operator": "NotIn", "values": ["false"]}]},
        namespaceSelector={"matchLabels": {"kubernetes.io/metadata.name": "default"}},
    )
    assert len(read(ask(one, "POST", PODS, pod("a")))["spec"]["containers"]) == 2
    out = pod("b")
    out["metadata"]["labels"]["sidecar"] = "false"
    assert len(read(ask(one, "POST", PODS, out))["spec"]["containers"]) == 1
    elsewhere = ask(one, "POST", "/api/v1/namespaces/kube-system/pods", pod("c"))
    assert len(read(elsewhere)["spec"]["containers"]) == 1


def test_a_config_map_holds_a_mebibyte_and_no_more():
    one = server()
    assert ask(one, "POST", CM, config("a", k="x" * 1048576)).status == 201
    answer = ask(one, "POST", CM, config("b", k="x" * 1048577))
    assert answer.status == 422
    assert read(answer)["details"]["causes"] == [
        {"reason": "FieldValueTooLong", "message": "Too long: may not be more than 1048576 bytes", "field": "[]"}
    ]


def test_whoever_may_bind_may_grant_what_he_does_not_hold():
    one = server()
    roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
    role = {"metadata": {"name": "secrets"}, "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]}
    ask(one, "POST", f"{roles}/roles", role)
    rules = [{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["rolebindings"], "verbs": ["create"]}]
    one.objects.create("clusterroles.rbac.authorization.k8s.io", {"metadata": {"name": "binder"}, "rules": rules})
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "binder"}
    subjects = [{"kind": "User", "name": "ana"}]
    one.objects.create(
        "clusterrolebindings.rbac.authorization.k8s.io",
        {"metadata": {"name": "binder"}, "roleRef": ref, "subjects": subjects},
    )
    ana = one.as_user(User(name="ana"))
    binding = {"metadata": {"name": "b"}, "roleRef": {**ref, "kind": "Role", "name": "secrets"}, "subjects": subjects}
    assert ask(ana, "POST", f"{roles}/rolebindings", binding).status == 403
    more = {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["bind"]}
    held = one.objects.get("clusterroles.rbac.authorization.k8s.io", "", "binder")
    one.objects.update("clusterroles.rbac.authorization.k8s.io", {**held, "rules": [*rules, more]})
    assert ask(ana, "POST", f"{roles}/rolebindings", binding).status == 201


def test_a_deletion_can_be_denied():
    one = server()
    one.webhooks["mesh", "injector"] = lambda review: {"allowed": review["request"]["operation"] != "DELETE"}
    rules = [{"operations": ["DELETE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}]
    ask(one, "POST", CM, config())
    configured(one, sort="Validating", rules=rules)
    assert ask(one, "DELETE", f"{CM}/a").status == 400
    assert one.objects.get("configmaps", "default", "a") is not None


def test_a_disruption_budget_refuses_an_eviction_with_429():
    one = server()
    ask(one, "POST", PODS, pod())
    one.objects.update_status("pods", "default", "a", {"phase": "Running"})
    budget = {
        "metadata": {"name": "b", "namespace": "default"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "a"}}},
        "status": {"disruptionsAllowed": 0, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1},
    }
    one.objects.create("poddisruptionbudgets.policy", budget)
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "a"}}
    answer = ask(one, "POST", f"{PODS}/a/eviction", eviction)
    assert answer.status == 429
    assert read(answer)["message"] == "Cannot evict pod as it would violate the pod's disruption budget."
    one.objects.update_status("poddisruptionbudgets.policy", "default", "b", {"disruptionsAllowed": 1})
    assert ask(one, "POST", f"{PODS}/a/eviction", eviction).status == 201
    assert one.objects.get("poddisruptionbudgets.policy", "default", "b")["status"]["disruptionsAllowed"] == 0


def test_a_pod_on_a_node_ends_gracefully():
    one = server()
    ask(one, "POST", PODS, pod(nodeName="n1"))
    first = read(ask(one, "DELETE", f"{PODS}/a"))
    assert first["metadata"]["deletionGracePeriodSeconds"] == 30
    assert one.objects.get("pods", "default", "a") is not None
    assert one.objects.delete("pods", "default", "a", options={"gracePeriodSeconds": 0})
    assert one.objects.get("pods", "default", "a") is None


def test_a_custom_kind_is_served_a_moment_after_its_definition():
    one = server()
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things"},
            "versions": [
                {
                    "name": name,
                    "served": True,
                    "storage": name == "v1",
                    "schema": {"openAPIV3Schema": {"type": "object"}},
                }
                for name in ("v1", "v1beta1")
            ],
        },
    }
    assert ask(one, "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition).status == 201
    assert ask(one, "GET", "/apis/example.com/v1/namespaces/default/things").status == 404
    one.clock.advance(1)
    thing = {"apiVersion": "example.com/v1beta1", "kind": "Thing", "metadata": {"name": "a"}}
    assert ask(one, "POST", "/apis/example.com/v1beta1/namespaces/default/things", thing).status == 201
    other = read(ask(one, "GET", "/apis/example.com/v1/namespaces/default/things/a"))
    assert other["apiVersion"] == "example.com/v1"


def test_a_token_of_a_service_account_is_that_account():
    one = server()
    path = "/api/v1/namespaces/default/serviceaccounts/default/token"
    made = read(ask(one, "POST", path, {"spec": {"audiences": []}}))
    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": made["status"]["token"]},
    }
    found = read(ask(one, "POST", "/apis/authentication.k8s.io/v1/tokenreviews", review))
    assert found["status"]["user"]["username"] == "system:serviceaccount:default:default"
