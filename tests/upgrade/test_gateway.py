"""A gateway moves by weights: pods of two Deployments behind one Service, each leg judged, and all of it goes back."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Literal

import pytest
from killing import Killed
from onboarded import NEW, OLD, Onboarded, door, onboarded

from meshup.engine.execute import apply, resume
from meshup.engine.rehearse import differences
from meshup.engine.taking_back import run_plan
from meshup.model.change import Label
from meshup.model.objects import Object, Ref, annotated, dig
from meshup.model.plan import Plan
from meshup.model.problem import Exit
from meshup.model.runbook import Runbook
from meshup.simulate.world.bits import is_ready

Api = Literal["gateway", "istio"]
CORNER = "tests/views/corner.yaml"
HOME = "istio-ingress"
SECOND = "edge-istio-1-31-0"


def scaled(pods: int = 4, *, api: Api = "gateway") -> Onboarded:
    """A cluster whose gateway somebody gave more pods by hand."""

    def with_api(book: Runbook) -> Runbook:
        assert book.ingress is not None
        return replace(book, ingress=replace(book.ingress, api=api))

    made = onboarded(CORNER, ledger=False, but=with_api)
    own = Ref(api_version="apps/v1", kind="Deployment", namespace=HOME, name=own_name(api))
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": own.name, "namespace": HOME}}
    made.session.cluster.apply({**body, "spec": {"replicas": pods}}, manager="kubectl", force=True)
    made.simulation.clock.advance(60.0)
    return made


def own_name(api: Api) -> str:
    return "edge-istio" if api == "gateway" else "edge"


def deployments(made: Onboarded) -> dict[str, int]:
    """Name -> replicas of the Deployments behind the gateway."""
    found = made.simulation.server.objects.list("deployments.apps", HOME)
    return {each["metadata"]["name"]: int(each["spec"]["replicas"]) for each in found}


def behind(made: Onboarded, api: Api = "gateway") -> Counter[str]:
    """Releases of the ready pods that the gateway's own Service leads to."""
    service = made.simulation.server.objects.get("services", HOME, own_name(api))
    assert service is not None
    pods = made.simulation.server.objects.list("pods", HOME, dig(service, "spec", "selector"))
    return Counter(dig(each, "spec", "containers", 0, "image").rpartition(":")[2] for each in pods if is_ready(each))


def address(made: Onboarded, api: Api = "gateway") -> tuple[str, str]:
    service: Object | None = made.simulation.server.objects.get("services", HOME, own_name(api))
    return str(dig(service, "metadata", "uid")), str(dig(service, "spec", "clusterIP"))


@pytest.mark.parametrize("api", ["gateway", "istio"])
def test_each_leg_gives_the_new_revision_more_pods_behind_the_same_address(api: Api) -> None:
    made = scaled(api=api)
    second = f"{own_name(api)}-1-31-0"
    first, book = address(made, api), made.written()
    plan = made.plan(book)
    assert plan.blocked == ()
    assert "weights of the gateway: 10 % is 1 of 5 pods, 50 % is 2 of 4 pods, 100 % is 4 of 4 pods" in plan.notes
    seen = {}
    for leg in ("10-percent", "50-percent", "100-percent"):
        assert apply(made.session, plan, through=f"gateway/{leg}").exit == 0
        seen[leg] = dict(behind(made, api))
        assert address(made, api) == first
    assert seen == {"10-percent": {OLD: 4, NEW: 1}, "50-percent": {OLD: 2, NEW: 2}, "100-percent": {NEW: 4}}
    assert deployments(made) == {own_name(api): 0, second: 4}, "the old one is kept, without pods"
    assert apply(made.session, plan).exit == 0
    assert deployments(made) == {own_name(api): 4}
    assert dict(behind(made, api)) == {NEW: 4}
    assert address(made, api) == first
    assert [each.summary for each in made.plan(book).changes()] == []


@pytest.mark.parametrize("api", ["gateway", "istio"])
def test_at_no_moment_are_fewer_pods_ready_than_the_gateway_has(api: Api) -> None:
    made = scaled(api=api)
    least: list[int] = []
    made.simulation.server.store.subscribe(lambda _: least.append(sum(behind(made, api).values())))
    assert made.apply(made.written()).exit == 0
    assert min(least) == 4


def test_a_leg_that_fails_takes_all_of_them_back_old_pods_first() -> None:
    made = scaled()
    plan = made.plan(made.written())
    assert apply(made.session, plan, through="gateway/10-percent").exit == 0
    made.simulation.world.inject({"fault": "image", "on": f"{HOME}/{SECOND}"})
    least: list[int] = []
    made.simulation.server.store.subscribe(lambda _: least.append(behind(made)[OLD]))
    outcome = apply(made.session, plan)
    assert outcome.exit == Exit.UNDONE, outcome.why
    assert outcome.stopped == "gateway/50-percent"
    assert outcome.kept.startswith("gateway is back as it was")
    assert deployments(made) == {"edge-istio": 4}
    assert dict(behind(made)) == {OLD: 4}
    assert min(least) == 4
    assert made.simulation.server.objects.get("services", HOME, SECOND) is None


def test_what_has_an_autoscaler_moves_in_place_and_its_replicas_are_left_to_it() -> None:
    made = scaled()
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "edge", "namespace": HOME},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "edge-istio"},
            "minReplicas": 4,
            "maxReplicas": 9,
        },
    }
    book = made.written()
    made.session.cluster.apply(scaler, manager="kubectl")
    said = "the gateway moves in place, pod by pod: HorizontalPodAutoscaler istio-ingress/edge has the replicas of edge-istio"
    plan = made.plan(book)
    assert said in plan.notes
    assert [each.id for each in plan.changes() if isinstance(each.change, Label) and each.change.holds] == []
    assert said in made.derive().notes
    assert "gateway-own" not in [each.name for each in made.derive().book.stages]
    assert apply(made.session, plan).exit == 0
    assert dict(behind(made)) == {NEW: 4}
    assert deployments(made) == {"edge-istio": 4}


def test_replicas_that_a_person_set_are_taken_and_the_plan_says_from_whom() -> None:
    notes = scaled().plan(scaled().written()).notes
    assert 'Deployment istio-ingress/edge-istio: spec.replicas is taken from "kubectl"' in notes


def test_replicas_that_a_program_sets_again_and_again_are_not_taken() -> None:
    made = scaled()
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "edge-istio", "namespace": HOME}}
    made.session.cluster.apply({**body, "spec": {"replicas": 4}}, manager="argocd-controller", force=True)
    assert any('"argocd-controller" has the replicas' in each for each in made.derive().notes)


def test_a_plan_that_is_made_anew_half_way_takes_the_move_up_where_it_stands() -> None:
    made = scaled()
    book = made.written()
    assert made.apply(book, through="gateway/50-percent").exit == 0
    plan = made.plan(book)
    assert "weights of the gateway: 100 % is 4 of 4 pods" in plan.notes
    assert next(each.id.split("/")[1] for each in plan.changes() if each.id.startswith("gateway/")) == "100-percent"
    assert apply(made.session, plan).exit == 0
    assert deployments(made) == {"edge-istio": 4}
    assert dict(behind(made)) == {NEW: 4}
    own = made.simulation.server.objects.get("deployments.apps", HOME, "edge-istio")
    assert own is not None
    assert "meshup.dev/gateway-pods" not in annotated(own)


@pytest.fixture(scope="module", params=["gateway", "istio"])
def writes(request: pytest.FixtureRequest) -> tuple[Api, list[int]]:
    """The writes, by number, of an upgrade that move its gateway."""
    made = scaled(2, api=request.param)
    session, killer = door(made)
    assert apply(session, made.plan(made.written())).exit == 0
    numbers = [number for number, each in enumerate(killer.writes, 1) if f"/{HOME}/" in each.path]
    assert len(numbers) > 10
    return request.param, numbers


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("share", [0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
def test_killed_at_any_write_of_the_gateway_one_resume_converges(
    share: float, when: str, writes: tuple[Api, list[int]]
) -> None:
    api, numbers = writes
    made = scaled(2, api=api)
    book = made.written()
    plan = made.plan(book)
    session, _ = door(made, at=numbers[round(share * (len(numbers) - 1))], when=when)
    with pytest.raises(Killed):
        apply(session, plan)
    outcome = resume(made.session)
    assert outcome.exit == 0, outcome.why
    assert deployments(made) == {own_name(api): 2}
    assert dict(behind(made, api)) == {NEW: 2}
    session, killer = door(made)
    assert resume(session).exit == 0
    assert killer.writes == []


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_killed_at_any_write_of_the_gateway_the_way_back_leads_to_the_first_state(
    share: float, writes: tuple[Api, list[int]]
) -> None:
    api, numbers = writes
    made = scaled(2, api=api)
    first = made.seen()
    session, _ = door(made, at=numbers[round(share * (len(numbers) - 1))], when="after")
    with pytest.raises(Killed):
        apply(session, made.plan(made.written()))
    made.simulation.clock.advance(60.0)
    back = apply(made.session, run_plan(made.session))
    assert back.exit == 0, back.why
    assert differences(first, made.seen()) == ()
    assert dict(behind(made, api)) == {OLD: 2}


def half_way() -> tuple[Onboarded, Plan]:
    """Half of the gateway's traffic has moved, and the rest can not."""
    made = scaled()
    plan = made.plan(made.written())
    assert apply(made.session, plan, through="gateway/50-percent").exit == 0
    made.simulation.world.inject({"fault": "image", "on": f"{HOME}/{SECOND}"})
    return made, plan


@pytest.fixture(scope="module")
def failing() -> int:
    """How many writes the failing leg and the way back of all of them take."""
    made, plan = half_way()
    session, killer = door(made)
    assert apply(session, plan).exit == Exit.UNDONE
    return len(killer.writes)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("share", [0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
def test_killed_while_all_legs_go_back_a_resume_ends_with_the_way_back(share: float, when: str, failing: int) -> None:
    made, plan = half_way()
    session, _ = door(made, at=round(share * failing), when=when)
    with pytest.raises(Killed):
        apply(session, plan)
    outcome = resume(made.session)
    assert outcome.exit == Exit.UNDONE, outcome.why
    assert deployments(made) == {"edge-istio": 4}
    assert dict(behind(made)) == {OLD: 4}


def test_the_annotation_and_the_replicas_of_a_person_are_back_after_the_way_back() -> None:
    made = scaled()
    first = made.seen()
    assert made.apply(made.written(), through="gateway").exit == 0
    assert apply(made.session, run_plan(made.session)).exit == 0
    assert differences(first, made.seen()) == ()
