"""The report equals what plain loops over every record say; merging views is a set union; an unread cluster is unknown."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from histories import AT, NOW, RELEASES, oracle, pin, views, went_back
from hypothesis import given, settings
from hypothesis import strategies as st

from meshup.journal import rollup
from meshup.journal.enforcement import Enforcement, trust_of
from meshup.model.counts import TRUSTS
from meshup.model.held import OPEN
from meshup.model.merge import latest, merge
from meshup.model.moment import stamp
from meshup.model.report import View
from meshup.model.reporting import report

SINCE = st.one_of(st.none(), st.integers(0, 80 * 24).map(lambda hours: NOW - timedelta(hours=hours)))


@settings(max_examples=1000, deadline=None)
@given(views(), SINCE)
def test_the_report_is_what_plain_loops_say(found, since) -> None:
    told = report(found, now=NOW, at=AT, since=since)
    want = oracle(found, since)
    rows = {each.release: each for each in told.releases}
    for release, wanted in want.items():
        row = rows.get(release)
        if row is None:
            trend = wanted.pop("trend")
            assert not any(map(sum, trend)), release
            assert not any(sum(value) if isinstance(value, tuple) else 0 for value in wanted.values()), release
            continue
        said = {name: getattr(row, name) for name in wanted if name not in ("reasons", "trend", "answer")}
        said["reasons"] = tuple(map(sum, zip(*(each.counts for each in row.reasons), strict=True))) or (0, 0, 0, 0)
        said["trend"] = tuple(week.counts for week in row.trend)
        said["answer"] = row.verdict.answer
        assert said == wanted, release


@settings(max_examples=1000, deadline=None)
@given(views())
def test_whoever_is_off_their_release_has_an_open_record_or_is_shown_without_one(found) -> None:
    told = report(found, now=NOW, at=AT)
    off = {each.place for view in found for each in view.seen if each.is_off}
    held = {row.held.place for row in told.rows if row.held.is_open and not row.is_untracked}
    untracked = [row.held.place for row in told.rows if row.is_untracked]
    assert len(untracked) == len(set(untracked))
    assert off == (off & held) | set(untracked)
    assert not held & set(untracked)
    records = [each for view in found for each in view.held if each.phase in OPEN]
    assert sum(row.held.is_open for row in told.rows) == len(records) + len(untracked)


@settings(max_examples=1000, deadline=None)
@given(views(), SINCE)
def test_who_went_back_most_is_what_plain_loops_say(found, since) -> None:
    told = report(found, now=NOW, at=AT, since=since)
    left = {
        (record.who, record.trust, origin)
        for record, origin, renews in went_back(found)
        if record.phase in OPEN or (not renews and (since is None or record.since >= stamp(since)))
    }
    want = {name: tuple(sum(one[:2] == (name, trust) for one in left) for trust in TRUSTS) for name, _, _ in left}
    assert dict(told.by_user) == want
    assert [count for _, count in told.by_user] == sorted(want.values(), reverse=True)


@settings(max_examples=300, deadline=None)
@given(views(), st.integers(0, 80 * 24))
def test_only_what_was_made_while_policies_were_in_force_is_enforced(found, hours) -> None:
    since = NOW - timedelta(hours=hours)
    for each in (each for view in found for each in view.held):
        made = replace(pin(each), run="cart-1")
        force = Enforcement(state="in force", since=since)
        assert trust_of(made, Enforcement(state="altered")) == "declared"
        assert trust_of(made, Enforcement(state="unreadable")) == "unknown"
        assert trust_of(replace(made, copied=True), Enforcement(state="unreadable")) == "declared"
        assert trust_of(replace(made, created=None), force) == "declared"
        assert trust_of(made, force) == ("enforced" if made.created >= since else "declared")


@settings(max_examples=300, deadline=None)
@given(views(), views(), views())
def test_merging_is_a_set_union(one, two, three) -> None:
    assert merge(merge(one, two), three) == merge(one, merge(two, three))
    assert merge(one, two) == merge(two, one)
    assert merge(one, one) == merge(one)
    assert merge(merge(one, two), two) == merge(one, two)
    assert report(merge(one, two), now=NOW, at=AT) == report((*two, *one, *two), now=NOW, at=AT)


@settings(max_examples=300, deadline=None)
@given(views(), SINCE, st.integers(0, 40), st.integers(0, 30))
def test_what_was_added_up_before_never_changes_an_answer(found, since, days, cut) -> None:
    records = latest(each for view in found for each in view.held)
    whole = View(names=frozenset({"f"}), cluster="c1", at="", held=records, states=found[0].states)
    kept = rollup.load(json.loads(json.dumps(rollup.dump(rollup.rolled(records[:cut])))))
    tally = rollup.resumed(kept, records[cut:])
    assert tally is not None, "records that come later reach back into nothing"
    then = NOW + timedelta(days=days)
    for version in ("", *RELEASES[:2]):
        straight = report((whole,), now=then, at=AT, since=since, version=version)
        bare = replace(whole, held=())
        assert report((bare,), now=then, at=AT, since=since, version=version, tally=tally) == straight


def test_a_cluster_that_was_not_read_is_unknown_and_never_zero() -> None:
    read = View(names=frozenset({"a"}), cluster="c1", looked=True)
    gone = View(names=frozenset({"b"}), cluster="", why="no answer in 5 s")
    told = report((read, gone), now=NOW, at=AT, version="1.31.0")
    assert [(each.name, each.why) for each in told.unread] == [("b", "no answer in 5 s")]
    assert told.releases[0].verdict.answer == "unknown"
    later = replace(read, names=frozenset({"b"}), cluster="c2")
    assert report((read, gone, later), now=NOW, at=AT).unread == ()


@pytest.mark.parametrize("phase", ["Active", "Requested"])
def test_of_two_readings_of_one_record_the_later_phase_counts(phase) -> None:
    from meshup.model.held import Held

    first = Held(
        since="2026-11-01T00:00:00Z",
        name="p",
        cluster="c1",
        namespace="shop",
        service="s",
        left="1.31.0",
        to="1.30.3",
        who="ana",
        trust="enforced",
        reason="r",
        until="2026-11-08T00:00:00Z",
        phase=phase,
        user="ana",
        uid="u",
    )
    over = first._replace(phase="Closed")
    assert latest([over, first]) == latest([first, over]) == (over,)
