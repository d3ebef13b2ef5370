"""Where a run stands, in the words and with the next command that a person is shown."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from bench import put
from killing import Killed
from littleworld import BOOK as LITTLE
from littleworld import World
from rolling import Rolling
from toymesh import HOME, book, deployment

from meshup.engine.execute import apply
from meshup.engine.pinning import write_pin
from meshup.engine.planning import make_plan
from meshup.engine.rollback import service_plan
from meshup.engine.standing import status
from meshup.journal.holder import this_process

BOOK = book({"wave-1": ["web"], "wave-2": ["cart"]})


def world():
    made = Rolling(["web", "cart"])
    marks = {"toy.example/plane": "1-0", "toy.example/release": "1.0"}
    put(
        made.plain,
        [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HOME}},
            deployment(HOME, "plane-1-0", marks=marks),
        ],
    )
    return made


def test_a_run_that_went_as_far_as_it_was_asked_to_names_how_it_goes_on():
    around = world().session()
    outcome = apply(around, make_plan(around, BOOK), through="ingress")
    assert outcome.exit == 0
    shown = status(around)
    assert (shown.run.word, shown.run.through, shown.run.exit) == ("finished", "ingress", 0)
    assert shown.next.startswith("meshup apply --resume --through onboard")
    assert outcome.next == (shown.next,)


def test_a_run_that_went_to_its_end_leaves_nothing_whatever_it_was_asked():
    around = world().session()
    assert apply(around, make_plan(around, BOOK), through="onboard").exit == 0
    assert status(around).run.left == ()


def test_a_rollback_that_was_cut_off_is_gone_on_with_first():
    around = world().session()
    assert apply(around, make_plan(around, BOOK), through="ingress").exit == 0
    write_pin(around, service_plan(around, "web", to="1.0", reason="r", until=timedelta(days=1)))
    assert status(around).next == "meshup rollback shop/web --resume"


def test_a_run_whose_process_was_killed_is_cut_off_and_says_how_it_goes_on():
    small = World()
    plan = make_plan(small.session(), LITTLE)
    me = this_process("ana")
    for dead, word in ((True, "cut off"), (False, "running")):
        cluster, _ = small.door(at=8, when="before")
        holder = replace(me, start=me.start + 1) if dead else me
        with pytest.raises(Killed):
            apply(replace(small.session(cluster), holder=holder), plan)
        shown = status(small.session())
        assert (shown.run.word, shown.run.exit, "whose process is gone" in shown.holder) == (
            word,
            8 if dead else 0,
            dead,
        )
        assert shown.next == ("meshup apply --resume" if dead or shown.run.open else "meshup status --watch")


def test_after_an_upgrade_its_own_runbook_says_what_is_wanted_unless_another_is_named():
    around = world().session()
    assert apply(around, make_plan(around, BOOK)).exit == 0
    old = replace(BOOK, name="before", mesh=replace(BOOK.mesh, release="1.0"))
    shown = status(around, book=old, named=False)
    assert (shown.by, shown.release) == (BOOK.name, BOOK.mesh.release)
    assert all(each.is_right for each in shown.services)
    named = status(around, book=old)
    assert (named.by, named.release) == ("", "1.0")
    assert not any(each.is_right for each in named.services)
    edited = replace(BOOK, mesh=replace(BOOK.mesh, release="9.0"))
    assert status(around, book=edited, named=False).release == "9.0"
