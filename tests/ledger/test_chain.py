"""Nothing in an export can be edited, taken out, moved, put in or cut off unseen, and the first wrong line is named."""

from __future__ import annotations

import random
import re

import pytest
from exported import CLUSTER, at, grown, history, pin

from meshup.journal.chain import Chain, linked
from meshup.journal.export import appended, read, sound

EDITS = 12_000
SHARE = 10
"""`make test` tries one edit in this many, the sweep all of them."""


@pytest.fixture(scope="module")
def whole() -> bytes:
    return grown(history(7, pins=40))


def edited(data: bytes, chance: random.Random) -> tuple[str, bytes, int]:
    """Give (what was done, another file, number of the first line that differs)."""
    lines = data.splitlines(keepends=True)
    which = chance.randrange(len(lines))
    other = chance.randrange(len(lines))
    how = chance.choice(
        ("bit", "byte", "gone", "put in", "remove", "swap", "twice", "insert", "cut", "cut line", "word", "blank")
    )
    place = chance.randrange(len(data))
    match how:
        case "bit":
            return (
                how,
                data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1 :],
                _line(data, place),
            )
        case "byte":
            return how, data[:place] + bytes([chance.randrange(256)]) + data[place + 1 :], _line(data, place)
        case "gone":
            return how, data[:place] + data[place + 1 :], _line(data, place)
        case "put in":
            return how, data[:place] + bytes([chance.randrange(256)]) + data[place:], _line(data, place)
        case "remove":
            return how, b"".join(lines[:which] + lines[which + 1 :]), which + 1
        case "swap":
            low, high = sorted((which, other))
            lines[low], lines[high] = lines[high], lines[low]
            return how, b"".join(lines), low + 1
        case "twice":
            return how, b"".join([*lines[: which + 1], lines[which], *lines[which + 1 :]]), which + 2
        case "insert":
            forged = Chain(seq=which, head="0" * 64).link({**pin(99), "cluster": CLUSTER})
            return how, b"".join([*lines[:which], forged, *lines[which:]]), which + 1
        case "cut":
            return how, data[:place], _line(data, place)
        case "cut line":
            return how, b"".join(lines[:which]), which + 1
        case "word":
            # A line edited with its own hash made right: the next one no longer follows it.
            line = re.sub(rb"timeouts|Timeouts|502", b"nothing", lines[which])
            again = Chain(seq=which, head=_before(lines, which)).link(_fields(line))
            return how, b"".join([*lines[:which], again, *lines[which + 1 :]]), which + 1
        case _:
            return how, b"".join([*lines[:which], b"\n", *lines[which:]]), which + 1


def _line(data: bytes, place: int) -> int:
    return data[:place].count(b"\n") + 1


def _before(lines: list[bytes], which: int) -> str:
    return lines[which - 1][-67:-3].decode() if which else "0" * 64


def _fields(line: bytes) -> dict:
    import json

    return {key: value for key, value in json.loads(line).items() if key not in ("schema", "seq", "prev", "hash")}


def tried(data: bytes, count: int, seed: int) -> tuple[int, set[str]]:
    """Edit so many times; each edit that changes something must be found, at the line where it is or the next."""
    chance, found, ways = random.Random(seed), 0, set()
    head = sound(data).head
    while found < count:
        how, other, line = edited(data, chance)
        if other == data:
            continue
        said = sound(other, head=head)
        assert said.why, f"{how} at line {line} was not found"
        assert line <= said.line <= line + 1, f"{how} at line {line} was found at {said.line}: {said.why}"
        found += 1
        ways.add(how)
    return found, ways


def test_a_share_of_random_edits_is_found_to_the_last_one(whole: bytes) -> None:
    found, ways = tried(whole, EDITS // SHARE, seed=1)
    assert (found, len(ways)) == (EDITS // SHARE, 12)


@pytest.mark.sweep
@pytest.mark.parametrize("part", range(SHARE))
def test_every_random_edit_is_found(part: int, covered) -> None:
    found, ways = tried(grown(history(100 + part, pins=40)), EDITS // SHARE, seed=part)
    covered(f"edits of an export, part {part}: {found} of {found} found, in {len(ways)} ways")
    assert found == EDITS // SHARE


def test_what_was_written_holds_and_says_its_head(whole: bytes) -> None:
    said = sound(whole)
    assert (said.why, said.line, said.lines) == ("", 0, whole.count(b"\n"))
    assert said.head == whole.rstrip()[-66:-2].decode()
    assert sound(whole, head=said.head[:12]).why == ""


def test_an_older_state_of_the_file_is_told_by_the_head_alone(whole: bytes) -> None:
    lines = whole.splitlines(keepends=True)
    first = next(number for number, line in enumerate(lines, 1) if b'"kind":"Seal"' in line)
    older = b"".join(lines[:first])
    assert sound(older).why == ""
    said = sound(older, head=sound(whole).head)
    assert (said.line, "missing" in said.why) == (first + 1, True)


def test_a_rollup_that_adds_up_something_else_is_found_though_its_chain_holds() -> None:
    found = history(3)[-1]
    lied, _, _ = appended(None, found[:-3], cluster=CLUSTER, at=at(0), least=0)
    sums = next(line for line in lied.splitlines() if b'"kind":"Rollup"' in line)
    chain = Chain()
    forged = chain.link({"kind": "Ledger", "cluster": CLUSTER, "at": at(0)})
    for each in found:
        forged += chain.link({**each, "cluster": CLUSTER})
    line = chain.seq + 1
    forged += chain.link({"kind": "Rollup", "sum": _fields(sums)["sum"]}) + chain.seal(at(0))
    assert len(list(linked(forged.splitlines()))) == line + 1
    assert (sound(forged).line, sound(forged).why) == (line, "it adds up other records")


def test_a_file_that_was_cut_between_lines_is_found_without_its_head_unless_it_ends_with_a_seal(whole: bytes) -> None:
    lines = whole.splitlines(keepends=True)
    for count in range(1, len(lines)):
        said = sound(b"".join(lines[:count]))
        if b'"kind":"Seal"' in lines[count - 1]:
            assert said.why == ""
        else:
            assert (said.line, "without its seal" in said.why) == (count + 1, True), count


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"{}\n", b"[]\n", b"\xff\x00", b'{"kind":"Seal"}\n', b"[" * 100_000 + b"\n"]
)
def test_what_is_no_export_is_wrong_at_its_first_line(data: bytes) -> None:
    assert (sound(data).line, sound(data).lines) == (1, 0)


def test_a_further_export_appends_what_is_new_and_touches_nothing() -> None:
    finds = history(5)
    first = grown(finds[:2])
    more, chain, new = appended(read(first), finds[2], cluster=CLUSTER, at=at(20), least=0)
    assert new == more.count(b'"record"') > 0
    assert sound(first + more).head == chain.head
    assert appended(read(first + more), finds[2], cluster=CLUSTER, at=at(30))[0] == b""


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("record", "spec", "since"), "2026-13-99T00:00:00Z"),
        (("record", "spec", "since"), 7),
        (("record", "spec", "service"), ["cart"]),
        (("record", "spec", "to"), None),
        (("record", "status", "phase"), "Paused"),
        (("trust",), "certain"),
    ],
)
def test_a_record_that_does_not_fit_is_named_and_the_rest_is_read(where: tuple[str, ...], value: object) -> None:
    odd = pin(1)
    place = odd
    for each in where[:-1]:
        place = place[each]
    place[where[-1]] = value
    lines, _, _ = appended(None, [odd, pin(2)], cluster=CLUSTER, at=at(0))
    found = read(lines)
    assert found.odd == ["MeshPin shop/cart-1 p-1"]
    assert [each.name for each in found.held] == ["cart-2"]
