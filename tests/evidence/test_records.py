"""Who of a wave went back since it began is read from the pins: by when they were made, where they lead, and whether they hold."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from twoarms import began, eyes

from meshup.gates.evidence.records import findings, went_back
from meshup.journal.pin import to_body
from meshup.model.ledger import Pin
from meshup.model.objects import Ref
from meshup.model.runbook import Wave
from meshup.model.verdict import Answer


class Ledger:
    """A cluster that has nothing but pins."""

    def __init__(self, *bodies):
        self._bodies = bodies

    def list(self, api_version, kind, *, namespace="", **_):
        assert (api_version, kind, namespace) == ("meshup.dev/v1", "MeshPin", "")
        return iter(self._bodies)


def pin(*, service="pay", to="1.30.3", after_s=10.0, phase="Active"):
    at = began() + timedelta(seconds=after_s)
    made = Pin(
        name=f"{service}-1",
        namespace="till",
        service=service,
        workload=Ref(api_version="apps/v1", kind="Deployment", namespace="till", name=service),
        workload_uid="1",
        from_release="1.30.3",
        from_revision="1-30",
        to_release=to,
        to_revision="1-30",
        user="bob",
        user_uid="2",
        reason="timeouts",
        since=at,
        until=at + timedelta(days=1),
        phase=phase,
    )
    body = to_body(made)
    stamp = at.isoformat().replace("+00:00", "Z")
    return {
        **body,
        "metadata": {**body["metadata"], "creationTimestamp": stamp, "uid": service},
        "status": {"phase": phase},
    }


def seen(*bodies, services=("pay",)):
    looking = eyes(services=services)
    book = replace(looking.book, waves=(Wave(name="one", services=("till/pay",)),))
    return went_back(replace(looking, cluster=Ledger(*bodies), book=book, since=began()))


def test_a_pin_that_was_made_since_and_leads_away_is_told_with_who_and_why():
    assert seen(pin()) == [["till/pay", "bob took it back to 1.30.3: timeouts"]]
    assert seen(pin(to=""))[0][1] == "bob took it back to none: timeouts"


def test_an_owner_who_has_left_the_wave_by_it_is_still_told():
    assert seen(pin(), services=())


@pytest.mark.parametrize(
    "other",
    [pin(after_s=-60.0), pin(phase="Closed"), pin(phase="Failed"), pin(to="1.31.0"), pin(service="front")],
    ids=["before the wave", "ended", "failed", "to the release itself", "of another wave"],
)
def test_what_is_no_going_back_from_this_wave_is_not_told(other):
    assert seen(other) == []


def test_a_pin_that_can_not_be_read_may_be_one_more():
    ((name, said),) = seen({**pin(), "spec": {"service": {}}})
    assert "pay-1" in name
    assert "can't be read" in said


def test_only_more_than_the_runbook_allows_is_held_and_none_of_it_passes():
    away = seen(pin())
    assert findings(away, most=1) == ()
    (found,) = findings(away, most=0)
    assert found.answer is Answer.UNKNOWN
    assert found.because.startswith("till/pay: bob took it back to 1.30.3: timeouts, since the wave began")
