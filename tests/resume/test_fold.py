"""A journal folded: what is open, what is done, what an undo and a takeover mean."""

from __future__ import annotations

import pytest

from meshup.engine.fold import fold
from meshup.model.journal import (
    Done,
    Failed,
    Finished,
    Intent,
    Judgement,
    Looked,
    Reached,
    Started,
    Stopped,
    TakenOver,
)
from meshup.model.verdict import Answer, Judged, Reading, Verdict

AT = "2026-11-02T09:00:00Z"
START = Started(
    at=AT, run="r-1", plan="sha256:1", plan_kind="apply", user="ana", epoch=1, cluster_uid="c", through="onboard"
)


def intent(change):
    return Intent(at=AT, change=change, object="ConfigMap a", epoch=1)


def done(change, uid="u"):
    return Done(at=AT, change=change, uid=uid)


def reached(place, how):
    return Reached(at=AT, place=place, how=how)


def test_a_journal_begins_with_its_start():
    with pytest.raises(ValueError, match="begins"):
        fold([Finished(at=AT)])


def test_an_intent_is_open_until_it_is_done_or_failed():
    assert [each.change for each in fold([START, intent("a/1"), intent("a/2")]).open] == ["a/1", "a/2"]
    entries = [START, intent("a/1"), intent("a/2"), done("a/1"), Failed(at=AT, change="a/2", why="x")]
    assert fold(entries).open == ()
    assert list(fold(entries).done) == ["a/1"]


def test_an_undone_place_begins_anew_and_its_neighbour_stays():
    entries = [
        START,
        intent("a/1"),
        done("a/1"),
        reached("a", "done"),
        intent("b/w/1"),
        done("b/w/1", "u1"),
        reached("b/w", "undoing"),
        intent("undo:b/w/1"),
        done("undo:b/w/1"),
        reached("b/w", "undone"),
    ]
    state = fold(entries)
    assert list(state.done) == ["a/1"]
    assert dict(state.places) == {"a": "done", "b/w": "undone"}
    again = fold([*entries, intent("b/w/1"), done("b/w/1", "u2")])
    assert again.made["b/w/1"] == "u2"
    assert "b/w/1" in again.done


def test_a_disarmed_place_is_armed_anew_and_holds():
    entries = [START, intent("s/1"), done("s/1"), reached("s", "disarmed"), reached("s", "held")]
    state = fold(entries)
    assert state.done == {}
    assert state.places == {"s": "held"}


def test_a_takeover_goes_on_and_says_how_far():
    state = fold([START, Stopped(at=AT, exit=3, why="x", next="y"), TakenOver(at=AT, epoch=2, user="bob", through="")])
    assert (state.word, state.user, state.epoch, state.through) == ("running", "bob", 2, "")
    assert fold([START]).through == "onboard"


def test_the_first_look_is_kept_until_the_place_is_undone():
    def look(n):
        return Looked(at=AT, place="a", gate="g", reading=Reading(at=None, elapsed_s=n))

    state = fold([START, look(1.0), look(2.0)])
    assert state.looked["a", "g"].elapsed_s == 1.0
    assert fold([START, look(1.0), reached("a", "undone"), look(2.0)]).looked["a", "g"].elapsed_s == 2.0


def test_judgements_are_kept_in_order():
    def judged(answer):
        verdict = Verdict(answer=answer, because="x")
        return Judgement(
            at=AT, place="a", judged=Judged(gate="a/g", kind="g", verdict=verdict, readings=(), waited_s=0.0)
        )

    state = fold([START, judged(Answer.FAIL), judged(Answer.PASS)])
    assert [each.judged.verdict.answer for each in state.judgements] == [Answer.FAIL, Answer.PASS]
