"""An export of the ledger: what is not yet in its chain is appended, and nothing that is in it is touched. Pure."""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from meshup.journal.chain import FIRST, HEADER, SEAL, Broken, Chain, Sound, linked, records
from meshup.journal.pin import KIND
from meshup.journal.rollup import VERSION, dump, rolled
from meshup.model.counts import TRUSTS, weaker
from meshup.model.held import RANKS, Held
from meshup.model.moment import stamp
from meshup.model.report import State, View

SUM = "Rollup"
LEAST = 256 * 1024
PARTS = 4
"""A rollup is written once the lines since the last one are this many times as long as it: at most a fifth of a file."""


@dataclass(slots=True)
class Export:
    """A file, read. at: when it was sealed last. start: hash of its first line, which names the chain.

    seq, head, size: where it goes on. states: record's key -> digest of what it said last; hashes: key -> hash of that
    line. held: every reading of a pin. heads: of every seal. odd: records that can't be read. rollup: (offset, length)
    of the newest, (0, 0) = there is none.
    """

    cluster: str = ""
    at: str = ""
    start: str = ""
    seq: int = 0
    head: str = FIRST
    size: int = 0
    states: dict[str, str] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    held: list[Held] = field(default_factory=list)
    releases: dict[str, State] = field(default_factory=dict)
    odd: list[str] = field(default_factory=list)
    heads: set[str] = field(default_factory=set)
    rollup: tuple[int, int] = (0, 0)


def key_of(line: Mapping[str, Any]) -> str:
    """Name what a line is about: a record by UID, so that one made again under its name is another."""
    record = line["record"]
    if "metadata" not in record:
        return f"{line['kind']} {record['run']}"
    meta = record["metadata"]
    return f"{line['kind']} {meta.get('namespace', '')}/{meta['name']} {meta.get('uid', '')}"


def state_of(line: Mapping[str, Any]) -> str:
    """Give the digest of what a line says of its record."""
    said = json.dumps([line["trust"], line["record"]], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(said.encode()).hexdigest()


def appended(
    before: Export | None, found: Iterable[Mapping[str, Any]], *, cluster: str, at: str, least: int = LEAST
) -> tuple[bytes, Chain, int]:
    """Give the lines that go behind a file (None = a new one) with their seal, the chain then, and how many are records.

    No bytes when nothing is new. at: RFC 3339. least: bytes of lines below which no rollup is made.
    """
    so_far = before or Export()
    chain = Chain(seq=so_far.seq, head=so_far.head, size=so_far.size)
    lines = [] if before else [chain.link({"kind": HEADER, "cluster": cluster, "at": at})]
    gone = Export(held=list(so_far.held), releases=dict(so_far.releases), odd=list(so_far.odd), cluster=cluster)
    new = 0
    for each in found:
        if so_far.states.get(key_of(each)) != state_of(each):
            lines.append(chain.link({**each, "cluster": cluster}))
            take(gone, {**each, "cluster": cluster})
            new += 1
    if before and not new:
        return b"", chain, 0
    offset, length = so_far.rollup
    if chain.size - offset - length >= max(least, PARTS * length):
        offset = chain.size
        lines.append(chain.link({"kind": SUM, "sum": summed(gone)}))
        length = len(lines[-1])
    lines.append(chain.seal(at, **({"rollup": [offset, length]} if length else {})))
    return b"".join(lines), chain, new


def summed(found: Export, pack: Callable[[array[int]], Any] | None = None) -> dict[str, Any]:
    """Give what a rollup line holds. pack: see rollup.dump."""
    return {
        **dump(rolled(found.held), pack),
        "states": sorted(list(each) for each in found.releases.values()),
        "odd": list(found.odd),
    }


class Unsound(ValueError):
    """An export whose chain does not hold. found: the first line that is wrong, and why."""

    def __init__(self, found: Sound) -> None:
        super().__init__(f"line {found.line}: {found.why}")
        self.found = found


def whole(data: bytes, *, head: str = "") -> tuple[Export, Sound]:
    """Read an export and check every byte of it, in one pass: its chain, its records' places, what its rollups add up.

    head: what it ends with, in full or its first characters, "" = not known: then a file that was put back to an older
    state of itself can't be told from that state. Raises Unsound with the first line that is wrong, and nothing else.
    """
    lines = data.split(b"\n")
    rest = lines.pop()
    found, count, kind = Export(), 0, ""
    try:
        for each in linked(lines):
            _add(found, each, len(lines[count]) + 1)
            count, kind = count + 1, each["kind"]
        _ends(found, kind, rest, count=count, head=head)
    except (ValueError, KeyError, TypeError) as wrong:
        why = str(wrong) if isinstance(wrong, Broken) else "it is no line of an export"
        raise Unsound(Sound(lines=count, head=found.head if count else "", line=count + 1, why=why)) from wrong
    return found, Sound(lines=count, head=found.head)


def sound(data: bytes, *, head: str = "") -> Sound:
    """Say what the same check comes to. Never raises."""
    try:
        return whole(data, head=head)[1]
    except Unsound as wrong:
        return wrong.found


def _ends(found: Export, kind: str, rest: bytes, *, count: int, head: str) -> None:
    """Raise Broken unless a file ends with a whole line, its seal, and the head that it must end with."""
    if rest:
        raise Broken("it is not a whole line: the file was cut")
    if not count:
        raise Broken("the file is empty")
    if kind != SEAL:
        raise Broken("it is missing: the file ends without its seal")
    if head and not found.head.startswith(head):
        raise Broken(f"it is missing or another: the file ends with {found.head[:12]}, not with {head[:12]}")


def read(data: bytes) -> Export:
    """Read an export, unchecked: see `whole`. Raises ValueError, KeyError or TypeError for what is none."""
    found = Export()
    lines = data.splitlines(keepends=True)
    for line, raw in zip(records(lines), lines, strict=True):
        _add(found, line, len(raw), checked=False)
    if not found.start:
        raise ValueError("it has no first line")
    return found


def _add(found: Export, line: Mapping[str, Any], length: int, *, checked: bool = True) -> None:
    """Take one line of so many bytes. Raises Broken for a rollup that adds up other records than those before it."""
    kind = line["kind"]
    if kind == HEADER:
        found.cluster, found.start = str(line["cluster"]), str(line["hash"])
    elif kind == SEAL:
        found.at = when(line["at"])
        found.heads.add(str(line["hash"]))
    elif kind == SUM:
        if checked and line["sum"].get("version") == VERSION and json.loads(json.dumps(summed(found))) != line["sum"]:
            raise Broken("it adds up other records")
        found.rollup = (found.size, length)
    else:
        key = key_of(line)
        found.states[key], found.hashes[key] = state_of(line), str(line["hash"])
        take(found, line)
    found.seq, found.head = int(line["seq"]) + 1, str(line["hash"])
    found.size += length


def take(found: Export, line: Mapping[str, Any]) -> None:
    """Take from one line what a report asks for."""
    try:
        if line["kind"] == KIND:
            found.held.append(held_of(line))
        elif line["kind"] == "MeshRelease":
            spec = line["record"]["spec"]
            state = State(spec["version"], spec["state"], spec.get("endOfSupport") or "", spec.get("note") or "")
            found.releases[state.release] = state
    except (KeyError, TypeError, ValueError, AttributeError):
        found.odd.append(key_of(line))


def held_of(line: Mapping[str, Any]) -> Held:
    """Give what a report asks of one line. Raises KeyError, TypeError or ValueError when it does not fit."""
    record = line["record"]
    spec, meta, status = record["spec"], record["metadata"], record.get("status") or {}
    behalf = spec.get("onBehalfOf")
    trust = line["trust"]
    user = spec["requestedBy"]["username"]
    held = Held(
        since=when(spec["since"]),
        name=meta["name"],
        cluster=line["cluster"],
        namespace=meta["namespace"],
        service=spec["service"],
        left=spec["from"].get("release", ""),
        to=spec["to"].get("release", ""),
        who=behalf["name"] if behalf else user,
        trust=trust if not behalf or behalf["trust"] == "verified" else weaker(trust, "declared"),
        reason=spec["reason"],
        until=when(spec["until"]),
        phase=status.get("phase") or "Requested",
        user=user,
        uid=meta.get("uid") or "",
    )
    if not all(isinstance(each, str) for each in held) or trust not in TRUSTS or held.phase not in RANKS:
        raise ValueError("a field has another form")
    return held


def when(text: str) -> str:
    """Give a time as records compare it. Raises ValueError for what is none."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return text if len(text) == 20 and text[10] == "T" and text[19] == "Z" else stamp(found)


def view(found: Export, name: str) -> View:
    """Give an export as a report sees it: records and releases, no pods."""
    return View(
        names=frozenset({name}),
        cluster=found.cluster,
        at=found.at,
        held=tuple(found.held),
        unseen="an export holds no pods",
        states=tuple(sorted(found.releases.values())),
        odd=tuple(found.odd),
    )
