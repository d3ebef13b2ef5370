"""Whatever was there, performing a plan and taking it back gives the first state; every write in between was planned."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bench import put
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from littleworld import NAMES, World, config
from toymesh import book, gate

from meshup.engine.execute import apply
from meshup.engine.planning import make_plan
from meshup.engine.taking_back import run_plan
from meshup.model.change import Apply, Label
from meshup.model.objects import Ref, dig, ref_of
from meshup.model.runbook import Stage, StepSpec
from meshup.steps.step import Draft, Drafted

KEYS = ("a", "b", "example.org/c")
VALUES = ("1", "2", "")
MAPS = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=3)
THERE = st.fixed_dictionaries({}, optional={name: st.tuples(MAPS, MAPS) for name in NAMES})
WISHES = st.lists(
    st.one_of(
        st.tuples(st.just("apply"), st.sampled_from(NAMES), MAPS, MAPS),
        st.tuples(
            st.just("label"),
            st.sampled_from(NAMES),
            st.dictionaries(st.sampled_from(KEYS), st.sampled_from((*VALUES, None)), min_size=1, max_size=3),
        ),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda wish: wish[1],
)


def _short(key):
    return key.rpartition("/")[2]


def made(name, labels, data):
    """A ConfigMap without empty maps, which an owner would not write either."""
    body = config(name, labels=labels or None, **{_short(key): value for key, value in data.items()})
    return {key: value for key, value in body.items() if value != {}}


class Wished:
    """Drafts what an example wishes."""

    kind = "put"
    title = "wishes are fulfilled"
    needs = frozenset()
    params: dict = {}  # noqa: RUF012

    def __init__(self, wishes):
        self.wishes = wishes

    def draft(self, scope):
        return Drafted(drafts=tuple(self._one(wish, scope) for wish in self.wishes))

    def _one(self, wish, scope):
        on = Ref(api_version="v1", kind="ConfigMap", namespace="shop", name=wish[1])
        there = scope.snapshot.get(on)
        wanted = {key: value for key, value in wish[2].items() if value is not None}
        if wish[0] == "apply" or there is None:
            data = wish[3] if len(wish) > 3 else {}
            force = [f"data.{_short(key)}" for key in data] + [f"metadata.labels.{key}" for key in wanted]
            change = Apply(on=on, body=made(wish[1], wanted, data), force=tuple(force))
        else:
            now = dig(there, "metadata", "labels") or {}
            change = Label(
                on=on,
                at=("metadata", "labels"),
                set=wish[2],
                before={key: now.get(key) for key in wish[2]},
                uid=there["metadata"]["uid"],
                force=tuple(f"metadata.labels.{key}" for key in wish[2]),
            )
        return Draft(change=change, step=self.kind, summary=f"{wish[0]} {wish[1]}")


def there_and_back(there, wishes):
    world = World()
    for name in NAMES:
        found = world.plain.find(Ref(api_version="v1", kind="ConfigMap", namespace="shop", name=name))
        if found is not None:
            world.plain.delete(ref_of(found), uid=found["metadata"]["uid"])
    put(
        world.plain,
        [made(name, labels, data) for name, (labels, data) in there.items()],
    )
    world.steps["put"] = Wished(wishes)
    stage = Stage(name="first", steps=(StepSpec(kind="put", params={}),), gates=(gate("says"),))
    meant = replace(book({"w": ["web"]}), stages=(stage,))
    first = world.state()
    around = world.session()
    plan = make_plan(around, meant)
    assert plan.blocked == ()
    began = len(world.server.log)
    outcome = apply(around, plan)
    assert outcome.exit == 0, outcome.why
    planned = {each.change.on.name for each in plan.changes()}
    written = {
        each.path.rpartition("/")[2]
        for each in world.server.log[began:]
        if each.mutation and "/namespaces/shop/" in each.path
    }
    assert written <= planned
    for wish in wishes:
        now = world.state()[wish[1]]
        if now is not None:
            assert all(now[1].get(key) == value for key, value in wish[2].items()), (wish, now)
    if not plan.changed:
        assert world.state() == first
        return
    again = make_plan(around, meant)
    assert not again.changed, [each.summary for each in again.changes()]
    back = apply(around, run_plan(around))
    assert back.exit == 0, back.why
    assert world.state() == first


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(THERE, WISHES)
def test_there_and_back(there, wishes):
    there_and_back(there, wishes)


@pytest.mark.sweep
@settings(max_examples=10_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(THERE, WISHES)
def test_there_and_back_often(there, wishes):
    there_and_back(there, wishes)
