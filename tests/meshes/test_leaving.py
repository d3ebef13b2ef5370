"""Out of the mesh, and back onto another revision."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "steps"))
from acting import seen

from meshup.meshes.istio.driver import IstioSidecar
from meshup.meshes.istio.words import STATS, STATS_WANTED

DRIVER = IstioSidecar()
OURS = ",".join(STATS_WANTED)


def of(labels, notes=None, *, namespace=None, others=()):
    snapshot = seen(
        [
            {"Namespace shop": {"metadata": {"labels": namespace or {}}}},
            {
                "Deployment shop/web": {
                    "spec": {"template": {"metadata": {"labels": labels, "annotations": notes or {}}}}
                }
            },
            *others,
        ]
    )
    workload = next(snapshot.of("Deployment", "shop"))
    return workload, snapshot


def test_leaving_takes_away_what_enrolling_gave():
    workload, snapshot = of({"app": "web", "istio.io/rev": "1-30-3"}, {STATS: OURS})
    found = DRIVER.enrolment(workload, snapshot, None)
    assert found.set == {"istio.io/rev": None, "sidecar.istio.io/inject": None}
    assert found.annotations == {STATS: None}
    assert found.annotations_before == {STATS: OURS}
    assert not found.right


def test_a_service_that_is_out_is_out():
    workload, snapshot = of({"app": "web"})
    assert DRIVER.enrolment(workload, snapshot, None).right


def test_leaving_a_namespace_that_enrols_everybody_is_an_opt_out():
    hook = {
        "MutatingWebhookConfiguration istio-sidecar-injector-1-29": {
            "metadata": {"labels": {"app": "sidecar-injector", "istio.io/rev": "1-29"}},
            "webhooks": [
                {
                    "namespaceSelector": {"matchLabels": {"istio.io/rev": "1-29"}},
                    "objectSelector": {
                        "matchExpressions": [
                            {"key": "sidecar.istio.io/inject", "operator": "NotIn", "values": ["false"]}
                        ]
                    },
                }
            ],
        }
    }
    workload, snapshot = of({"app": "web"}, namespace={"istio.io/rev": "1-29"}, others=[hook])
    found = DRIVER.enrolment(workload, snapshot, None)
    assert found.blocked == ""
    assert found.set == {"istio.io/rev": None, "sidecar.istio.io/inject": "false"}
    out, snapshot = of(
        {"app": "web", "sidecar.istio.io/inject": "false"}, namespace={"istio.io/rev": "1-29"}, others=[hook]
    )
    assert DRIVER.enrolment(out, snapshot, None).right


def test_counters_of_the_owner_stay_beside_ours():
    workload, snapshot = of({"app": "web"}, {STATS: "mine"})
    found = DRIVER.enrolment(workload, snapshot, "1-30-3")
    assert found.annotations == {STATS: f"mine,{OURS}"}
    assert found.annotations_before == {STATS: "mine"}


def test_there_and_back_is_where_it_was():
    workload, snapshot = of({"app": "web", "istio.io/rev": "1-29"}, {STATS: OURS})
    there = DRIVER.enrolment(workload, snapshot, "1-30-3")
    assert there.before == {"istio.io/rev": "1-29"}
    moved, snapshot = of({"app": "web", "istio.io/rev": "1-30-3"}, {STATS: OURS})
    back = DRIVER.enrolment(moved, snapshot, "1-29")
    assert back.set == there.before
