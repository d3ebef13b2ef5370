"""Critical services of an upgrade are compared half-way where that can be, and callers count by endpoint just as long."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from halfway import BAD, GOOD, OPTED, SCENARIO, book
from onboarded import Onboarded, Order

from meshup.cli.kinds import kinds
from meshup.cli.playing import session_of
from meshup.cli.simulating import programs
from meshup.engine.execute import apply
from meshup.engine.rehearse import differences
from meshup.engine.taking_back import run_plan
from meshup.gates.finding import MOST_SCRAPED
from meshup.meshes.istio.endpoints import NAME
from meshup.model.events import Event, GateAnswered
from meshup.model.problem import Exit, UsageError
from meshup.model.runbook import GateSpec, Metrics, Runbook
from meshup.model.verdict import Judged, Patience
from meshup.runbook.load import load
from meshup.simulate.scenario import load as scene
from meshup.views.arms import arms

WORLD = {
    **SCENARIO,
    "endpoint-counters": False,
    "settle": 3600,
    "revisions": [{"revision": "1-29-4", "release": GOOD}],
    "services": [{**each, "replicas": 2} for each in SCENARIO["services"]],
}
ARRIVED = {"proxies-right": {}, "patience": {"limit": "10m", "every": "5s", "inARow": 2}}


class Heard(Order):
    """Keeps the answers of gates too."""

    def __init__(self) -> None:
        super().__init__()
        self.judged: list[Judged] = []

    def tell(self, event: Event) -> None:
        super().tell(event)
        if isinstance(event, GateAnswered):
            self.judged.append(event.judgement.judged)


def world(folder: Path, **more: Any) -> Onboarded:
    """Two services on the old release, of which the called one is critical."""
    path = folder / "world.yaml"
    path.write_text(yaml.safe_dump({**WORLD, **more}))
    simulation = scene(str(path), programs=programs())
    session = session_of(simulation, order := Heard())
    written = book("cart", gates=(ARRIVED,))
    written["mesh"] |= {"release": GOOD, "revision": "1-29-4"}
    own = [{**each, "critical": each["name"] == "cart", "optIn": OPTED} for each in written["services"]]
    written["services"] = own
    written["waves"] = [{"name": "first", "services": [f"shop/{each['name']}" for each in own]}]
    written["stages"][0]["name"] = "onboard"
    written["stages"][0]["gates"] = [ARRIVED]
    loaded = load(json.dumps(written, indent=1).encode(), name="book.yaml", kinds=kinds())
    assert loaded.runbook is not None, loaded.problems
    return Onboarded(simulation, session, order, loaded.runbook)


@pytest.fixture
def made(tmp_path: Path) -> Onboarded:
    return world(tmp_path)


def up(made: Onboarded, **more: Any) -> Runbook:
    found = made.written(BAD, soak_s=0.0, keep_s=0.0, **more)
    return replace(found, stages=tuple(replace(each, gates=tuple(map(coarse, each.gates))) for each in found.stages))


def coarse(gate: GateSpec) -> GateSpec:
    """A comparison that a minute of this traffic is enough for."""
    told = {"smallest-rise": 0.1, "metrics": ["errors", "restarts"], "watch": 60.0}
    return replace(gate, params={**gate.params, **told}) if gate.kind == "canary" else gate


def filters(made: Onboarded) -> list[str]:
    return [str(ref) for ref in made.seen().objects if ref.kind == "EnvoyFilter"]


def gates(book: Runbook, stage: str) -> list[str]:
    return [each.kind for each in next(each for each in book.stages if each.name == stage).gates]


def holds(book: Runbook, stage: str) -> bool:
    steps = next(each for each in book.stages if each.name == stage).steps
    return any(each.kind == "enrol" and each.params.get("hold") for each in steps)


def test_the_qualifying_wave_is_held_and_compared_and_nobody_else_is(made: Onboarded) -> None:
    found = up(made)
    assert (holds(found, "qualify"), "canary" in gates(found, "qualify")) == (True, True)
    assert (holds(found, "spread"), "canary" in gates(found, "spread")) == (False, False)
    (control_plane,) = [each for each in found.stages if each.name == "control-plane"]
    assert [each.kind for each in control_plane.steps] == ["install-control-plane", "endpoint-counts"]
    assert "half-way, while both revisions of shop/cart serve" in made.derive(BAD).judged


def test_the_plan_says_which_signal_is_used_and_what_is_written_for_it(made: Onboarded) -> None:
    plan = made.plan(up(made))
    assert plan.blocked == ()
    (told,) = [each for each in plan.notes if each.startswith("both revisions are compared by ")]
    assert "errors at callers from Envoy's own metrics by endpoint" in told
    assert told.endswith("which callers begin to count in control-plane")
    about = [each.summary for each in plan.changes() if each.change.on.kind == "EnvoyFilter"]
    assert about == [
        f"new EnvoyFilter shop/{NAME}: callers there count by the pod they call",
        f"remove EnvoyFilter shop/{NAME}: nothing is compared any more",
    ]


def test_callers_tell_the_verdict_by_the_pod_they_call_and_stop_counting_once_nothing_is_compared(
    made: Onboarded,
) -> None:
    found = up(made)
    assert made.apply(found, through="qualify").exit == 0
    assert filters(made) == [f"EnvoyFilter shop/{NAME}"]
    outcome = made.apply(found)
    assert outcome.exit == 0, outcome.why
    assert filters(made) == []
    assert set(made.runs().values()) == {(BAD,)}
    assert [each.summary for each in made.plan(found).changes()] == []


def test_a_whole_run_at_once_makes_and_removes_what_it_needs_and_its_way_back_leads_to_the_first_state(
    made: Onboarded,
) -> None:
    first = made.seen()
    outcome = made.apply(up(made))
    assert outcome.exit == 0, outcome.why
    assert isinstance(made.order, Heard)
    (compared,) = [each for each in made.order.judged if each.kind == "canary"]
    data = compared.readings[-1].data
    assert (data["about"]["control"], data["about"]["canary"]) == ("1-29-4", "1-30-3")
    views = {row[1] for pair in data["pairs"] for row in pair[3] if row[0] == "errors"}
    assert {"shop/web", "shop/job"} <= views, "callers, each by itself"
    control, new = arms(compared)
    assert [(each["arm"], each["revision"], each["service"]) for each in (control, new)] == [
        ("control", "1-29-4", "shop/cart"),
        ("canary", "1-30-3", "shop/cart"),
    ]
    assert control["seen_by"] == new["seen_by"] == ["shop/job", "shop/web"]
    assert min(control["requests"], new["requests"]) > 100
    assert all(each["pods"] and each["failed"] < each["requests"] / 100 for each in (control, new))
    assert filters(made) == []
    assert apply(made.session, run_plan(made.session)).exit == 0
    # The mark of the restart that made the control fresh stays in the pod template, and counts for nothing.
    assert differences(first, made.seen()) == ()


def test_who_joins_a_wave_later_is_compared_alone_as_the_others_run_one_revision_by_then(made: Onboarded) -> None:
    found = up(made)
    both = replace(found.waves[0], services=("shop/cart", "shop/store"))
    whole = replace(found, waves=(both, replace(found.waves[1], services=("shop/web", "shop/job"))))
    early = tuple(replace(each, opt_in=None) if each.name == "store" else each for each in found.services)
    assert made.apply(replace(whole, services=early), through="qualify").exit == 0
    plan = made.plan(whole)
    (halfway,) = [gate for stage in plan.stages for wave in stage.waves for gate in wave.halfway]
    assert halfway.services == ("shop/store",)
    outcome = made.apply(whole, through="qualify")
    assert outcome.exit == 0, outcome.why


def test_a_release_that_fails_requests_is_caught_half_way_and_its_wave_taken_back(tmp_path: Path) -> None:
    made = world(tmp_path, releases=[{"release": BAD, "bad": "errors"}])
    outcome = made.apply(up(made))
    assert (outcome.exit, outcome.stopped) == (Exit.UNDONE, "qualify/critical")
    assert "shop/cart seen by caller" in outcome.why
    assert set(made.runs().values()) == {(GOOD,)}


def single(book: Runbook, made: Onboarded) -> Runbook:
    made.session.cluster.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "cart", "namespace": "shop"},
            "spec": {"replicas": 1},
        },
        manager="kubectl",
        force=True,
    )
    made.simulation.clock.advance(60.0)
    return book


def recreated(book: Runbook, made: Onboarded) -> Runbook:
    made.session.cluster.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "cart", "namespace": "shop"},
            "spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}},
        },
        manager="kubectl",
        force=True,
    )
    return book


def blind(book: Runbook) -> Runbook:
    """The same without a Prometheus."""
    return replace(book, metrics=Metrics())


def crowded(book: Runbook, made: Onboarded) -> Runbook:
    """Without a Prometheus, and with more callers than pages are read."""
    caller = next(each for each in book.services if each.name == "web")
    template = next(body for ref, body in made.seen().objects.items() if ref == caller.workload)
    more = []
    for number in range(MOST_SCRAPED - 2):
        name = f"web-{number}"
        body = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": relabelled(template, name)},
        }
        made.session.cluster.apply(body, manager="kubectl")
        more.append(replace(caller, name=name, workload=replace(caller.workload, name=name)))
    return blind(replace(book, services=(*book.services, *more)))


def relabelled(workload: Any, name: str) -> Any:
    template = json.loads(json.dumps(workload["spec"]["template"]))
    template["metadata"]["labels"]["app"] = name
    return template


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (single, "shop/cart: it has 1 pod, so one revision of it serves at a time"),
        (recreated, "shop/cart: its strategy is Recreate"),
        (crowded, "the runbook names no Prometheus (metrics.service), and"),
    ],
)
def test_what_cannot_be_compared_is_judged_after_it_moved_and_the_reason_is_said(
    made: Onboarded, change: Any, why: str
) -> None:
    old = change(made.book, made)
    found = made.derive(BAD, book=old)
    assert why in found.judged
    assert not holds(found.book, "qualify")
    assert {"canary", "endpoint-counts"} & {
        each.kind for stage in found.book.stages for each in (*stage.steps, *stage.gates)
    } == set()
    with pytest.raises(UsageError, match="can't be compared") as refused:
        made.derive(BAD, book=old, compare="always")
    assert (refused.value.code, why in refused.value.why) == ("MU3608", True)
    assert ("name one in" in refused.value.fix) == (change is crowded), "a Prometheus is no cure for what moves whole"


def test_without_a_prometheus_few_proxies_are_compared_by_their_own_pages_where_that_is_asked_for(
    made: Onboarded,
) -> None:
    old = blind(made.book)
    after = made.derive(BAD, book=old).judged
    assert after.startswith("after they moved")
    assert after.endswith("by the proxies' own pages: --compare always")
    judged = made.derive(BAD, book=old, compare="always").judged
    assert "half-way, while both revisions of shop/cart serve" in judged
    assert f"from the proxies' own pages of at most {MOST_SCRAPED} pods" in judged
    found = up(made, book=old, compare="always")
    plan = made.plan(found)
    assert plan.blocked == ()
    assert [each for each in plan.notes if each.startswith("both revisions are compared by the proxies' own pages")]
    assert apply(made.session, plan, through="qualify").exit == Exit.DONE
    (answer,) = [each.verdict for each in made.order.judged if each.kind == "canary"]
    assert "found no harm, control 1-29-4, canary 1-30-3" in answer.because
    assert "; from the proxies' own pages, sampled " in answer.because


def test_nothing_is_compared_where_nobody_wants_it(made: Onboarded) -> None:
    assert not holds(up(made, compare="never"), "qualify")
    assert made.derive(BAD, compare="never").judged.endswith("not compared: --compare never")


def test_what_people_said_of_the_comparison_is_taken_over_by_the_next_upgrade(made: Onboarded) -> None:
    first = up(made)
    tuned = GateSpec(
        kind="canary", params={"smallest-rise": 0.02}, patience=Patience(limit_s=900, every_s=20, in_a_row=1)
    )
    stages = tuple(
        replace(each, gates=tuple(tuned if gate.kind == "canary" else gate for gate in each.gates))
        for each in first.stages
    )
    old = replace(first, mesh=made.book.mesh, stages=stages)
    again = made.derive(BAD, book=old).book
    (kept,) = [gate for each in again.stages if each.name == "qualify" for gate in each.gates if gate.kind == "canary"]
    assert (kept.params["smallest-rise"], kept.patience) == (0.02, tuned.patience)
    assert "canary" not in gates(again, "spread")
    assert not holds(again, "spread")


def test_a_service_that_an_earlier_run_left_half_way_is_no_matter_for_a_new_plan(made: Onboarded) -> None:
    found = up(made)
    weak = GateSpec(
        kind="canary",
        params={"metrics": ["errors"], "smallest-rise": 0.001},
        patience=Patience(limit_s=120, every_s=30),
    )
    stages = tuple(
        replace(each, gates=tuple(weak if gate.kind == "canary" else gate for gate in each.gates))
        for each in found.stages
    )
    outcome = made.apply(replace(found, stages=stages))
    assert (outcome.exit, outcome.stopped) == (Exit.GATE_HELD, "qualify/critical")
    assert [each.code for each in made.plan(found).blocked] == ["MU3618"]
    assert apply(made.session, run_plan(made.session)).exit == 0
    assert made.plan(found).blocked == ()
