"""Namespaces that lead their pods by a tag: one tag per wave, retargeted when the wave begins, and back before its pods are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from killing import Killed
from onboarded import NEW, OLD, Onboarded, door, onboarded
from vendored import folder

from meshup.engine.execute import apply, resume
from meshup.engine.rehearse import differences
from meshup.engine.taking_back import run_plan
from meshup.model.change import Apply, Handoff
from meshup.model.objects import MANAGED, dig
from meshup.model.problem import Exit
from meshup.model.runbook import Runbook, Wave
from meshup.model.snapshot import Snapshot

SPACES = "tests/upgrade/spaces.yaml"
WEBHOOKS = "mutatingwebhookconfigurations.admissionregistration.k8s.io"


def tag(name: str, revision: str) -> dict[str, Any]:
    """What `istioctl tag set` makes, as far as it decides."""
    client = {"service": {"name": f"istiod-{revision}", "namespace": "istio-system", "path": "/inject", "port": 443}}
    labels = {"app": "sidecar-injector", "istio.io/rev": revision, "istio.io/tag": name}
    space = [
        {"key": "istio.io/rev", "operator": "In", "values": [name]},
        {"key": "istio-injection", "operator": "DoesNotExist"},
    ]
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": f"istio-revision-tag-{name}", "labels": labels},
        "webhooks": [
            {
                "name": "rev.namespace.sidecar-injector.istio.io",
                "clientConfig": client,
                "failurePolicy": "Fail",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
                "namespaceSelector": {"matchExpressions": space},
                "objectSelector": {
                    "matchExpressions": [{"key": "sidecar.istio.io/inject", "operator": "NotIn", "values": ["false"]}]
                },
            }
        ],
    }


def by_namespace(book: Runbook) -> Runbook:
    """A runbook whose waves do not part the services of a namespace."""
    several: dict[str, list[str]] = {}
    for wave in book.waves:
        for name in wave.services:
            several.setdefault(name.partition("/")[0], []).append(name)
    waves = tuple(Wave(name=space, services=tuple(names)) for space, names in several.items())
    stages = tuple(replace(each, waves=tuple(several) if each.waves else ()) for each in book.stages)
    return replace(book, waves=waves, stages=stages)


def led(
    namespace: str = "back",
    *,
    ours: bool = True,
    label: str = "",
    but: Callable[[Runbook], Runbook] = by_namespace,
) -> Onboarded:
    """A cluster in which one namespace leads its pods by a tag of its own, as an older hand set it up.

    label: what the namespace carries instead of the tag.
    """
    made = onboarded(SPACES, ledger=False, but=but)
    cluster = made.session.cluster
    body = tag(namespace, "1-30-3")
    if ours:
        body["metadata"]["labels"][MANAGED] = "meshup"
    cluster.apply(body, manager="meshup" if ours else "istioctl")
    for kind in ("deployments.apps", "statefulsets.apps", "daemonsets.apps"):
        for each in made.simulation.server.objects.list(kind, namespace):
            labels = dig(each, "spec", "template", "metadata", "labels") or {}
            if labels.get("istio.io/rev"):
                left = {
                    **each["spec"]["template"]["metadata"],
                    "labels": {k: v for k, v in labels.items() if k != "istio.io/rev"},
                }
                template = {**each["spec"]["template"], "metadata": left}
                made.simulation.server.objects.update(kind, {**each, "spec": {**each["spec"], "template": template}})
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    space["metadata"]["labels"] = {"istio.io/rev": label or namespace}  # type: ignore[index]
    cluster.apply(space, manager="kubectl")
    made.simulation.clock.advance(120.0)
    return made


def leads(made: Onboarded, name: str = "back") -> tuple[str, str]:
    found = made.simulation.server.objects.get(WEBHOOKS, "", f"istio-revision-tag-{name}")
    return str(dig(found, "metadata", "labels", "istio.io/rev")), str(
        dig(found, "webhooks", 0, "clientConfig", "service", "name")
    )


def members(made: Onboarded, namespace: str = "back") -> set[str]:
    return {name for name in made.runs() if name.startswith(f"{namespace}/")}


def test_a_tag_is_retargeted_when_its_wave_begins_and_then_its_pods_are_made_anew() -> None:
    made = led()
    book = made.written()
    assert members(made) <= {name for wave in book.waves for name in wave.services}
    plan = made.plan(book)
    assert plan.blocked == ()
    assert any("no service of it goes back alone" in each for each in plan.notes)
    assert apply(made.session, plan, through="gateway").exit == 0
    assert leads(made) == ("1-30-3", "istiod-1-30-3"), "not before its wave"
    assert apply(made.session, plan).exit == 0
    assert leads(made) == ("1-31-0", "istiod-1-31-0")
    assert all(made.runs()[name] == (NEW,) for name in members(made))
    assert OLD not in made.driver.installed(made.seen()).values(), "no tag leads to it any more"
    assert [each.summary for each in made.plan(book).changes()] == []


def test_the_way_back_leads_the_tag_back_before_the_pods_are_made_anew() -> None:
    made = led()
    first, runs = made.seen(), made.runs()
    assert made.apply(made.written()).exit == 0
    back = apply(made.session, run_plan(made.session))
    assert back.exit == 0, back.why
    assert leads(made) == ("1-30-3", "istiod-1-30-3")
    assert made.runs() == runs
    assert differences(first, made.seen()) == ()


def test_a_wave_that_fails_goes_back_with_its_tag() -> None:
    made = led()
    runs = made.runs()
    plan = made.plan(made.written())
    assert apply(made.session, plan, through="gateway").exit == 0
    broken = min(members(made))
    made.simulation.world.inject({"fault": "image", "on": broken, "name": "sick"})
    made.simulation.clock.call_later(20.0, lambda: made.simulation.world.mend("sick"))
    outcome = apply(made.session, plan)
    assert outcome.exit == Exit.UNDONE, outcome.why
    assert leads(made) == ("1-30-3", "istiod-1-30-3")
    assert {name: made.runs()[name] for name in members(made)} == {name: runs[name] for name in members(made)}


def test_a_tag_of_somebody_else_is_handed_to_them_and_waited_for_both_ways() -> None:
    made = led(ours=False)
    plan = made.plan(made.written())
    change = next(
        each.change for each in plan.changes() if isinstance(each.change, Handoff) and "tag" in each.change.to
    )
    assert change.what == "istioctl tag set back --revision 1-31-0 --overwrite"
    assert change.back == "istioctl tag set back --revision 1-30-3 --overwrite"
    assert not any(isinstance(each.change, Apply) and each.change.on == change.on for each in plan.changes())
    outcome = apply(made.session, plan)
    assert outcome.exit == Exit.WAITING, outcome.why
    assert leads(made)[0] == "1-30-3"
    assert all(made.runs()[name] == (OLD,) for name in members(made)), "nobody is restarted before it leads there"
    made.session.cluster.apply(tag("back", "1-31-0"), manager="istioctl", force=True)
    assert resume(made.session).exit == 0
    assert all(made.runs()[name] == (NEW,) for name in members(made))
    back = apply(made.session, run_plan(made.session))
    assert back.exit == Exit.WAITING, back.why
    made.session.cluster.apply(tag("back", "1-30-3"), manager="istioctl", force=True)
    assert resume(made.session).exit == 0
    assert all(made.runs()[name] == (OLD,) for name in members(made))


def test_a_tag_that_leads_others_too_blocks_the_plan_and_names_them() -> None:
    made = led()
    book = made.written()
    one = min(members(made))
    waves = tuple(replace(each, services=tuple(name for name in each.services if name != one)) for each in book.waves)
    plan = made.plan(replace(book, waves=waves))
    assert "MU3350" in [each.code for each in plan.blocked]
    assert one.split("/")[1] in next(each.why for each in plan.blocked if each.code == "MU3350")


def test_a_tag_of_the_manifests_waits_for_its_wave_and_is_not_retargeted_by_the_install(tmp_path: Path) -> None:
    def with_tag(book: Runbook) -> Runbook:
        manifests = folder(tmp_path / "old", book.mesh, tag("back", book.mesh.revision))
        return replace(by_namespace(book), mesh=replace(book.mesh, manifests=manifests))

    made = led(but=with_tag)
    mesh = replace(made.book.mesh, release=NEW, revision="1-31-0")
    book = made.written(manifests=folder(tmp_path / "new", mesh, tag("back", "1-31-0")).path)
    plan = made.plan(book)
    assert [each.id.rpartition("/")[0] for each in plan.changes() if "revision-tag" in each.change.on.name] == [
        "spread/back"
    ]
    assert apply(made.session, plan).exit == 0
    assert leads(made) == ("1-31-0", "istiod-1-31-0")
    assert all(made.runs()[name] == (NEW,) for name in members(made))
    assert [each.summary for each in made.plan(book).changes()] == []


def test_a_namespace_that_leads_by_a_revisions_own_name_is_named_and_left() -> None:
    made = led(label="1-30-3")
    left = dict(made.derive().left)
    assert members(made) <= set(left)
    assert all("carries istio.io/rev=1-30-3, which beats the pod's label" in left[name] for name in members(made))


@pytest.fixture(scope="module")
def whole() -> tuple[int, Snapshot, dict[str, tuple[str, ...]]]:
    made = led()
    session, killer = door(made)
    assert apply(session, made.plan(made.written())).exit == 0
    return len(killer.writes), made.seen(), made.runs()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("share", [0.55, 0.6, 0.65, 0.7, 0.75])
def test_killed_in_the_wave_of_a_tag_one_resume_converges(
    share: float, when: str, whole: tuple[int, Snapshot, dict[str, tuple[str, ...]]]
) -> None:
    writes, wanted, runs = whole
    made = led()
    session, _ = door(made, at=round(share * writes), when=when)
    with pytest.raises(Killed):
        apply(session, made.plan(made.written()))
    outcome = resume(made.session)
    assert outcome.exit == 0, outcome.why
    assert differences(wanted, made.seen()) == ()
    assert made.runs() == runs
