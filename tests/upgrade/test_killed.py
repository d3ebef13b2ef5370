"""An upgrade that is killed at any of its writes: one resume reaches the same state, and a second one writes nothing."""

from __future__ import annotations

import pytest
from killing import Killed
from onboarded import NEW, Onboarded, door, onboarded

from meshup.engine.execute import apply, resume
from meshup.engine.rehearse import differences
from meshup.engine.taking_back import run_plan
from meshup.model.problem import Refused
from meshup.model.snapshot import Snapshot

CORNER = "tests/views/corner.yaml"
POINTS = 7
"""Kills of each side that are spread over the writes; `make sweep` takes every one of a real program's."""


def ready() -> Onboarded:
    return onboarded(CORNER, ledger=False)


@pytest.fixture(scope="module")
def whole() -> tuple[int, Snapshot, dict[str, tuple[str, ...]]]:
    """How many writes an upgrade takes that nobody kills, and what it comes to."""
    made = ready()
    session, killer = door(made)
    assert apply(session, made.plan(made.written())).exit == 0
    return len(killer.writes), made.seen(), made.runs()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("point", range(POINTS))
def test_one_resume_converges_and_a_second_one_writes_nothing(
    point: int, when: str, whole: tuple[int, Snapshot, dict[str, tuple[str, ...]]]
) -> None:
    writes, wanted, runs = whole
    made = ready()
    plan = made.plan(made.written())
    at = 1 + point * (writes - 1) // (POINTS - 1)
    session, _ = door(made, at=at, when=when)
    try:
        done = apply(session, plan)
    except Killed:
        try:
            done = resume(made.session)
        except Refused as none:
            assert none.code == "MU2305"
            done = apply(made.session, plan)
        if done.plan != plan.id:
            # It was killed before anything of it was recorded, so the newest run is the onboarding.
            done = apply(made.session, plan)
    assert done.exit == 0, done.why
    assert differences(wanted, made.seen()) == ()
    assert made.runs() == runs
    assert runs["shop/web"] == (NEW,)
    session, killer = door(made)
    assert resume(session).exit == 0
    assert killer.writes == []


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("point", [2, 3, 5])
def test_from_where_it_was_killed_the_way_back_leads_to_the_first_state(
    point: int, when: str, whole: tuple[int, Snapshot, dict[str, tuple[str, ...]]]
) -> None:
    made = ready()
    first, runs = made.seen(), made.runs()
    plan = made.plan(made.written())
    session, _ = door(made, at=1 + point * (whole[0] - 1) // (POINTS - 1), when=when)
    with pytest.raises(Killed):
        apply(session, plan)
    made.simulation.clock.advance(60.0)  # what was on its way out is gone: a plan that had still seen it would be stale
    back = apply(made.session, run_plan(made.session))
    assert back.exit == 0, back.why
    assert differences(first, made.seen()) == ()
    assert made.runs() == runs
