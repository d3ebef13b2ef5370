"""Patience: K in a row, limits, hopeless stops, blind eyes, heartbeats, interrupts, and callers who wait no longer."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest
from bench import Told
from hypothesis import given
from hypothesis import strategies as st
from still import StillClock
from toymesh import Says

from meshup.engine.session import Session
from meshup.engine.wait import Pause, wait_for
from meshup.gates.gate import Blind, Eyes
from meshup.journal.holder import Holder
from meshup.model.plan import PlannedGate
from meshup.model.problem import DeadlinePassed, Interrupted, Waiting
from meshup.model.snapshot import Identity
from meshup.model.verdict import Answer, Patience, Verdict


def around(clock, **more):
    more.setdefault("watcher", Told())
    return Session(
        cluster=SimpleNamespace(),
        clock=clock,
        drivers={},
        steps={},
        gates={},
        identity=Identity(user="ana"),
        holder=Holder(user="ana", host="here", pid=1),
        fenced=lambda fence: None,
        **more,
    )


def eyes(clock):
    return Eyes(cluster=None, driver=None, clock=clock, book=None, services=(), place="onboard/wave-1", revision="2-0")


def planned(kind="says", *, waived="", **patience):
    usual = {"limit_s": 60.0, "every_s": 5.0, "in_a_row": 3}
    return PlannedGate(
        id=f"onboard/wave-1/{kind}",
        kind=kind,
        title="",
        params={},
        patience=Patience(**{**usual, **patience}),
        waived=waived,
    )


def judged(answers, *, clock=None, gate=None, session=None, plan=None, beat=lambda: None):
    clock = clock or StillClock()
    session = session or around(clock)
    gate = gate or Says()
    gate.script["*"] = list(answers)
    pause = Pause(session, beat=beat, next_command="meshup apply --resume")
    return wait_for(session, gate, plan or planned(), eyes(clock), pause)


def test_a_pass_counts_when_it_came_three_times_in_a_row():
    clock = StillClock()
    found = judged(["pass", "pass", "unknown", "pass"], clock=clock)
    assert found.verdict.answer is Answer.PASS
    assert clock.elapsed() == 25.0


def test_one_fail_ends_it_at_once():
    clock = StillClock()
    assert judged(["pass", "pass", "fail"], clock=clock).verdict.answer is Answer.FAIL
    assert clock.elapsed() == 10.0


def test_unknown_to_the_limit_stays_unknown():
    clock = StillClock()
    found = judged(["unknown"], clock=clock)
    assert found.verdict.answer is Answer.UNKNOWN
    assert "60 s" in found.verdict.because
    assert clock.elapsed() == 60.0


def test_a_square_wave_shorter_than_k_never_passes():
    found = judged(["pass", "pass", "unknown"] * 50)
    assert found.verdict.answer is Answer.UNKNOWN


def test_hopeless_is_not_waited_for():
    class Hopeless(Says):
        def judge(self, readings, terms):
            return Verdict(answer=Answer.UNKNOWN, because="the image is not there", hopeless=True)

    clock = StillClock()
    found = judged(["unknown"], clock=clock, gate=Hopeless())
    assert found.verdict.hopeless
    assert clock.elapsed() == 0.0


def test_a_gate_that_cannot_read_is_unknown_with_its_reason():
    class NoEyes(Says):
        def observe(self, eyes, terms):
            raise Blind("no Prometheus answers")

    found = judged([], gate=NoEyes())
    assert found.verdict.answer is Answer.UNKNOWN
    assert "no Prometheus answers" in found.verdict.because


def test_a_gate_that_breaks_holds_the_wave_and_names_itself():
    class Broken(Says):
        def judge(self, readings, terms):
            raise ZeroDivisionError("division by zero")

    found = judged(["pass"], gate=Broken())
    assert found.verdict.answer is Answer.UNKNOWN
    assert "ZeroDivisionError" in found.verdict.because


def test_a_waived_gate_is_skipped_with_its_reason_and_never_asked():
    gate = Says()
    found = judged(["fail"], gate=gate, plan=planned(waived="ana: no traffic at night, until 2026-12-31"))
    assert found.verdict.answer is Answer.SKIPPED
    assert "no traffic at night" in found.verdict.because
    assert gate.looks == []


def test_something_is_said_at_least_every_thirty_seconds():
    clock, told = StillClock(), Told()
    judged(["unknown"], clock=clock, session=around(clock, watcher=told), plan=planned(limit_s=300.0))
    times = [each.elapsed_s for each in told.named("Waits")]
    assert times[0] == 0.0
    assert max(b - a for a, b in itertools.pairwise(times)) <= 30.0


def test_leases_are_beaten_while_it_waits():
    clock, beats = StillClock(), []
    judged(
        ["unknown"], clock=clock, plan=planned(limit_s=120.0, every_s=60.0), beat=lambda: beats.append(clock.elapsed())
    )
    assert max(b - a for a, b in zip([0.0, *beats], beats, strict=False)) <= 5.0


def test_an_interrupt_is_seen_within_a_slice():
    clock = StillClock()
    session = around(clock, interrupted=lambda: clock.elapsed() >= 7.0)
    with pytest.raises(Interrupted) as stopped:
        judged(["unknown"], clock=clock, session=session, plan=planned(every_s=60.0))
    assert clock.elapsed() <= 12.0
    assert stopped.value.fix == "meshup apply --resume"


def test_a_caller_who_waits_no_longer_than_a_soak_gets_5_and_than_a_gate_8():
    clock = StillClock()
    with pytest.raises(Waiting):
        judged(["unknown"], clock=clock, session=around(clock, wait_s=20.0), plan=planned("soak"))
    clock = StillClock()
    with pytest.raises(DeadlinePassed):
        judged(["unknown"], clock=clock, session=around(clock, wait_s=20.0))
    assert clock.elapsed() <= 20.0


def test_an_approval_that_is_not_there_ends_with_5_at_once_or_when_the_caller_had_enough():
    clock = StillClock()
    with pytest.raises(Waiting):
        judged(["unknown"], clock=clock, plan=planned("approval"))
    assert clock.elapsed() == 0.0
    with pytest.raises(Waiting):
        judged(["unknown"], clock=clock, session=around(clock, wait_s=40.0), plan=planned("approval"))
    assert 30.0 <= clock.elapsed() <= 40.0
    found = judged(["unknown", "pass"], session=around(StillClock(), wait_s=40.0), plan=planned("approval", in_a_row=1))
    assert found.verdict.answer is Answer.PASS


def test_an_earlier_process_began_the_soak():
    clock = StillClock()
    gate = Says()
    gate.script["*"] = ["unknown"]
    session = around(clock)
    pause = Pause(session, beat=lambda: None, next_command="")
    found = wait_for(session, gate, planned(), eyes(clock), pause, began_before_s=50.0)
    assert found.waited_s == 60.0
    assert clock.elapsed() == 10.0


@given(st.lists(st.sampled_from(["pass", "fail", "unknown"]), min_size=1, max_size=40), st.integers(1, 5))
def test_nothing_passes_without_its_passes_in_a_row(answers, in_a_row):
    found = judged(answers, plan=planned(in_a_row=in_a_row, limit_s=100.0))
    asked = [*answers, *[answers[-1]] * 60]
    run = 0
    for answer in asked[:21]:
        run = run + 1 if answer == "pass" else 0
        if run == in_a_row or answer == "fail":
            assert found.verdict.answer is (Answer.PASS if run == in_a_row else Answer.FAIL)
            return
    assert found.verdict.answer is Answer.UNKNOWN


class Spaced(Says):
    """A gate whose readings hold what must not be lost, so that it may not be asked sooner than it says."""

    def handed_on(self, older, newer, terms):
        return newer


def test_a_gate_that_lives_on_what_is_new_is_not_asked_sooner_than_its_pace_at_the_limit_either():
    clock = StillClock()
    gate = Spaced()
    found = judged(["unknown"], clock=clock, gate=gate, plan=planned(limit_s=62.0, every_s=30.0, in_a_row=1))
    assert (len(gate.looks), found.over, clock.elapsed()) == (3, True, 60.0)
    assert "its limit of 62 s is reached" in found.verdict.because
