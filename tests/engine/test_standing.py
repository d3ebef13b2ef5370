"""Where a run stands, in the words and with the next command that a person is shown."""

from __future__ import annotations

from datetime import timedelta

from bench import put
from rolling import Rolling
from toymesh import HOME, book, deployment

from meshup.engine.execute import apply
from meshup.engine.pinning import write_pin
from meshup.engine.planning import make_plan
from meshup.engine.rollback import service_plan
from meshup.engine.standing import status

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
