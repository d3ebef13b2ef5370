"""A release goes from candidate to supported and on, never past a state; who decided is written with the state."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshup.journal.release import from_body, order, to_body
from meshup.model.release import LEADS, MOST_DECISIONS, STATES, Decision, Release, is_possible, moved, name_of

NOW = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)
MAY = {
    "add": {"", "candidate", "blocked"},
    "promote": {"candidate", "supported", "deprecated"},
    "deprecate": {"supported", "deprecated"},
    "block": {"candidate", "supported", "deprecated", "blocked"},
}


def release(**more) -> Release:
    return replace(Release(mesh="istio", version="1.30.3", state="candidate"), **more)


def move(found: Release | None, what: str, **more) -> Release:
    known = {"mesh": "istio", "version": "1.30.3", "by": "pia", "at": NOW, "reason": "because"}
    return moved(found, what, **known | more)


@pytest.mark.parametrize("what", LEADS)
@pytest.mark.parametrize("state", ["", *STATES])
def test_a_move_leads_on_only_from_where_it_may(what: str, state: str) -> None:
    found = release(state=state) if state else None
    assert is_possible(what, found) == (state in MAY[what])


def test_a_blocked_release_is_never_supported_in_one_move() -> None:
    assert not is_possible("promote", release(state="blocked"))
    assert move(release(state="blocked"), "add").state == "candidate"


@pytest.mark.parametrize("what", LEADS)
def test_a_decision_is_written_with_its_state_and_a_second_one_changes_nothing(what: str) -> None:
    state = next(iter(sorted(LEADS[what][1] - {""})))
    after = move(release(state=state), what)
    assert after.decisions == (Decision(state=after.state, by="pia", at=NOW, reason="because"),)
    assert move(after, what, by="bob", reason="once more") is not None
    assert move(after, what, by="bob", reason="once more") == after


def test_what_is_new_about_a_release_is_a_decision_though_its_state_stays() -> None:
    supported = move(release(), "promote")
    later = move(supported, "promote", ends=NOW, issues=("slow start",))
    assert (later.ends, later.issues, len(later.decisions)) == (NOW, ("slow start",), 2)
    assert move(later, "promote", issues=("slow start",)) == later


def test_a_digest_that_is_known_stays() -> None:
    assert move(None, "add", digest="sha256:1").digest == "sha256:1"
    assert move(release(digest="sha256:1"), "promote", digest="sha256:2").digest == "sha256:1"


def test_the_oldest_decisions_go_when_there_are_too_many() -> None:
    found = release(state="supported")
    for number in range(MOST_DECISIONS + 5):
        found = move(found, "promote" if found.state == "deprecated" else "deprecate", reason=str(number))
    assert len(found.decisions) == MOST_DECISIONS
    assert found.decisions[-1].reason == str(MOST_DECISIONS + 4)


words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30)
times = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)).map(
    lambda at: at.replace(microsecond=0, tzinfo=UTC)
)


@given(
    state=st.sampled_from(STATES),
    digest=st.one_of(st.just(""), words),
    ends=st.one_of(st.none(), times),
    issues=st.lists(words, max_size=3).map(tuple),
    note=st.one_of(st.just(""), words),
    decisions=st.lists(
        st.builds(Decision, state=st.sampled_from(STATES), by=words, at=times, reason=words), max_size=3
    ).map(tuple),
)
def test_a_release_is_read_back_as_it_was_written(**fields) -> None:
    assert from_body(to_body(release(**fields))) == release(**fields)


@pytest.mark.parametrize("state", ["", "retired", None, 3])
def test_a_state_that_is_none_of_ours_is_not_read_as_one(state: object) -> None:
    body = to_body(release())
    body["spec"]["state"] = state
    with pytest.raises(ValueError, match="no state"):
        from_body(body)


def test_releases_stand_in_the_order_of_their_numbers_and_before_what_they_lead_to() -> None:
    assert sorted(["1.30.0", "1.9.4", "1.30.0-rc.1", "1.29.6"], key=order) == [
        "1.9.4",
        "1.29.6",
        "1.30.0-rc.1",
        "1.30.0",
    ]


def test_a_version_makes_a_name_that_a_server_takes() -> None:
    assert name_of("1.30.3") == "1.30.3"
    assert name_of("1.31.0-Dev+abc") == "1.31.0-dev-abc"
