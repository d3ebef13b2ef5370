"""The plan is pure: equal input gives an equal plan in any order, and what is right is not in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seen import snapshot
from toymesh import REV, STRICT, ToyDriver, book, deployment, gate, kinds, shop

from meshup.engine.draft import Numbered, draft
from meshup.engine.plan import plan, planned
from meshup.model.change import Label
from meshup.model.objects import ref_of
from meshup.model.runbook import Budgets, Waiver, Wave
from meshup.model.snapshot import DryRun, PodProbe
from meshup.steps.step import Draft

STEPS, GATES = kinds()
WAVES = {"wave-1": ["web", "cart"], "wave-2": ["ads"]}
NAMES = ["web", "cart", "ads"]


def made(meant, seen, **more):
    drafting = draft(meant, seen, steps=STEPS, driver=ToyDriver())
    return plan(drafting, seen, driver=ToyDriver(), gates=GATES, **more)


def ids(found):
    return [each.id for each in found.changes()]


@settings(max_examples=200)
@given(st.randoms(use_true_random=False), st.sets(st.sampled_from(NAMES)))
def test_the_order_of_a_snapshot_does_not_matter(random, enrolled):
    is_order_free(random, enrolled)


@pytest.mark.sweep
@settings(max_examples=10_000, deadline=None)
@given(st.randoms(use_true_random=False), st.sets(st.sampled_from(NAMES)))
def test_the_order_of_a_snapshot_never_matters(random, enrolled):
    is_order_free(random, enrolled)


def is_order_free(random, enrolled):
    objects = [_enrolled(each) if each["metadata"]["name"] in enrolled else each for each in shop(NAMES)]
    seen = snapshot(objects)
    items = list(seen.objects.items())
    random.shuffle(items)
    meant = book(WAVES)
    assert made(meant, seen) == made(meant, replace(seen, objects=dict(items)))
    assert sum("onboard" in each for each in ids(made(meant, seen))) == 3 - len(enrolled)


def _enrolled(obj):
    spec = {**obj["spec"], "template": {**obj["spec"]["template"], "metadata": {"labels": {"app": "x", REV: "2-0"}}}}
    return {**obj, "spec": spec}


def test_the_time_of_looking_is_not_part_of_the_digest():
    seen = snapshot(shop(NAMES))
    later = replace(seen, taken_at=datetime(2027, 1, 1, tzinfo=UTC))
    assert made(book(WAVES), seen).digest == made(book(WAVES), later).digest


def test_ids_count_within_their_place():
    seen = snapshot(shop(NAMES))
    whole = ids(made(book(WAVES), seen))
    assert whole == [
        "ingress/1",
        "ingress/2",
        "ingress/3",
        "onboard/wave-1/1",
        "onboard/wave-1/2",
        "onboard/wave-2/1",
    ]


def test_what_the_server_says_is_no_change_is_dropped():
    home = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "toy-system"}}
    seen = snapshot([*shop(NAMES), home])
    answers = {"ingress/1": DryRun(after={**home, "metadata": {"name": "toy-system", "resourceVersion": "9"}})}
    found = ids(made(book(WAVES), replace(seen, dry_runs=answers)))
    assert "ingress/1" not in found
    assert "ingress/2" in found
    asked_in_vain = {"ingress/1": DryRun(known="not checked")}
    assert "ingress/1" in ids(made(book(WAVES), replace(seen, dry_runs=asked_in_vain)))


def test_a_label_to_be_removed_is_a_change_though_an_apply_would_not_show_it():
    seen = snapshot(shop(["web"]))
    on = ref_of(shop(["web"])[1])
    there = seen.objects[on]
    path = ("spec", "template", "metadata", "labels")
    change = Label(on=on, at=path, set={"app": None}, before={"app": "web"}, uid="uid-2")
    each = Numbered(id="x/1", draft=Draft(change=change, step="x", summary="x"))
    answered = replace(seen, dry_runs={"x/1": DryRun(after=there)})
    assert planned(each, answered) is not None
    done = replace(change, set={"app": "web"})
    right = Numbered(id="x/1", draft=Draft(change=done, step="x", summary="x"))
    assert planned(right, answered) is None


def test_each_planned_object_is_in_the_basis_with_its_planned_fields_only():
    found = made(book(WAVES), snapshot(shop(NAMES)))
    web = next(each for each in found.basis if each.on.name == "web")
    assert web.uid == "uid-2"
    assert list(web.fields) == ["/spec/template/metadata/labels/toy.example~1rev"]
    absent = next(each for each in found.basis if each.on.name == "plane-2-0" and each.on.kind == "ConfigMap")
    assert absent.uid == ""


def test_a_service_that_is_not_opted_in_moves_nobody():
    meant = book(WAVES)
    meant = replace(meant, services=tuple(replace(each, opt_in=None) for each in meant.services))
    found = made(meant, snapshot(shop(NAMES)))
    assert not any("onboard" in each for each in ids(found))
    wave = found.stages[2].waves[0]
    assert (wave.services, wave.waiting) == ((), ("shop/web", "shop/cart"))


def test_the_opt_in_object_beats_the_runbook_and_an_opt_out_wins():
    def said(service, *, joins):
        return {
            "apiVersion": "meshup.dev/v1",
            "kind": "OptIn",
            "metadata": {"name": f"{service}-{joins}".lower(), "namespace": "shop"},
            "spec": {
                "service": service,
                "joins": joins,
                "requestedBy": {"username": "bob"},
                "at": "2026-11-01T00:00:00Z",
            },
        }

    meant = book(WAVES)
    out = made(meant, snapshot([*shop(NAMES), said("web", joins=False)]))
    assert out.stages[2].waves[0].services == ("shop/cart",)
    nobody = replace(meant, services=tuple(replace(each, opt_in=None) for each in meant.services))
    joined = made(nobody, snapshot([*shop(NAMES), said("ads", joins=True)]))
    assert joined.stages[2].waves[1].services == ("shop/ads",)
    assert next(each for each in joined.book.services if each.name == "ads").opt_in.by == "bob"


def test_a_pinned_service_is_left_out_and_said():
    pin = {
        "apiVersion": "meshup.dev/v1",
        "kind": "MeshPin",
        "metadata": {"name": "web-1", "namespace": "shop"},
        "spec": {
            "service": "web",
            "to": {"release": "1.0", "revision": "1-0"},
            "requestedBy": {"username": "bob"},
            "until": "2026-11-09T00:00:00Z",
        },
    }
    found = made(book(WAVES), snapshot(shop(NAMES), pins=(pin,)))
    assert found.stages[2].waves[0].services == ("shop/cart",)
    assert "shop/web is left out: bob pinned it to 1.0 until 2026-11-09" in found.notes
    overdue = {**pin, "spec": {**pin["spec"], "until": "2020-01-01T00:00:00Z"}}
    assert made(book(WAVES), snapshot(shop(NAMES), pins=(overdue,))).stages[2].waves[0].services == ("shop/cart",)
    closed = {**pin, "status": {"phase": "Closed"}}
    assert made(book(WAVES), snapshot(shop(NAMES), pins=(closed,))).stages[2].waves[0].services[0] == "shop/web"


def test_a_selector_is_resolved_and_frozen():
    meant = book({"wave-1": ["web", "ads"]})
    meant = replace(meant, waves=(Wave(name="wave-1", selector={"matchLabels": {"tier": "front"}}),))
    objects = [shop([])[0], deployment("shop", "web", marks={"tier": "front"}), deployment("shop", "ads")]
    found = made(meant, snapshot(objects))
    assert found.stages[2].waves[0].services == ("shop/web",)
    assert (found.book.waves[0].selector, found.book.waves[0].services) == (None, ("shop/web",))


def test_a_conflict_or_refusal_of_the_dry_run_blocks_the_plan():
    seen = snapshot(shop(NAMES))
    answers = {
        "onboard/wave-1/1": DryRun(conflicts=(("argocd", ".spec.template.spec.containers"),)),
        "onboard/wave-1/2": DryRun(refused="quota"),
    }
    found = made(book(WAVES), replace(seen, dry_runs=answers))
    assert [each.code for each in found.blocked] == ["MU2122", "MU2123"]
    assert "argocd" in found.blocked[0].what


def test_a_conflict_on_a_field_the_plan_takes_is_a_note():
    seen = snapshot(shop(NAMES))
    answers = {"onboard/wave-1/1": DryRun(conflicts=(("helm", f".spec.template.metadata.labels.{REV}"),))}
    found = made(book(WAVES), replace(seen, dry_runs=answers))
    assert found.blocked == ()
    assert any('is taken from "helm"' in each for each in found.notes)


def test_pods_that_would_not_join_block_the_plan():
    probes = {
        "shop/web": PodProbe(injected=False),
        "shop/cart": PodProbe(injected=True, revision="1-0"),
        "shop/ads": PodProbe(injected=True, revision="2-0"),
    }
    found = made(book(WAVES), snapshot(shop(NAMES), pod_probes=probes))
    assert sorted((each.code, each.at.object) for each in found.blocked) == [
        ("MU2125", "shop/web"),
        ("MU2126", "shop/cart"),
    ]


def test_budgets_bound_what_the_plan_may_cost():
    found = made(replace(book(WAVES), budgets=Budgets(memory_mib=100, restarts=2)), snapshot(shop(NAMES)))
    assert found.cost == {"cpu_m": 300.0, "memory_mib": 192.0, "restarts": 3.0}
    assert [each.code for each in found.blocked] == ["MU2127", "MU2127"]


def test_a_guard_without_changes_is_not_armed():
    seen = snapshot(shop(["web"]))
    meant = book({"wave-1": ["web"]})
    meant = replace(meant, stages=(*meant.stages, STRICT))
    wave = made(meant, seen).stages[3].waves[0]
    assert (wave.name, len(wave.opening), len(wave.changes), len(wave.closing)) == ("workload", 1, 1, 2)
    assert wave.guard is not None
    policy = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "policy-web", "namespace": "shop"},
        "data": {"mode": "strict"},
    }
    seen = snapshot([*shop(["web"]), policy])
    right = {wave.changes[0].id: DryRun(after=seen.objects[ref_of(policy)])}
    wave = made(meant, replace(seen, dry_runs=right)).stages[3].waves[0]
    assert (wave.opening, wave.changes, wave.closing, wave.guard) == ((), (), (), None)


def test_a_waiver_skips_its_gate_until_its_day():
    def waived(year):
        until = datetime(year, 1, 1, tzinfo=UTC)
        waiver = Waiver(gate="says", stage="ingress", owner="ana", reason="no traffic yet", until=until)
        found = made(replace(book(WAVES), waivers=(waiver,)), snapshot(shop(NAMES)))
        return [wave.gates[-1].waived for stage in found.stages for wave in stage.waves]

    assert waived(2027) == ["", "ana: no traffic yet, until 2027-01-01", "", ""]
    assert waived(2025) == ["", "", "", ""]


def test_a_waiver_for_one_service_takes_it_out_of_the_gate():
    until = datetime(2027, 1, 1, tzinfo=UTC)
    waiver = Waiver(gate="says", stage="onboard", owner="ana", reason="r", until=until, service="shop/web")
    found = made(replace(book(WAVES), waivers=(waiver,)), snapshot(shop(NAMES)))
    assert found.stages[2].waves[0].gates[1].services == ("shop/cart",)


def test_two_gates_of_one_kind_have_ids_of_their_own():
    meant = book(WAVES)
    stage = replace(meant.stages[0], gates=(gate("says"), gate("says")))
    found = made(replace(meant, stages=(stage,)), snapshot(shop(NAMES)))
    assert [each.id for each in found.stages[0].waves[0].gates] == ["preflight/says", "preflight/says-2"]


def test_what_is_made_in_a_namespace_to_come_is_known_later_and_never_without_a_maker():
    seen = replace(snapshot(shop(NAMES)), dry_runs={"ingress/2": DryRun(known="after:?")})
    assert [each.code for each in made(book(WAVES), seen).blocked] == ["MU2121"]
