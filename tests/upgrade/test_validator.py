"""The default validator leads to the new revision before the old one goes, and what leads to an old one is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from onboarded import NEW, OLD, Onboarded, onboarded
from vendored import folder

from meshup.engine.execute import apply
from meshup.engine.taking_back import run_plan
from meshup.model.objects import dig
from meshup.model.runbook import Runbook

CORNER = "tests/views/corner.yaml"
NAME = "istiod-default-validator"
KIND = "validatingwebhookconfigurations.admissionregistration.k8s.io"


def validator(revision: str) -> dict[str, Any]:
    """What the chart base renders for defaultRevision, as far as it matters."""
    rule = {"apiGroups": ["networking.istio.io"], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"]}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": NAME, "labels": {"app": "istiod", "istio.io/rev": revision}},
        "webhooks": [
            {
                "name": "validation.istio.io",
                "clientConfig": {
                    "service": {"name": f"istiod-{revision}", "namespace": "istio-system", "path": "/validate"}
                },
                "rules": [{**rule, "resources": ["*"]}],
                "failurePolicy": "Ignore",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            }
        ],
    }


@pytest.fixture
def made(tmp_path: Path) -> Onboarded:
    def vendored(book: Runbook) -> Runbook:
        return replace(
            book, mesh=replace(book.mesh, manifests=folder(tmp_path / "old", book.mesh, validator(book.mesh.revision)))
        )

    return onboarded(CORNER, ledger=False, but=vendored)


def asks(made: Onboarded) -> tuple[str, str]:
    """Which Service the validator asks, and what becomes of a request when that does not answer."""
    found = made.simulation.server.objects.get(KIND, "", NAME)
    hook = dig(found, "webhooks", 0)
    return str(dig(hook, "clientConfig", "service", "name")), str(hook["failurePolicy"])


def newer(made: Onboarded, tmp_path: Path) -> Runbook:
    mesh = replace(made.book.mesh, release=NEW, revision="1-31-0")
    return made.written(manifests=folder(tmp_path / "new", mesh, validator(mesh.revision)).path)


def test_it_is_repointed_once_the_new_control_plane_answers_and_the_old_one_goes_after(
    made: Onboarded, tmp_path: Path
) -> None:
    assert asks(made) == ("istiod-1-30-3", "Fail")
    plan = made.plan(newer(made, tmp_path))
    change = next(each for each in plan.changes() if each.change.on.name == NAME)
    assert change.summary == f"change ValidatingWebhookConfiguration {NAME}: it asks istiod-1-31-0"
    assert change.settled
    unanswered: list[str] = []

    def look(_: object) -> None:
        service, _policy = asks(made)
        if ("istio-system", service) not in made.simulation.server.webhooks:
            unanswered.append(service)

    made.simulation.server.store.subscribe(look)
    assert apply(made.session, plan).exit == 0
    assert unanswered == []
    assert asks(made) == ("istiod-1-31-0", "Fail")
    assert OLD not in made.driver.installed(made.seen()).values(), "nothing leads to it any more, so it went"


def test_the_way_back_repoints_it_to_the_old_control_plane(made: Onboarded, tmp_path: Path) -> None:
    assert apply(made.session, made.plan(newer(made, tmp_path))).exit == 0
    back = apply(made.session, run_plan(made.session))
    assert back.exit == 0, back.why
    assert asks(made)[0] == "istiod-1-30-3"


def test_one_of_somebody_else_is_left_and_the_plan_says_that_the_old_revision_stays_for_it() -> None:
    made = onboarded(CORNER, ledger=False)
    made.session.cluster.apply(validator("1-30-3"), manager="istioctl")
    plan = made.plan(made.written())
    said = next(each for each in plan.notes if NAME in each)
    assert said.startswith(f"revision 1-30-3 stays, as ValidatingWebhookConfiguration {NAME} leads to it")
    assert "istioctl tag set default --revision 1-31-0 --overwrite" in said
    assert apply(made.session, plan).exit == 0
    assert asks(made)[0] == "istiod-1-30-3"
    assert OLD in made.driver.installed(made.seen()).values()
