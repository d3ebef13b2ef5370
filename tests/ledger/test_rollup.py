"""A report over an export says the same from its rollups and its index as from every one of its lines."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from exported import START, grown, history, pin
from hypothesis import given, settings
from hypothesis import strategies as st

from meshup.journal import folded, rollup
from meshup.journal.chain import Broken, canonical, linked
from meshup.journal.export import Unsound, held_of, read, view
from meshup.journal.pin import from_body
from meshup.model.cells import tallied
from meshup.model.holds import HoldAt, verdicts
from meshup.model.merge import latest
from meshup.model.reporting import report

NOW = START + timedelta(days=3)
EVERY = HoldAt(users=1, least=1)


def plain(data: bytes) -> list[dict]:
    """Read every line with json.loads and keep the last reading of each pin: the loop that nothing may differ from."""
    last = {}
    for line in data.splitlines():
        found = json.loads(line)
        if found["kind"] == "MeshPin":
            last[found["record"]["metadata"]["uid"]] = found
    return list(last.values())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exports") / "ledger.jsonl"


@settings(max_examples=150)
@given(seed=st.integers(0, 10**9), services=st.integers(1, 12), least=st.sampled_from((0, 6000)))
def test_no_answer_differs_from_the_plain_loop(place: Path, seed: int, services: int, least: int) -> None:
    data = grown(history(seed, pins=24, exports=6, services=services), least=least)
    place.write_bytes(data)
    folded.beside(place).unlink(missing_ok=True)
    meant = [held_of(each) for each in plain(data)]
    whole = folded.of_lines(data, str(place))
    cold = folded.of_file(place)
    folded.write_index(place, read(data))
    warm = folded.of_file(place)
    assert cold == whole
    assert warm == whole
    seen = [view(read(data), str(place))]
    assert whole[1] == tallied(meant)
    assert report([cold[0]], now=NOW, at=EVERY, tally=cold[1]) == report(seen, now=NOW, at=EVERY)


@settings(max_examples=60)
@given(seed=st.integers(0, 10**9))
def test_the_verdicts_rest_on_the_users_and_services_that_the_records_of_the_cluster_give(
    place: Path, seed: int
) -> None:
    data = grown(history(seed, pins=24, exports=6), least=0)
    place.write_bytes(data)
    folded.beside(place).unlink(missing_ok=True)
    found, tally = folded.of_file(place)
    told = {row.release: row for row in report([found], now=NOW, at=EVERY, tally=tally).releases}
    pins = [replace(from_body(each["record"]), trust=each["trust"]) for each in plain(data)]
    judged = verdicts(pins, (), now=NOW, at=EVERY, cluster=found.cluster)
    for release, verdict in judged.items():
        assert (told[release].verdict.users, told[release].verdict.services) == (verdict.users, verdict.services)


def used(path: Path) -> str:
    """Say what an answer came from."""
    with path.open("rb") as file:
        if folded._from_index(path, file):
            return "index"
        return "rollup" if folded._from_rollup(path, file) else "lines"


def test_the_shortcuts_are_taken_and_an_index_of_another_state_is_not(place: Path) -> None:
    finds = history(11, pins=60)
    data = grown(finds)
    place.write_bytes(data)
    folded.beside(place).unlink(missing_ok=True)
    assert used(place) == "rollup"
    folded.write_index(place, read(data))
    assert used(place) == "index"
    place.write_bytes(data)
    assert used(place) == "rollup"
    folded.write_index(place, read(data))
    index = folded.beside(place).read_bytes()
    folded.beside(place).write_bytes(index[:200] + b"7" + index[201:])
    assert used(place) == "rollup"
    place.write_bytes(grown(finds, least=1 << 30))
    assert used(place) == "lines"


def test_a_record_that_reaches_back_is_no_reason_for_another_answer() -> None:
    before = [pin(1, since=10, phase="Closed"), pin(2, since=20, phase="Closed", left="1.31.0")]
    late = pin(3, since=15, phase="Closed", left="1.29.4", to="1.29.4")
    rolled = rollup.rolled(held_of({**each, "cluster": "c"}) for each in before)
    assert rollup.resumed(rolled, [held_of({**late, "cluster": "c"})]) is None
    after = rollup.resumed(rolled, [held_of({**late, "cluster": "d"})])
    assert after == tallied(
        latest([*(held_of({**each, "cluster": "c"}) for each in before), held_of({**late, "cluster": "d"})])
    )


def test_a_later_line_of_an_earlier_rollback_is_not_somebodys_last() -> None:
    early = pin(1, service="web", since=5, user="ana", phase="Active")
    late = pin(2, service="cart", since=20, user="ana", phase="Closed")
    both = [held_of({**each, "cluster": "c"}) for each in (early, late)]
    over = both[0]._replace(phase="Closed")
    assert rollup.resumed(rollup.rolled(both), [over]) == tallied([over, both[1]])


def test_a_rollup_is_written_once_lines_are_many_times_as_long_as_the_last() -> None:
    finds = history(2, pins=300, exports=40, services=30)
    data = grown(finds)
    sums = [len(line) for line in data.splitlines() if b'"kind":"Rollup"' in line]
    assert 2 <= len(sums) < 20
    assert sum(sums) * 4 <= len(data) + sums[0] * 4


def test_what_a_rollup_says_of_a_history_changes_with_its_version_alone() -> None:
    said = rollup.dump(rollup.rolled(view(read(grown(history(1))), "").held))
    assert (rollup.VERSION, hashlib.sha256(canonical(said)).hexdigest()[:16]) == (1, "7e8110a6c9804a5e")
    assert rollup.dump(rollup.load(json.loads(json.dumps(said)))) == said
    with pytest.raises(ValueError, match="version 2"):
        rollup.load({**said, "version": 2})


@pytest.mark.parametrize("kind", ["Rollup", "Seal"])
def test_a_line_that_was_edited_into_another_of_the_same_form_makes_no_report(place: Path, kind: str) -> None:
    data = grown(history(11, pins=60))
    folded.beside(place).unlink(missing_ok=True)
    start = data.rindex(b"\n", 0, data.rindex(b'"kind":"%b"' % kind.encode())) + 1
    line = data[start:]
    edited = line.replace(b"user2", b"user7", 1) if kind == "Rollup" else line.replace(b'"at":"2026', b'"at":"2027', 1)
    assert edited != line
    place.write_bytes(data[:start] + edited)
    assert used(place) == "lines"
    with pytest.raises(Unsound, match="it was edited"):
        folded.of_file(place)


@pytest.mark.parametrize("kept", [slice(0, -2), slice(1, None), slice(0, None, 2)])
def test_lines_that_were_cut_or_taken_out_do_not_go_on(kept: slice) -> None:
    lines = grown(history(11, pins=60)).split(b"\n")[:-1]
    assert len(list(linked(lines))) == len(lines)
    assert len(list(linked(lines[7:], number=None))) == len(lines) - 7, "from any line"
    found = linked(lines[kept], number=None)
    if kept.step:
        with pytest.raises(Broken, match="it does not follow"):
            list(found)
    else:
        assert (list(found)[-1]["kind"] == "Seal") is (kept.start == 1)
