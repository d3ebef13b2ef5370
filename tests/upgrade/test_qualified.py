"""A release is supported because critical users ran it: the run that did it is on record, and what is none is no evidence."""

from __future__ import annotations

from dataclasses import replace

import pytest
from onboarded import NEW, OLD, Onboarded, critical, onboarded

from meshup.engine.execute import apply
from meshup.engine.qualifying import on_record
from meshup.engine.releases import decide, listed
from meshup.engine.taking_back import run_plan
from meshup.journal.release import find
from meshup.model.holds import HoldAt
from meshup.model.objects import Ref
from meshup.model.problem import Exit, GateHeld, Refused
from meshup.model.runbook import Probe
from meshup.views.releases import moved, releases

CORNER = "tests/views/corner.yaml"


@pytest.fixture
def made() -> Onboarded:
    return onboarded(CORNER)


def forgotten(made: Onboarded) -> None:
    """The release's record loses its status, as if the run had been killed before it wrote it."""
    made.session.cluster.update_status(
        Ref(api_version="meshup.dev/v1", kind="MeshRelease", name=NEW), {"qualified": None}
    )
    record = find(made.session.cluster, NEW)
    assert record is not None
    assert record.qualified is None


def test_the_run_whose_critical_users_held_is_on_record_with_their_names_soak_and_gates(made: Onboarded) -> None:
    book = made.written(soak_s=1800.0)
    assert made.apply(book, through="control-plane").exit == 0
    record = find(made.session.cluster, NEW)
    assert record is not None
    assert (record.state, record.qualified) == ("candidate", None)
    outcome = made.apply(book, through="qualify")
    record = find(made.session.cluster, NEW)
    assert record is not None
    found = record.qualified
    assert found is not None
    assert found.run == outcome.run
    assert found.users == (("shop/web", "team-front"),)
    assert found.soak_s == 1800.0
    assert {"proxies-right", "success-rate", "latency", "new-connections"} <= set(found.gates)
    assert record.state == "candidate", "a run decides nothing"


def test_promote_needs_no_reason_where_there_is_evidence_and_says_it(made: Onboarded) -> None:
    assert made.apply(made.written(), through="qualify").exit == 0
    found = decide(made.session, "promote", NEW, book=made.book)
    assert found.release.state == "supported"
    assert found.evidence is not None
    assert found.release.decided is not None
    assert found.release.decided.reason.startswith("shop/web (team-front) ran it for 1m;")
    assert "qualified shop/web (team-front) ran it for 1m" in moved(found, width=160)
    shown = releases(listed(made.session, book=made.book), width=160)
    assert f"qualified {NEW}: shop/web (team-front)" in shown


def test_evidence_that_the_record_lost_is_found_in_the_journal(made: Onboarded) -> None:
    assert made.apply(made.written(), through="qualify").exit == 0
    record = find(made.session.cluster, NEW)
    assert record is not None
    forgotten(made)
    assert on_record(made.session, NEW) == record.qualified
    assert decide(made.session, "promote", NEW, book=made.book).evidence == record.qualified


def test_a_critical_user_that_is_declared_to_have_little_traffic_qualifies_nothing(made: Onboarded) -> None:
    book = made.written()
    low = tuple(replace(each, low_traffic=Probe(path="/", port=8080)) for each in book.services)
    assert made.apply(replace(book, services=low), through="qualify").exit == 0
    record = find(made.session.cluster, NEW)
    assert record is not None
    assert record.qualified is None
    refused(made)


def refused(made: Onboarded) -> None:
    before = made.simulation.server.mutations
    with pytest.raises(Refused) as none:
        decide(made.session, "promote", NEW, book=made.book)
    assert (none.value.code, made.simulation.server.mutations) == ("MU3507", before)


def test_a_candidate_that_nobody_qualified_is_not_promoted_without_a_reason(made: Onboarded) -> None:
    decide(made.session, "add", NEW, book=made.book)
    refused(made)
    found = decide(made.session, "promote", NEW, book=made.book, reason="qualified elsewhere")
    assert found.evidence is None
    assert "qualified by nobody on record" in moved(found, width=160)


def test_an_installed_control_plane_is_no_evidence(made: Onboarded) -> None:
    assert made.apply(made.written(), through="control-plane").exit == 0
    refused(made)


def test_a_wave_that_was_taken_back_by_its_gates_is_no_evidence(made: Onboarded) -> None:
    made.simulation.world.inject({"fault": "bad-release", "on": NEW, "bad": "errors", "name": "bad"})
    assert made.apply(made.written(), through="qualify").exit == Exit.UNDONE
    assert on_record(made.session, NEW) is None
    refused(made)


def test_a_run_that_was_taken_back_is_no_evidence_any_more(made: Onboarded) -> None:
    assert made.apply(made.written(), through="qualify").exit == 0
    assert apply(made.session, run_plan(made.session)).exit == 0
    assert on_record(made.session, NEW) is None
    shown = releases(listed(made.session, book=made.book), width=160)
    assert "none of them runs it any more" in shown
    refused(made)


def test_who_went_back_to_the_old_release_qualifies_nothing(made: Onboarded) -> None:
    assert made.apply(made.written(), through="qualify").exit == 0
    made.pin("shop/web", to=OLD)
    with pytest.raises(GateHeld) as held:
        decide(made.session, "promote", NEW, book=made.book, reason="all is well")
    assert held.value.why.startswith("critical service shop/web went back: ")
    made.book = replace(made.book, holds=HoldAt(critical=False))
    refused(made)


def test_a_wave_in_which_nobody_stayed_is_no_evidence(made: Onboarded) -> None:
    """Its only owner goes back before it is planned anew, and the wave holds with nobody in it."""
    book = made.written()
    assert made.apply(book, through="control-plane").exit == 0
    made.pin("shop/web", to=OLD)
    made.apply(book, through="qualify")
    assert on_record(made.session, NEW) is None


def test_a_wave_that_does_not_say_that_it_qualifies_proves_nothing(made: Onboarded) -> None:
    book = made.written()
    plain = replace(book, waves=tuple(replace(each, qualifies=False) for each in book.waves))
    assert critical(book)
    assert made.apply(plain, through="qualify").exit == 0
    refused(made)


def test_a_wave_that_no_gate_saw_on_the_release_proves_nothing(made: Onboarded) -> None:
    """All its other gates held; that its pods ran the release is what was not looked at."""
    book = made.written()
    blind = tuple(
        replace(each, gates=tuple(gate for gate in each.gates if gate.kind != "proxies-right")) for each in book.stages
    )
    assert made.apply(replace(book, stages=blind), through="qualify").exit == 0
    assert on_record(made.session, NEW) is None
    refused(made)
