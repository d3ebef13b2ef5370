"""Virtual time: timers in order, ties by their making."""

from __future__ import annotations

from meshup.simulate.clock import START, VirtualClock


def test_timers_run_in_order_at_their_own_time():
    clock, ran = VirtualClock(), []
    for name, at in (("b", 2), ("a", 1), ("c", 2)):
        clock.call_at(at, lambda name=name: ran.append((name, clock.elapsed())))
    clock.advance(5)
    assert ran == [("a", 1), ("b", 2), ("c", 2)]
    assert clock.elapsed() == 5


def test_a_timer_may_set_another_that_falls_due():
    clock, ran = VirtualClock(), []
    clock.call_later(1, lambda: clock.call_later(1, lambda: ran.append(clock.elapsed())))
    clock.advance(3)
    assert ran == [2]


def test_every_goes_on():
    clock, ran = VirtualClock(), []
    clock.every(10, lambda: ran.append(clock.elapsed()))
    clock.advance(35)
    assert ran == [10, 20, 30]


def test_a_jump_moves_the_wall_and_not_what_elapsed():
    clock = VirtualClock()
    clock.jump(-3600)
    assert (clock.elapsed(), (clock.now() - START).total_seconds()) == (0, -3600)
