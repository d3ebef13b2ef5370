"""A journal is appended, never doubled, never guessed: whatever answer is lost and wherever the process is killed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import Killed, Server, door

from meshup.journal import in_cluster
from meshup.journal.files import FileStore
from meshup.journal.in_cluster import ClusterStore, segment_name
from meshup.journal.plans import PIECE, keep_plan, read_plan
from meshup.journal.runs import heads
from meshup.journal.store import BothStores, to_line
from meshup.model.journal import Done, Failed, Intent
from meshup.model.problem import Refused

HOME = "/api/v1/namespaces/meshup-system/configmaps/"


def note(number, size=1):
    return Failed(at="2026-01-01T00:00:00Z", change=str(number), why="x" * size)


batches = st.lists(st.lists(st.integers(1, 30_000), min_size=1, max_size=4), min_size=1, max_size=12)
faults = st.dictionaries(st.integers(0, 20), st.sampled_from(["lost-before", "lost-after"]), max_size=6)
kills = st.lists(st.tuples(st.integers(0, 12), st.sampled_from(["killed-before", "killed-after"])), max_size=3)


@given(batches=batches, faults=faults)
@settings(max_examples=60, deadline=None)
def test_what_was_appended_is_read_back_once_and_in_order_whatever_answer_is_lost(batches, faults):
    server = Server()
    server.faults = faults
    store = ClusterStore(door(server), "r1", epoch=3)
    wanted = []
    for number, sizes in enumerate(batches):
        entries = [note(f"{number}.{at}", size) for at, size in enumerate(sizes)]
        store.append(entries)
        wanted += entries
    assert store.entries() == tuple(wanted)
    assert ClusterStore(door(server), "r1", epoch=4).entries() == tuple(wanted)
    for path, each in server.objects.items():
        if path.startswith(HOME):
            assert len(each["data"]["entries"].encode()) <= in_cluster.MOST


@given(batches=batches, kills=kills)
@settings(max_examples=60, deadline=None)
def test_after_a_kill_another_process_goes_on_and_nothing_confirmed_is_gone(batches, kills):
    server = Server()
    confirmed, maybe, epoch = [], set(), 1
    store = ClusterStore(door(server), "r1", epoch=epoch)
    pending = list(kills)
    for number, sizes in enumerate(batches):
        if pending:
            ahead, how = pending.pop()
            server.faults = {server.mutations + ahead: how}
        entries = [note(f"{number}.{at}", size) for at, size in enumerate(sizes)]
        try:
            store.append(entries)
            confirmed.append(entries)
        except Killed:
            maybe.update(each.change for each in entries)
            epoch += 1
            store = ClusterStore(door(server), "r1", epoch=epoch)
    read = [each.change for each in store.entries()]
    assert [each for each in read if each not in maybe] == [each.change for batch in confirmed for each in batch]
    assert len(set(read)) == len(read)


def test_a_writer_that_was_overtaken_stops():
    server = Server()
    old = ClusterStore(door(server), "r1", epoch=1)
    old.append([note(1)])
    new = ClusterStore(door(server), "r1", epoch=2)
    new.append([note(2)])
    with pytest.raises(Refused) as failed:
        old.append([note(3)])
    assert failed.value.code == "MU2303"
    assert [each.change for each in new.entries()] == ["1", "2"]


def test_a_lost_answer_does_not_hide_another_writer():
    server = Server()
    old = ClusterStore(door(server), "r1", epoch=1)
    old.append([note(1)])

    def overtaken(request):
        server.before_mutation = None
        ClusterStore(door(server), "r1", epoch=2).append([note(2)])
        server.faults = {server.mutations: "lost-before"}

    server.before_mutation = overtaken
    with pytest.raises(Refused) as failed:
        old.append([note(3)])
    assert failed.value.code == "MU2303"


def test_the_newest_epoch_is_on_the_segment_that_was_continued():
    server = Server()
    ClusterStore(door(server), "r1", epoch=4).append([note(1)])
    ClusterStore(door(server), "r2", epoch=2).append([note(1)])
    ClusterStore(door(server), "r1", epoch=9).append([note(2)])
    assert [(each.run, each.epoch, each.segments) for each in heads(door(server))] == [("r2", 2, 1), ("r1", 9, 1)]


def filled():
    server = Server()
    store = ClusterStore(door(server), "r1", epoch=1)
    for number in range(12):
        store.append([note(number, 20_000)])
    assert len(server.objects) > 4
    return server


@pytest.mark.parametrize("harm", ["missing", "edited", "swapped", "newer", "junk"])
def test_a_harmed_journal_is_refused_with_a_way_out(harm):
    server = filled()
    second = server.objects[HOME + segment_name("r1", 1)]
    match harm:
        case "missing":
            del server.objects[HOME + segment_name("r1", 1)]
        case "edited":
            second["data"]["entries"] = second["data"]["entries"].replace("x", "y", 1)
        case "swapped":
            other = server.objects[HOME + segment_name("r1", 2)]
            second["data"], other["data"] = other["data"], second["data"]
        case "newer":
            second["data"]["schema"] = "meshup.dev/journal/v2"
        case "junk":
            last = server.objects[HOME + segment_name("r1", 3)]
            last["data"]["entries"] += "{not json\n"
    with pytest.raises(Refused) as failed:
        ClusterStore(door(server), "r1", epoch=2).entries()
    assert failed.value.code == "MU2311"
    assert failed.value.fix


def test_an_entry_above_900_kib_is_refused_before_anything_is_sent():
    server = Server()
    with pytest.raises(Refused) as failed:
        ClusterStore(door(server), "r1", epoch=1).append([note(1, 901 * 1024)])
    assert failed.value.code == "MU2312"
    assert server.mutations == 0


@pytest.mark.parametrize("place", ["inverse", "precondition"])
def test_no_value_of_a_secret_is_stored(place, tmp_path):
    server = Server()
    secret = {"body": {"kind": "Secret", "metadata": {"name": "tls"}, "data": {"tls.key": "aGlkZGVu"}}}
    entry = Intent(at="t", change="c", object="o", epoch=1, **{place: secret})
    for store in (ClusterStore(door(server), "r1", epoch=1), FileStore(tmp_path, "r1")):
        with pytest.raises(Refused) as failed:
            store.append([entry])
        assert failed.value.code == "MU2315"
    with pytest.raises(Refused):
        keep_plan(door(server), "d", json.dumps({"stages": [secret]}))
    assert server.mutations == 0
    assert not list(tmp_path.iterdir())


@given(cut=st.integers(0, 400), sizes=st.lists(st.integers(1, 200), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_a_file_cut_anywhere_loses_only_the_last_append_and_goes_on(tmp_path_factory, cut, sizes):
    folder = tmp_path_factory.mktemp("journal")
    store = FileStore(folder, "r1")
    for number, size in enumerate(sizes):
        store.append([note(number, size)])
    whole = store.path.read_bytes()
    store.path.write_bytes(whole[: max(0, len(whole) - cut)])
    left = FileStore(folder, "r1").entries()
    assert [each.change for each in left] == [str(number) for number in range(len(left))]
    FileStore(folder, "r1").append([note("next")])
    assert FileStore(folder, "r1").entries() == (*left, note("next"))


def test_a_full_disk_stops_before_the_cluster_is_told(tmp_path):
    server = Server()
    both = BothStores(ClusterStore(door(server), "r1", epoch=1), FileStore(tmp_path, "r1"))
    both.append([note(1)])
    kept = both._files.path
    both._files.path = type(kept)("/dev/full")
    before = server.mutations
    with pytest.raises(Refused) as failed:
        both.append([note(2)])
    assert failed.value.code == "MU2313"
    assert server.mutations == before
    both._files.path = kept
    assert [each.change for each in both.entries()] == ["1"]


def test_a_disk_that_fills_up_in_the_middle_of_a_write_leaves_the_file_as_it_was(tmp_path):
    import resource

    store = FileStore(tmp_path, "r1")
    store.append([note(1)])
    before = store.path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 50, hard))
    try:
        with pytest.raises(Refused):
            store.append([note(2, 500)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert store.path.read_bytes() == before
    store.append([note(3)])
    assert [each.change for each in store.entries()] == ["1", "3"]


def test_a_folder_that_can_not_be_made_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(Refused) as failed:
        FileStore(tmp_path / "file", "r1").append([note(1)])
    assert failed.value.code == "MU2313"


def test_files_and_cluster_hold_the_same_lines(tmp_path):
    server = Server()
    both = BothStores(ClusterStore(door(server), "r1", epoch=1), FileStore(tmp_path, "r1"))
    for number in range(5):
        both.append([note(number), Done(at="t", change=str(number))])
    assert FileStore(tmp_path, "r1").entries() == both.entries()
    assert to_line(note(1)).encode() in FileStore(tmp_path, "r1").path.read_bytes()


def big():
    import random

    chance = random.Random(3)
    return json.dumps({"stages": [f"{chance.random()}" for _ in range(90_000)]})


@pytest.mark.parametrize("how", ["killed-before", "killed-after", "lost-before", "lost-after"])
@pytest.mark.parametrize("at", [0, 1])
def test_a_plan_is_kept_whole_wherever_it_was_interrupted(how, at):
    text = big()
    server = Server()
    server.faults = {at: how}
    try:
        keep_plan(door(server), "sha256:ab", text)
    except Killed:
        keep_plan(door(server), "sha256:ab", text)
    pieces = [each for path, each in server.objects.items() if path.startswith(HOME)]
    assert len(pieces) == 2
    assert all(len(json.dumps(each)) < 900 * 1024 for each in pieces)
    assert PIECE < 900 * 1024 * 3 / 4
    assert read_plan(door(server), "sha256:ab") == text


@pytest.mark.parametrize("harm", ["gone", "piece", "bytes", "bomb"])
def test_a_stored_plan_that_was_altered_is_refused(harm):
    import base64
    import gzip
    import hashlib

    server = Server()
    keep_plan(door(server), "sha256:ab", big())
    names = [path for path in server.objects if path.startswith(HOME)]
    match harm:
        case "gone":
            for each in names:
                del server.objects[each]
        case "piece":
            del server.objects[names[1]]
        case "bytes":
            server.objects[names[0]]["binaryData"]["plan.gz"] = "AAAA"
        case "bomb":
            packed = gzip.compress(b" " * (65 << 20))
            del server.objects[names[1]]
            first = server.objects[names[0]]
            first["binaryData"]["plan.gz"] = base64.b64encode(packed).decode()
            first["metadata"]["annotations"] = {
                "meshup.dev/pieces": "1",
                "meshup.dev/piece": "0",
                "meshup.dev/sha256": hashlib.sha256(packed).hexdigest(),
            }
    with pytest.raises(Refused) as failed:
        read_plan(door(server), "sha256:ab")
    assert failed.value.code == "MU2314"


def test_a_file_follows_the_cluster_after_a_kill_between_the_two(tmp_path):
    server = Server()
    both = BothStores(ClusterStore(door(server), "r1", epoch=1), FileStore(tmp_path, "r1"))
    both.append([note(1)])
    server.faults = {server.mutations: "killed-before"}
    with pytest.raises(Killed):
        both.append([note(2)])
    assert len(FileStore(tmp_path, "r1").entries()) == 2
    again = BothStores(ClusterStore(door(server), "r1", epoch=2), FileStore(tmp_path, "r1"))
    assert again.entries() == (note(1),)
    again.append([note(3)])
    assert FileStore(tmp_path, "r1").entries() == (note(1), note(3))
    elsewhere = BothStores(ClusterStore(door(server), "r1", epoch=3), FileStore(tmp_path / "other", "r1"))
    elsewhere.entries()
    elsewhere.append([note(4)])
    assert FileStore(tmp_path / "other", "r1").entries() == (note(1), note(3), note(4))


def test_an_entry_that_came_after_the_look_stops_the_one_who_looked():
    server = Server()
    old = ClusterStore(door(server), "r1", epoch=1)
    old.append([note(1)])
    new = ClusterStore(door(server), "r1", epoch=2)
    assert new.entries() == (note(1),)
    old.append([note(2)])
    with pytest.raises(Refused) as failed:
        new.append([note(3)])
    assert failed.value.code == "MU2303"


APPENDER = """
import sys
from pathlib import Path
from meshup.journal.files import FileStore
from meshup.model.journal import Failed
store = FileStore(Path(sys.argv[1]), "r1")
begin = len(store.entries())
for number in range(begin, 100000):
    store.append([Failed(at="t", change=str(number), why="x" * (number % 700))])
    print(number, flush=True)
"""


def test_a_real_process_killed_while_it_appends_loses_nothing_it_confirmed(tmp_path):
    import signal
    import subprocess
    import sys

    confirmed = -1
    for round_ in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", APPENDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as child:
            for _ in range(20 + 13 * round_):
                confirmed = int(child.stdout.readline())
            child.send_signal(signal.SIGKILL)
            rest = child.stdout.read().split("\n")
            confirmed = max([confirmed, *(int(each) for each in rest[:-1] if each)])
        read = [int(each.change) for each in FileStore(tmp_path, "r1").entries()]
        assert read == list(range(len(read)))
        assert len(read) > confirmed
