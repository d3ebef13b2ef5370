"""Readings as they are kept: what is judged is what is stored, however long it is."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta

import pytest
from still import StillClock
from test_wait import around, eyes, planned
from toymesh import Says

from meshup.engine.wait import Pause, wait_for
from meshup.journal.store import from_line, to_line
from meshup.model.journal import Judgement
from meshup.model.kept import MOST, PLAIN, fitting, packed, unpacked
from meshup.model.problem import Refused
from meshup.model.verdict import Answer, Judged, Reading, Verdict
from meshup.model.wire import dump

BEGAN = datetime(2026, 11, 2, 10, tzinfo=UTC)


def readings(count, size, *, seed=1):
    """Readings of hexadecimal noise, which packs to half of its length."""
    chance = random.Random(seed)
    return [
        Reading(at=BEGAN + timedelta(seconds=n), elapsed_s=float(n), data={"noise": chance.randbytes(size // 2).hex()})
        for n in range(count)
    ]


def judged(several):
    return Judged(
        gate="a/b/c",
        kind="says",
        verdict=Verdict(answer=Answer.PASS, because="well"),
        readings=tuple(several),
        waited_s=1.0,
    )


def test_the_first_and_as_many_of_the_newest_are_kept_as_fit():
    several = readings(60, 4000)
    kept = fitting(several)
    assert 2 < len(kept) < 60
    assert kept == [several[0], *several[-len(kept) + 1 :]]
    assert len(packed([dump(each) for each in kept])["packed"]) <= MOST
    one_more = [several[0], *several[-len(kept) :]]
    assert len(packed([dump(each) for each in one_more])["packed"]) > MOST


def test_the_newest_is_kept_however_long_it_is():
    several = readings(4, 300_000)
    assert fitting(several) == [several[0], several[-1]]


def test_what_fits_is_kept_whole():
    several = readings(10, 4000)
    assert fitting(several) == several


@pytest.mark.parametrize("size", [10, PLAIN])
def test_an_entry_comes_back_from_its_line_as_it_was(size):
    entry = Judgement(at="2026-11-02T10:00:00Z", place="a/b", judged=judged(readings(3, size)))
    line = to_line(entry)
    assert ('"packed"' in line) == (size == PLAIN)
    assert from_line(line, where="here") == entry


@pytest.mark.parametrize("spoil", ["AAAA", "####", 1, None])
def test_a_packed_entry_that_was_edited_is_damage(spoil):
    raw = json.loads(to_line(Judgement(at="now", place="a", judged=judged(readings(3, PLAIN)))))
    raw["judged"]["readings"]["packed"] = spoil
    with pytest.raises(Refused):
        from_line(json.dumps(raw), where="here")


def test_packed_readings_that_are_cut_are_none():
    raw = packed(dump(readings(2, PLAIN)))
    with pytest.raises(ValueError, match="cut"):
        unpacked({"packed": raw["packed"][: len(raw["packed"]) // 8 * 4]})


class Long(Says):
    """A gate of long looks that counts how many it is given."""

    def observe(self, eyes, terms):
        return readings(1, 8000, seed=int(eyes.clock.elapsed()))[0].data

    def judge(self, readings, terms):
        newest = readings[-1].data["noise"][:4]
        return Verdict(answer=Answer.UNKNOWN, because=f"{len(readings)} looks, the newest {newest}")


def test_a_verdict_is_made_of_what_is_kept_with_it():
    clock = StillClock()
    gate, plan = Long(), planned(every_s=5.0, limit_s=300.0)
    pause = Pause(around(clock), beat=lambda: None, next_command="")
    found = wait_for(around(clock), gate, plan, eyes(clock), pause)
    assert 2 < len(found.readings) < 60
    assert found.over
    assert found.verdict.because.startswith(gate.judge(found.readings, None).because)
