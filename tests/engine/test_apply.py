"""Applying: gates that hold or fail, ways back, drift, doors, --through, interrupts, and what a second apply writes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bench import put
from killing import Killed
from littleworld import BOOK, Put, World, config
from toymesh import Says, guard_lease, kinds, policy

from meshup.engine.execute import apply, resume
from meshup.engine.guard import REVERTED
from meshup.engine.planfile import accepting
from meshup.engine.planning import make_plan
from meshup.engine.taking_back import run_plan, stage_plan
from meshup.journal.runs import heads, open_store
from meshup.model.journal import Judgement, Looked
from meshup.model.objects import ref_of
from meshup.model.problem import Refused, UsageError

LEASE = ref_of(guard_lease())


def with_script(script=None, evidence=None):
    gates = kinds()[1]
    gates["says"].script = dict(script or {})
    gates["evidence"].script = {"*": evidence} if evidence else {}
    return gates


def begun(world, gates=None, **more):
    around = world.session(gates=gates or kinds()[1], **more)
    return around, make_plan(around, BOOK)


def test_a_plan_is_performed_and_performing_it_again_writes_nothing():
    world = World()
    around, plan = begun(world)
    assert apply(around, plan).exit == 0
    assert world.state()["existing"][0] == {"a": "2", "b": "b"}
    assert world.state()["labelled"][1] == {"new": "1", "kept": "2"}
    before = world.server.mutations
    assert apply(around, plan).exit == 0
    again = make_plan(around, BOOK)
    assert not again.changed
    assert apply(around, again).exit == 0
    assert world.server.mutations == before


def test_gates_are_told_whether_their_place_moves_anything_and_look_before_it_in_any_case():
    world = World()
    around, plan = begun(world)
    apply(around, plan)
    gone = ref_of(policy(BOOK.services[0], "strict"))
    world.plain.delete(gone, uid=world.plain.get(gone)["metadata"]["uid"])
    gates = kinds()[1]
    around, again = begun(world, gates)
    assert {each.change.on for each in again.changes() if each.service} == {gone}
    assert apply(around, again).exit == 0
    assert gates["says"].moved == {"first": False, "strict/w-workload": True}
    head = heads(around.cluster)[-1]
    told = open_store(around.cluster, head.run, epoch=head.epoch, folder=None).entries()
    assert {each.place for each in told if isinstance(each, Looked)} == {"first", "strict/w-workload"}
    assert {each.place for each in told if isinstance(each, Judgement)} == {"first", "strict/w-workload"}


def test_planning_writes_nothing():
    world = World()
    before = world.server.mutations
    begun(world)
    assert world.server.mutations == before


def test_every_write_was_in_the_plan():
    world = World()
    around, plan = begun(world)
    started = len(world.server.log)
    apply(around, plan)
    planned = {str(each.change.on.name) for each in plan.changes()}
    for each in world.server.log[started:]:
        if each.mutation and "/namespaces/meshup-system" not in each.path and each.path != "/api/v1/namespaces":
            assert each.path.rpartition("/")[2] in planned


def test_a_gate_that_fails_takes_its_wave_back_and_a_resume_goes_on():
    world = World()
    first = world.state()
    gates = with_script({"first": ["fail"]})
    around, plan = begun(world, gates)
    outcome = apply(around, plan)
    assert (outcome.exit, outcome.stopped) == (4, "first")
    assert world.state() == first
    gates["says"].script = {}
    assert resume(around).exit == 0
    assert world.state()["fresh-1"] is not None


def test_a_stage_that_holds_on_fail_is_left_in_place():
    world = World()
    around = world.session(gates=with_script({"first": ["fail"]}))
    meant = replace(BOOK, stages=(replace(BOOK.stages[0], on_fail="hold"), BOOK.stages[1]))
    outcome = apply(around, make_plan(around, meant))
    assert (outcome.exit, outcome.code) == (3, "MU3114")
    assert world.state()["fresh-1"] is not None


def test_a_gate_that_stays_unknown_holds_the_wave_in_place():
    world = World()
    around, plan = begun(world, with_script({"first": ["unknown"]}))
    outcome = apply(around, plan)
    assert (outcome.exit, outcome.code) == (3, "MU3113")
    assert world.state()["fresh-1"] is not None
    assert world.state()["policy-web"] is None


def test_without_evidence_the_guarded_wave_does_not_begin_and_its_guard_goes():
    world = World()
    gates = with_script(evidence=["fail"])
    around, plan = begun(world, gates)
    outcome = apply(around, plan)
    assert (outcome.exit, outcome.code) == (3, "MU3111")
    assert world.state()["policy-web"] is None
    assert world.plain.find(LEASE) is None
    gates["evidence"].script = {}
    assert resume(around).exit == 0
    assert world.state()["policy-web"][0] == {"mode": "strict"}
    assert world.plain.find(LEASE) is None


@pytest.mark.parametrize(("answer", "code"), [("fail", 4), ("unknown", 3)])
def test_strict_is_not_left_on_without_a_pass(answer, code):
    world = World()
    around, plan = begun(world, with_script({"strict/w-workload": [answer]}))
    assert apply(around, plan).exit == code
    assert world.state()["policy-web"] is None
    assert world.plain.find(LEASE) is None


@pytest.mark.parametrize("died", [False, True])
def test_a_guard_that_acts_in_the_last_moment_is_no_success(died):
    """Every gate has passed, and between the last of them and the disarming the guard puts permissive back."""
    world = World()
    around, plan = begun(world)

    def acts(request, logged):
        if request.method == "PATCH" and b"disarmed" in (request.body or b""):
            world.server.before.remove(acts)
            mark = {"metadata": {"annotations": {REVERTED: "2026-11-02T09:00:00Z"}}}
            world.plain.merge_patch(LEASE, mark, manager="meshup-guard")
            world.plain.apply(policy(next(iter(BOOK.services)), "permissive"), manager="meshup-guard", force=True)
            if died:
                raise Killed
        return None

    world.server.before.append(acts)
    if died:
        with pytest.raises(Killed):
            apply(around, plan)
        around = world.session()
        assert resume(around).exit == 0
    else:
        outcome = apply(around, plan)
        assert (outcome.exit, outcome.code) == (4, "MU3112")
        assert "put permissive back at 2026-11-02T09:00:00Z" in outcome.why
        assert world.state()["policy-web"] is None
        assert world.plain.find(LEASE) is None
        assert resume(around).exit == 0
    assert world.state()["policy-web"][0] == {"mode": "strict"}
    assert world.plain.find(LEASE) is None


def test_drift_in_a_planned_field_is_refused_with_object_field_and_manager():
    world = World()
    around, plan = begun(world)
    world.plain.apply(config("existing", a="9"), manager="argocd", force=True)
    before = world.server.mutations
    with pytest.raises(Refused) as refused:
        apply(around, plan)
    assert (refused.value.exit, refused.value.code) == (6, "MU2201")
    assert "ConfigMap shop/existing" in refused.value.details[0]
    assert "data.a" in refused.value.details[0]
    assert '"argocd"' in refused.value.details[0]
    assert world.server.mutations == before


def test_drift_elsewhere_is_not_refused():
    world = World()
    around, plan = begun(world)
    world.plain.apply(config("existing", b="9"), manager="argocd", force=True)
    assert apply(around, plan).exit == 0
    assert world.state()["existing"][0] == {"a": "2", "b": "9"}


def test_drift_between_stages_is_refused_before_the_stage():
    world = World()

    class Meddles(Says):
        def observe(self, eyes, terms):
            if eyes.place == "first":
                world.plain.apply(config("policy-web", mode="mine"), manager="argocd", force=True)
            return super().observe(eyes, terms)

    gates = kinds()[1]
    gates["says"] = Meddles()
    around, plan = begun(world, gates)
    outcome = apply(around, plan)
    assert (outcome.exit, outcome.code) == (6, "MU2201")
    assert 'policy-web    was made by "argocd"' in outcome.details[0]
    assert world.state()["policy-web"][0] == {"mode": "mine"}


def test_a_foreign_object_of_a_planned_name_is_neither_overwritten_nor_deleted():
    world = World()
    around, plan = begun(world)
    put(world.plain, [config("fresh-2", z="1")])
    with pytest.raises(Refused):
        apply(around, plan)
    assert world.state()["fresh-2"][0] == {"z": "1"}


def test_a_field_of_another_manager_is_only_taken_when_the_plan_lists_it():
    world = World()

    class Meek(Put):
        force = ()

    world.steps["put"] = Meek()
    _, plan = begun(world)
    assert [each.code for each in plan.blocked] == ["MU2122"]
    with pytest.raises(Refused) as refused:
        apply(world.session(), plan)
    assert refused.value.code == "MU2112"


def test_through_goes_so_far_and_a_resume_no_further_until_it_is_asked():
    world = World()
    around, plan = begun(world)
    assert apply(around, plan, through="first").exit == 0
    assert world.state()["policy-web"] is None
    before = world.server.mutations
    outcome = resume(around)
    assert outcome.exit == 0
    assert outcome.next[0].startswith("meshup apply --resume --through strict")
    assert "through first already" in outcome.kept
    assert world.server.mutations == before
    assert apply(around, plan).exit == 0
    assert world.state()["policy-web"] is not None


def test_through_names_what_there_is():
    world = World()
    around, plan = begun(world)
    with pytest.raises(UsageError) as refused:
        apply(around, plan, through="onboard")
    assert "strict/w-workload" in refused.value.why


def test_an_interrupt_stops_at_a_change_boundary_with_130_and_resumes():
    world = World()
    asked = []

    def interrupted():
        asked.append(1)
        return len(asked) > 2

    around, plan = begun(world, interrupted=interrupted)
    outcome = apply(around, plan)
    assert outcome.exit == 130
    assert outcome.next == ("meshup apply --resume",)
    assert resume(world.session()).exit == 0
    assert world.state()["policy-web"] is not None


def test_another_cluster_is_refused():
    world = World()
    around, plan = begun(world)
    with pytest.raises(Refused) as refused:
        apply(around, replace(plan, cluster_uid="another"))
    assert refused.value.code == "MU2202"


def test_a_one_way_door_is_accepted_by_its_name_only():
    world = World()
    around, plan = begun(world)
    shut = replace(plan, one_way=("gw-crds",))
    with pytest.raises(UsageError):
        apply(around, shut)
    with pytest.raises(UsageError) as unknown:
        accepting(shut, ("gw-crd",))
    assert unknown.value.code == "MU2113"
    assert accepting(shut, ("gw-crds",)).accepted_one_way == ("gw-crds",)
    assert accepting(plan, ()) is plan


def test_a_stage_is_taken_back_with_what_came_after_it():
    world = World()
    first = world.state()
    around, plan = begun(world)
    apply(around, plan)
    back = stage_plan(around, "strict")
    assert [each.summary for each in back.changes()] == [
        "take back: strict for shop/pay",
        "take back: strict for shop/web",
    ]
    assert apply(around, back).exit == 0
    assert world.state()["policy-web"] is None
    assert world.state()["fresh-1"] is not None
    rest = run_plan(around)
    assert apply(around, rest).exit == 0
    assert world.state() == first
    assert not run_plan(around).changed


def test_what_others_changed_since_is_not_overwritten_on_the_way_back():
    world = World()
    around, plan = begun(world)
    apply(around, plan)
    world.plain.apply(config("labelled", labels={"kept": "7"}), manager="argocd", force=True)
    back = run_plan(around)
    assert [each.code for each in back.blocked] == ["MU3411"]
    assert '"argocd"' in back.blocked[0].what


def test_an_object_that_was_made_again_is_left_alone_on_the_way_back():
    world = World()
    around, plan = begun(world)
    apply(around, plan)
    made = world.plain.get(ref_of(config("fresh-1")))
    world.plain.delete(ref_of(made), uid=made["metadata"]["uid"])
    put(world.plain, [config("fresh-1", theirs="1")])
    assert apply(around, run_plan(around)).exit == 0
    assert world.state()["fresh-1"][0] == {"theirs": "1"}


def test_a_changed_plan_does_not_pass_over_a_run_that_was_cut_off():
    world = World()
    _, plan = begun(world)
    cluster, killer = world.door(at=8)
    with pytest.raises(Killed):
        apply(world.session(cluster), plan)
    assert killer.writes[7].path.endswith("/configmaps/fresh-1")
    other = make_plan(world.session(), replace(BOOK, name="another"))
    with pytest.raises(Refused) as refused:
        apply(world.session(), other)
    assert refused.value.code == "MU2304"
