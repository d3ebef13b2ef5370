"""Rules of the codec: what is dumped loads to an equal value; what does not fit is named."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshup.model import journal
from meshup.model.change import Apply, Change, Delete, Handoff, Label, Restart
from meshup.model.objects import Ref
from meshup.model.verdict import Answer, Judged, Reading, Verdict
from meshup.model.wire import dump, load

words = st.text(max_size=12)
refs = st.builds(Ref, api_version=words, kind=words, namespace=words, name=words)
bodies = st.dictionaries(
    words,
    st.recursive(st.none() | st.booleans() | st.integers() | words, lambda s: st.lists(s, max_size=2), max_leaves=4),
    max_size=3,
)
changes = st.one_of(
    st.builds(Apply, on=refs, body=bodies, before=st.none() | bodies, uid=words, force=st.tuples(words)),
    st.builds(
        Label,
        on=refs,
        at=st.tuples(words, words),
        set=st.dictionaries(words, st.none() | words),
        before=st.dictionaries(words, words),
        uid=words,
    ),
    st.builds(Restart, on=refs, value=words, before=st.none() | words, uid=words),
    st.builds(Delete, on=refs, uid=words, before=bodies),
    st.builds(Handoff, on=refs, to=words, what=words, until=st.dictionaries(words, words), back=words, body=bodies),
)


@given(changes)
def test_a_change_survives_the_wire(change: Change) -> None:
    assert load(Change, json.loads(json.dumps(dump(change)))) == change


def test_a_judgement_survives_the_wire_with_its_evidence() -> None:
    at = datetime(2026, 11, 1, 10, tzinfo=UTC)
    verdict = Verdict(answer=Answer.UNKNOWN, because="41 of 200 requests", missing=159)
    judged = Judged(
        gate="onboard/wave-1/latency",
        kind="latency",
        verdict=verdict,
        readings=(Reading(at=at, elapsed_s=3.5, data={"n": 41}),),
        waited_s=2,
    )
    entry = journal.Judgement(at="2026-11-01T10:00:00Z", place="onboard/wave-1", judged=judged)
    assert load(journal.Entry, json.loads(json.dumps(dump(entry)))) == entry


def test_a_newer_minor_version_only_adds_fields() -> None:
    raw = {**dump(journal.Finished(at="now")), "added_later": 1}
    assert load(journal.Entry, raw) == journal.Finished(at="now")


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        ({"type": "Ref", "kind": "Pod"}, "api_version"),
        ({"type": "Ref", "api_version": 1, "kind": "Pod", "name": "x"}, "api_version"),
        ([], "mapping"),
    ],
)
def test_what_does_not_fit_is_named(raw: object, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        load(Ref, raw)
