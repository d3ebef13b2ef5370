"""Manifests: from the pinned release's program, charts, a vendored folder or stand-ins; always the same bytes."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from meshup.meshes.istio.driver import IstioSidecar
from meshup.meshes.istio.render import values_of
from meshup.model.objects import dig, labels, ref_of
from meshup.model.problem import Refused, UsageError
from meshup.model.runbook import Manifests, Mesh

CASES = Path(__file__).parent.parent / "cases" / "meshes"
REAL = os.environ.get("MESHUP_ISTIOCTL", "")
DRIVER = IstioSidecar()


def mesh(source, path="", *, release="1.30.3", revision="1-30-3", digest="", **values):
    return Mesh(
        driver="istio",
        release=release,
        revision=revision,
        namespace="istio-system",
        manifests=Manifests(source=source, path=str(path), digest=digest),
        values=values,
    )


def program(folder, name, body):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def istioctl(folder, *, release="1.30.3", generate="cat $3x 2>/dev/null; cat manifests.yaml"):
    version = json.dumps({"clientVersion": {"version": release}})
    return program(
        folder, "istioctl", f"cd '{folder}'\nif [ \"$1\" = version ]; then echo '{version}'; else {generate}; fi"
    )


OBJECTS = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: istio-validator-1-30-3-istio-system, labels: {istio.io/rev: 1-30-3}}
webhooks: [{name: v, failurePolicy: Ignore, clientConfig: {caBundle: "", service: {name: istiod-1-30-3}}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: istiod-1-30-3, namespace: istio-system}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: istio-reader-service-account, namespace: istio-system}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gateways.networking.istio.io}
"""


@pytest.mark.parametrize("revision", ["1-29", "1-30-3", "default"])
def test_stand_ins_are_whole_objects_in_order(revision):
    made = DRIVER.render(mesh("stand-in", revision=revision))
    kinds = [each["kind"] for each in made.objects]
    assert kinds.index("Namespace") < kinds.index("Deployment") < kinds.index("MutatingWebhookConfiguration")
    assert "CustomResourceDefinition" not in kinds[kinds.index("Namespace") :]
    assert "$" not in json.dumps(made.objects).replace("$ref", "")
    assert [each.kind for each in made.ready] == ["Deployment"]
    assert made.digest == DRIVER.render(mesh("stand-in", revision=revision)).digest
    assert len({ref_of(each) for each in made.objects}) == len(made.objects)


def test_two_revisions_share_definitions_and_nothing_else():
    old = {ref_of(each): each for each in DRIVER.render(mesh("stand-in", release="1.29.2", revision="1-29")).objects}
    new = {ref_of(each): each for each in DRIVER.render(mesh("stand-in")).objects}
    shared = set(old) & set(new)
    assert {each.kind for each in shared} == {"CustomResourceDefinition", "Namespace"}
    assert all(old[each] == new[each] for each in shared)


def test_istioctl_is_asked_offline_and_its_version_is_checked(tmp_path):
    (tmp_path / "manifests.yaml").write_text(OBJECTS)
    made = DRIVER.render(mesh("istioctl", istioctl(tmp_path)))
    assert [each["kind"] for each in made.objects] == [
        "CustomResourceDefinition",
        "Namespace",
        "ServiceAccount",
        "Deployment",
        "ValidatingWebhookConfiguration",
    ]
    assert {each.kind for each in made.shared} == {"CustomResourceDefinition", "Namespace", "ServiceAccount"}
    (again,) = made.again.values()
    assert again["webhooks"] == [{"name": "v", "clientConfig": {"service": {"name": "istiod-1-30-3"}}}]


def test_another_release_of_istioctl_is_refused(tmp_path):
    with pytest.raises(Refused) as raised:
        DRIVER.render(mesh("istioctl", istioctl(tmp_path, release="1.30.2")))
    assert raised.value.code == "MU4102"


@pytest.mark.parametrize(
    ("code", "generate"),
    [
        ("MU4103", "echo 'unknown field' >&2; exit 1"),
        ("MU4105", "echo 'a: ['"),
        ("MU4105", "echo 'a: b'"),
        ("MU4105", "echo '[1, 2]'"),
    ],
)
def test_what_a_program_answers_is_checked(tmp_path, code, generate):
    with pytest.raises(UsageError) as raised:
        DRIVER.render(mesh("istioctl", istioctl(tmp_path, generate=generate)))
    assert raised.value.code == code


@pytest.mark.parametrize("answer", ["not json", "{}", "[]"])
def test_a_program_that_does_not_say_its_version_is_refused(tmp_path, answer):
    path = program(tmp_path, "istioctl", f"echo '{answer}'")
    with pytest.raises((Refused, UsageError)) as raised:
        DRIVER.render(mesh("istioctl", path))
    assert raised.value.code in ("MU4101", "MU4102")


def test_a_program_that_is_not_there_is_said(tmp_path):
    with pytest.raises(UsageError) as raised:
        DRIVER.render(mesh("istioctl", tmp_path / "nowhere"))
    assert raised.value.code == "MU4101"


def test_values_reach_the_program_and_no_shell_does(tmp_path):
    (tmp_path / "manifests.yaml").write_text(OBJECTS)
    path = istioctl(tmp_path, generate='cp "${3#--filename=}" seen.json; cat manifests.yaml')
    DRIVER.render(mesh("istioctl", path, pilot={"env": {"X": "$(touch hacked); `id`"}}, hub="example"))
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert seen["spec"]["revision"] == "1-30-3"
    assert seen["spec"]["hub"] == "example"
    assert seen["spec"]["values"] == {"pilot": {"env": {"X": "$(touch hacked); `id`"}}}
    assert not (tmp_path / "hacked").exists()


def test_a_pinned_digest_that_differs_is_refused(tmp_path):
    (tmp_path / "a.yaml").write_text(OBJECTS)
    first = DRIVER.render(mesh("directory", tmp_path))
    assert DRIVER.render(mesh("directory", tmp_path, digest=first.digest)).digest == first.digest
    (tmp_path / "a.yaml").write_text(OBJECTS.replace("istiod-1-30-3, namespace", "istiod-1-30-4, namespace"))
    with pytest.raises(Refused) as raised:
        DRIVER.render(mesh("directory", tmp_path, digest=first.digest))
    assert raised.value.code == "MU4104"


def test_a_folder_is_read_whole_and_only_itself(tmp_path):
    inside, outside = tmp_path / "in", tmp_path / "out.yaml"
    inside.mkdir()
    with pytest.raises(UsageError) as raised:
        DRIVER.render(mesh("directory", inside))
    assert raised.value.code == "MU4106"
    (inside / "a.yaml").write_text(OBJECTS)
    outside.write_text(OBJECTS)
    (inside / "b.yaml").symlink_to(outside)
    with pytest.raises(UsageError) as raised:
        DRIVER.render(mesh("directory", inside))
    assert raised.value.code == "MU4106"


def test_access_logs_are_on_unless_the_runbook_says_otherwise(tmp_path):
    bare = mesh("istioctl", tmp_path)
    assert values_of(bare)["meshConfig"] == {"accessLogFile": "/dev/stdout"}
    stated = replace(bare, values={"meshConfig": {"accessLogFile": "", "enableTracing": False}, "hub": "x"})
    assert values_of(stated) == stated.values


def test_manifests_are_the_same_as_json_and_as_yaml(tmp_path):
    both = {"json": tmp_path / "json", "yaml": tmp_path / "yaml"}
    documents = list(yaml.safe_load_all(OBJECTS))
    for kind, folder in both.items():
        folder.mkdir()
        for number, each in enumerate(documents):
            text = json.dumps(each) if kind == "json" else yaml.safe_dump(each)
            (folder / f"{number}.{kind}").write_text(text)
    first, second = (DRIVER.render(mesh("directory", each)) for each in both.values())
    assert (first.objects, first.digest) == (second.objects, second.digest)
    (both["json"] / "more.json").write_text('{"apiVersion": "v1", "kind": "ConfigMap", ')
    with pytest.raises(UsageError) as broken:
        DRIVER.render(mesh("directory", both["json"]))
    assert (broken.value.code, "more.json" in broken.value.what) == ("MU4105", True)


def test_helm_renders_its_charts_with_the_revision(tmp_path, monkeypatch):
    charts = tmp_path / "charts"
    for name in ("base", "istiod"):
        (charts / name).mkdir(parents=True)
    (tmp_path / "manifests.yaml").write_text(OBJECTS)
    program(
        tmp_path,
        "helm",
        f"echo \"$@\" >> '{tmp_path}/calls'\ncase \"$2\" in istio-base) ;; *) cat '{tmp_path}/manifests.yaml';; esac",
    )
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    made = DRIVER.render(mesh("helm", charts))
    assert [each.name for each in made.ready] == ["istiod-1-30-3"]
    first, second = (tmp_path / "calls").read_text().splitlines()
    assert first.startswith("template istio-base ")
    assert second.startswith("template istiod-1-30-3 ")


def test_the_recorded_facts_of_a_real_render_hold():
    facts = yaml.safe_load((CASES / "istioctl-1.31.0-dev.yaml").read_text("utf-8"))
    assert sum(facts["kinds"].values()) == len(facts["objects"])
    assert [
        each
        for each in facts["without-revision-label"]
        if each.startswith(("Role ", "ClusterRole ", "ServiceAccount "))
    ]


@pytest.mark.skipif(not REAL, reason="MESHUP_ISTIOCTL names no istioctl of 1.31.0-dev")
def test_a_real_istioctl_renders_as_recorded():
    facts = yaml.safe_load((CASES / "istioctl-1.31.0-dev.yaml").read_text("utf-8"))
    assert facts_of(DRIVER.render(mesh("istioctl", REAL, release="1.31.0-dev", revision="1-31"))) == facts


def facts_of(made):
    kinds: dict = {}
    for each in made.objects:
        kinds[each["kind"]] = kinds.get(each["kind"], 0) + 1
    return {
        "kinds": kinds,
        "digest": made.digest,
        "objects": [str(ref_of(each)) for each in made.objects],
        "shared": sorted(str(each) for each in made.shared),
        "without-revision-label": [
            str(ref_of(each))
            for each in made.objects
            if "istio.io/rev" not in labels(each) and ref_of(each) not in made.shared
        ],
        "failure-policies": {
            f"{each['kind']} {hook['name']}": hook.get("failurePolicy")
            for each in made.objects
            for hook in each.get("webhooks") or ()
        },
        "replicas": [dig(each, "spec", "replicas") for each in made.objects if each["kind"] == "Deployment"],
    }
