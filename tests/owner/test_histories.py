"""Whatever two owners do one after the other: what is in effect is on record, and what ended says by whom."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_joining import join, leave, process
from test_service import BOOK, WEEK, onboarded
from toymesh import REV

from meshup.engine.execute import apply
from meshup.engine.reporting import view
from meshup.engine.rollback import find_service, service_plan
from meshup.engine.unpinning import unpin
from meshup.journal.ledger import is_open, pins
from meshup.journal.optin import optins
from meshup.journal.pin import ref_of_pin
from meshup.model.holds import HoldAt
from meshup.model.objects import dig
from meshup.model.problem import MeshupError
from meshup.model.reporting import report

USERS, SERVICES = ("ana", "bob"), ("cart", "ads")
HELD = {"1.0": "1-0", "2.0": "2-0", "none": None}


def rolled_back(to):
    def act(around, service):
        plan = service_plan(around, f"shop/{service}", to=to, reason=f"to {to}", until=WEEK, book=BOOK)
        assert apply(around, plan).exit == 0

    return act


def by_hand(around, service):
    """Move a service without any record, as somebody with kubectl does."""
    patch = {"spec": {"template": {"metadata": {"labels": {REV: "1-0"}}}}}
    around.cluster.merge_patch(find_service(BOOK, service).workload, patch)


ACTS = {
    **{f"rollback to {to}": rolled_back(to) for to in HELD},
    "opt-in": join,
    "opt-out": leave,
    "unpin": lambda around, service: unpin(around, f"shop/{service}", reason="over", book=BOOK),
    "kubectl": by_hand,
}
HISTORIES = st.lists(
    st.tuples(st.sampled_from(USERS), st.sampled_from(sorted(ACTS)), st.sampled_from(SERVICES)), max_size=8
)


def by_name(world):
    return {each.name: each for each in pins(world.plain)}


@settings(max_examples=30)
@given(HISTORIES)
@example([("ana", "rollback to none", "cart"), ("ana", "kubectl", "cart"), ("ana", "rollback to 1.0", "cart")])
def test_what_is_in_effect_is_on_record_or_shown_without_one_and_no_pin_ends_unsaid(history):
    world, _ = onboarded()
    said = 0
    for user, what, service in history:
        world.clock.advance(60.0)
        before = by_name(world)
        around = process(world, user=user)
        try:
            ACTS[what](around, service)
        except MeshupError as refused:
            assert (what, refused.code) == ("unpin", "MU3408")
            assert by_name(world) == before
        world.clock.advance(60.0)
        after = by_name(world)
        assert before.keys() <= after.keys()
        _ended_by(world, before, after, user=user, what=what, service=service)
        held = [each for each in after.values() if is_open(each)]
        assert len(held) == len({each.service for each in held}), "two pins hold one service"
        _in_effect(world, held)
        said += what in ("opt-in", "opt-out")
    words = optins(world.plain) if said else {}
    assert {each.user for each in words.values()} <= set(USERS)


def _ended_by(world, before, after, *, user, what, service):
    """A pin that is over stays as it was; one that ended just now is of this service and names who did it, and how."""
    for name, was in before.items():
        now = after[name]
        if not is_open(was):
            assert now == was
            continue
        if is_open(now):
            assert now == was
            continue
        assert (now.phase, now.service, now.closed_by) == ("Closed", service, user)
        assert now.closed_at is not None
        message = dig(world.plain.get(ref_of_pin(now)), "status", "message")
        if what == "unpin":
            assert message == "over"
            continue
        (new,) = after.keys() - before.keys()
        assert f"ended by MeshPin shop/{new}, by which {user} went to " in message


def _in_effect(world, held):
    """Who is off the release is held by an open record, or is a row without one; and nobody is both."""
    told = report([view(process(world), book=BOOK)], now=world.clock.now(), at=HoldAt())
    rows = [each for each in told.rows if each.held.is_open]
    recorded = {each.held.service for each in rows if not each.is_untracked}
    untracked = [each.held.service for each in rows if each.is_untracked]
    assert recorded == {each.service for each in held}
    assert len(rows) == len(held) + len(untracked)
    assert not recorded & set(untracked)
    off = {name for name, labels in world.templates().items() if labels.get(REV) != BOOK.mesh.revision}
    assert off <= recorded | set(untracked)
    assert set(untracked) <= off
