"""A copy of a cluster: only read, with the mesh that is there, and with traffic that is assumed and said to be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from meshup.cli.kinds import drivers
from meshup.cli.main import main
from meshup.cli.playing import calls, copied, proposed, session_of
from meshup.cli.simulating import programs
from meshup.cluster.connect import over
from meshup.engine.execute import apply
from meshup.engine.history import newest_run
from meshup.engine.planning import plan_from, snapshot_for
from meshup.engine.rehearse import differences, rehearse
from meshup.meshes.istio.proxy import find
from meshup.model.objects import ref_of
from meshup.simulate.scenario import load


class Quiet:
    def tell(self, event):
        """Hear and forget."""


def planned(session, book):
    driver = session.drivers["istio"]
    return plan_from(session, book, snapshot_for(session, driver), driver)


@pytest.fixture(scope="module")
def shop():
    return load("shop", programs=programs())


@pytest.fixture(scope="module")
def book(shop):
    return proposed(session_of(shop, Quiet()))


def test_the_whole_runbook_is_played_on_the_copy_and_nothing_is_written_to_the_cluster(shop, book):
    before = shop.server.mutations
    cluster = over(shop.server, shop.clock, in_flight=1)
    copy = copied(cluster, drivers()["istio"], programs(), book)
    found = rehearse(session_of(copy, Quiet()), book)
    assert (found.exit, found.left) == (0, ())
    assert found.way_back_works
    assert dict(found.outcome.places)["strict/mesh"] == "done"
    assert shop.server.mutations == before


def test_a_rollout_that_is_half_done_goes_on_in_the_copy(book):
    """What meshup made is meshup's in the copy too, nothing is missing there, and its runs stay behind."""
    real = load("shop", programs=programs())
    session = session_of(real, Quiet())
    assert apply(session, planned(session, book), through="mtls").exit == 0
    copy = session_of(copied(over(real.server, real.clock, in_flight=1), drivers()["istio"], programs(), book), Quiet())
    here, there = planned(session, book), planned(copy, book)
    assert there.blocked == ()
    assert [each.summary for each in there.changes()] == [each.summary for each in here.changes()]
    assert newest_run(copy) is None


def test_who_is_in_the_mesh_already_is_so_in_the_copy(shop, book):
    copy = copied(over(shop.server, shop.clock, in_flight=1), drivers()["istio"], programs(), book)
    of_cart = list(copy.server.objects.list("pods", "shop", {"app": "cart"}))
    assert of_cart
    assert {find(pod).release for pod in of_cart} == {"1.29.4"}


def test_each_willing_service_calls_and_is_called_and_nobody_else(shop, book):
    objects = [each for key in shop.server.store.keys() for each in shop.server.store.list(key)]
    found = calls(book, [each for each in objects if each.get("kind")])
    willing = {each.id for each in book.services if each.opt_in is not None}
    serving = {callee for _, callee, _ in found}
    assert serving <= willing
    assert {caller for caller, _, _ in found} - {"ingress"} <= willing
    assert {caller for caller, _, _ in found} >= serving
    assert all(port > 0 for _, _, port in found)
    assert calls(replace(book, services=()), objects) == ()


def test_a_foreign_webhook_is_left_out_as_it_would_refuse_every_pod(shop, book):
    body = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "policy-engine"},
        "webhooks": [
            {
                "name": "pods.policy.example",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "failurePolicy": "Ignore",
                "clientConfig": {"service": {"name": "policy", "namespace": "policy-system"}},
                "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
            }
        ],
    }
    cluster = over(shop.server, shop.clock, in_flight=1)
    cluster.apply(body, manager="kubectl")
    copy = copied(cluster, drivers()["istio"], programs(), book)
    names = {
        each["metadata"]["name"]
        for each in copy.server.objects.list("mutatingwebhookconfigurations.admissionregistration.k8s.io")
    }
    assert "policy-engine" not in names
    assert names
    there = cluster.find(ref_of(body))
    assert there is not None


def test_a_runbook_of_another_cluster_names_the_copy_of_its_own(tmp_path, capsys):
    file = tmp_path / "other.yaml"
    text = next(Path("runbooks").glob("*.yaml")).read_text("utf-8")
    text = text.replace("from: istioctl", "from: stand-in")
    file.write_text(text.replace("workload: Deployment/", "workload: Deployment/other-"), "utf-8")
    assert main(["rehearse", "-f", str(file)]) == 6
    assert f"meshup rehearse -f {file} --from-cluster plays it on a copy" in " ".join(capsys.readouterr().err.split())


def test_a_mark_of_a_restart_that_stays_in_a_pod_template_is_no_difference(shop, book):
    session = session_of(shop, Quiet())
    first = snapshot_for(session, session.drivers["istio"])
    ref = next(each for each in first.objects if each.kind == "Deployment" and each.name == "cart")

    def annotated(key):
        body = first.objects[ref]
        template = {
            **body["spec"]["template"],
            "metadata": {**body["spec"]["template"]["metadata"], "annotations": {key: "1"}},
        }
        return replace(first, objects={**first.objects, ref: {**body, "spec": {**body["spec"], "template": template}}})

    assert differences(first, annotated("meshup.dev/restart")) == ()
    assert len(differences(first, annotated("shop.example/colour"))) == 1
