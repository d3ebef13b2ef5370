"""An ingress without hosts of its own stands for the Ingress objects that it names; the plan freezes what they say."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "steps"))
from acting import book, seen

from meshup.engine.draft import draft
from meshup.meshes.istio.driver import IstioSidecar
from meshup.model.objects import Ref
from meshup.steps import BUILT_IN

STEPS = {each.kind: each for each in BUILT_IN}
SHOP = {
    "Ingress edge/shop": {
        "metadata": {"annotations": {"nginx.ingress.kubernetes.io/rewrite-target": "/"}},
        "spec": {
            "rules": [
                {
                    "host": "shop.example",
                    "http": {"paths": [{"path": "/", "backend": {"service": {"name": "web", "port": {"number": 80}}}}]},
                }
            ]
        },
    }
}
SOURCE = Ref(api_version="networking.k8s.io/v1", kind="Ingress", namespace="edge", name="shop")


def drafted(*objects):
    whole = book({"step": {"ingress-gateway": {}}, "ingress": {"hosts": {}}, "earlier": []})
    return draft(
        replace(whole, ingress=replace(whole.ingress, source=(SOURCE,))),
        seen(objects),
        steps=STEPS,
        driver=IstioSidecar(),
    )


def test_hosts_are_read_from_the_objects_and_frozen():
    found = drafted(SHOP)
    assert [each.host for each in found.book.ingress.hosts] == ["shop.example"]
    assert found.problems == ()
    assert any("HTTPRoute" in each.draft.summary for _, each in found.drafts())
    assert [each for each in found.notes if "rewrite-target" in each]


def test_objects_that_are_not_there_leave_nothing_to_route():
    assert [each.code for each in drafted().problems] == ["MU3213"]
