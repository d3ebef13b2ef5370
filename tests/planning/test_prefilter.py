"""The local prefilter never calls a write unchanged that would change something; in doubt the server is asked."""

from __future__ import annotations

import pytest
from toymesh import deployment

from meshup.engine.known import same
from meshup.model.change import Apply
from meshup.model.objects import ref_of

BODY = deployment("shop", "web")
DEFAULTED = {
    **BODY,
    "metadata": {**BODY["metadata"], "uid": "1", "resourceVersion": "7"},
    "spec": {
        **BODY["spec"],
        "progressDeadlineSeconds": 600,
        "template": {
            **BODY["spec"]["template"],
            "spec": {
                "restartPolicy": "Always",
                "containers": [{"name": "app", "image": "shop/app:1", "imagePullPolicy": "IfNotPresent"}],
            },
        },
    },
}


def changed(path, value):
    found = _deep(DEFAULTED)
    node = found
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    return found


def _deep(value):
    if isinstance(value, dict):
        return {key: _deep(inner) for key, inner in value.items()}
    return [_deep(each) for each in value] if isinstance(value, list) else value


def test_server_defaults_are_no_change():
    assert same(Apply(on=ref_of(BODY), body=BODY), DEFAULTED)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "replicas"), 2),
        (("spec", "replicas"), "1"),
        (("spec", "replicas"), True),
        (("spec", "template", "spec", "containers", 0, "image"), "shop/app:2"),
        (("spec", "template", "spec", "containers"), []),
        (("spec", "template", "spec", "containers"), [{"name": "other"}, {"name": "app", "image": "shop/app:1"}]),
        (("spec", "template", "metadata", "labels"), {}),
        (("spec", "selector", "matchLabels", "app"), "webs"),
        (("metadata", "labels"), None),
    ],
)
def test_any_other_value_is_asked_about(path, value):
    body = BODY if path != ("metadata", "labels") else deployment("shop", "web", marks={"a": "b"})
    assert not same(Apply(on=ref_of(body), body=body), changed(path, value))


def test_a_list_that_is_no_keyed_list_must_be_equal():
    rules = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "rules": [{"verbs": ["get"]}]}
    wider = {**rules, "rules": [{"verbs": ["get"], "resources": ["pods"]}]}
    assert same(Apply(on=ref_of(rules), body=rules), rules)
    assert not same(Apply(on=ref_of(rules), body=rules), wider)


def test_a_field_we_own_and_no_longer_say_would_be_removed():
    fields = {"f:spec": {"f:replicas": {}, "f:paused": {}}}
    owned = {"manager": "meshup", "operation": "Apply", "fieldsV1": fields}
    there = {**DEFAULTED, "spec": {**DEFAULTED["spec"], "paused": True}}
    there = {**there, "metadata": {**there["metadata"], "managedFields": [owned]}}
    assert not same(Apply(on=ref_of(BODY), body=BODY), there)
    others = {**there, "metadata": {**there["metadata"], "managedFields": [{**owned, "manager": "helm"}]}}
    assert same(Apply(on=ref_of(BODY), body=BODY), others)


@pytest.mark.parametrize("owned", [{'k:{"name":"pull"}': {".": {}, "f:name": {}}}, {'v:"x"': {}}, {}])
def test_a_list_we_own_and_no_longer_say_would_be_removed(owned):
    fields = {"f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": {}, "f:imagePullSecrets": owned}}}}
    entry = {"manager": "meshup", "operation": "Apply", "fieldsV1": fields}
    there = changed(("spec", "template", "spec", "imagePullSecrets"), [{"name": "pull"}])
    there = {**there, "metadata": {**there["metadata"], "managedFields": [entry]}}
    assert not same(Apply(on=ref_of(BODY), body=BODY), there)
    assert same(Apply(on=ref_of(BODY), body=BODY), {**there, "spec": DEFAULTED["spec"]}), "it is gone already"


@pytest.mark.parametrize("name", ["a.b/c", "a~b", "plain"])
def test_a_label_of_ours_that_is_set_to_nothing_more_would_be_removed_and_the_marks_of_a_run_would_not(name):
    def with_labels(labels):
        owned = {"f:metadata": {"f:labels": {f"f:{each}": {} for each in labels}}}
        entry = {"manager": "meshup", "operation": "Apply", "fieldsV1": owned}
        return {**DEFAULTED, "metadata": {**DEFAULTED["metadata"], "labels": labels, "managedFields": [entry]}}

    bare = deployment("shop", "web")
    bare["metadata"] = {key: value for key, value in bare["metadata"].items() if key != "labels"}
    assert not same(Apply(on=ref_of(bare), body=bare), with_labels({name: "x"}))
    assert same(Apply(on=ref_of(bare), body=bare), with_labels({"meshup.dev/run": "x"}))
