"""A chain of lines: each names the hash of the one before it, so that no line can be edited, moved or taken out unseen. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SCHEMA = "meshup.dev/ledger/v1"
FIRST = "0" * 64
HEADER, SEAL = "Ledger", "Seal"
TAIL = re.compile(rb',"hash":"([0-9a-f]{64})"\}')
TAIL_LENGTH = 75
LONGEST_SEAL = 2048
OWN = frozenset({"schema", "seq", "prev", "hash"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """What a chain came to.

    lines: how many hold, from the first on. head: hash of the last of them, "" = none holds. line: number of the first
    one that is wrong, from 1, 0 = none is. why: what is wrong with it, "" = nothing.
    """

    lines: int
    head: str
    line: int = 0
    why: str = ""


class Chain:
    """A chain that goes on. seq: number of the next line, from 0. head: hash of the last one. size: bytes so far."""

    def __init__(self, *, seq: int = 0, head: str = FIRST, size: int = 0) -> None:
        self.seq, self.head, self.size = seq, head, size

    def link(self, fields: Mapping[str, Any]) -> bytes:
        """Give the next line with its end: canonical JSON (keys sorted, no blanks), its own hash behind the rest."""
        body = canonical({**fields, "schema": SCHEMA, "seq": self.seq, "prev": self.head})
        self.head = hashlib.sha256(body).hexdigest()
        line = b'%b,"hash":"%b"}\n' % (body[:-1], self.head.encode())
        self.seq += 1
        self.size += len(line)
        return line

    def seal(self, at: str, **more: Any) -> bytes:
        """Give the line that an export ends with: a file cut between two lines has none. at: RFC 3339."""
        return self.link({"kind": SEAL, "at": at, "lines": self.seq, "head": self.head, **more})


def canonical(fields: Mapping[str, Any]) -> bytes:
    """Give JSON of which there is one form only."""
    return json.dumps(fields, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def verify(data: bytes, *, head: str = "") -> Sound:
    """Check every byte of a chain. Never raises: what is no chain is wrong at line 1.

    head: what it ends with, in full or its first characters, "" = not known: then a file that was put back to an older
    state of itself can't be told from that state.
    """
    lines = data.split(b"\n")
    rest = lines.pop()
    count, found, kind, why = _walk(lines, 0, FIRST)
    last = found if count else ""
    if why:
        return Sound(lines=count, head=last, line=count + 1, why=why)
    if rest:
        return Sound(lines=count, head=last, line=count + 1, why="it is not a whole line: the file was cut")
    if not lines:
        return Sound(lines=0, head="", line=1, why="the file is empty")
    if kind != SEAL:
        return Sound(lines=count, head=last, line=count + 1, why="it is missing: the file ends without its seal")
    if head and not last.startswith(head):
        why = f"it is missing or another: the file ends with {last[:12]}, not with {head[:12]}"
        return Sound(lines=count, head=last, line=count + 1, why=why)
    return Sound(lines=count, head=last)


def goes_on(lines: Sequence[bytes]) -> bool:
    """Tell whether whole lines, from any one of a chain up to the seal that it ends with, follow each other unedited.

    lines: at least one. Raises ValueError, KeyError or TypeError when the first is no line of a chain.
    """
    first = json.loads(lines[0])
    _, _, kind, why = _walk(lines, int(first["seq"]), str(first["prev"]))
    return not why and kind == SEAL


def _walk(lines: Sequence[bytes], number: int, last: str) -> tuple[int, str, str, str]:
    """Follow lines from a number and a hash on. Gives (how many hold, hash and kind of the last that does, what is wrong)."""
    kind = ""
    for count, line in enumerate(lines):
        why, found, sort = _link(line, number + count, last)
        if why:
            return count, last, kind, why
        last, kind = found, sort
    return len(lines), last, kind, ""


def _link(line: bytes, number: int, last: str) -> tuple[str, str, str]:
    """Give (what is wrong with one line, its hash, its kind)."""
    tail = TAIL.fullmatch(line, len(line) - TAIL_LENGTH) if len(line) > TAIL_LENGTH else None
    if tail is None:
        return "it is no line of a ledger", last, ""
    body = line[:-TAIL_LENGTH] + b"}"
    found = tail[1].decode()
    if hashlib.sha256(body).hexdigest() != found:
        return "it was edited", last, ""
    try:
        read = json.loads(body)
        same = isinstance(read, dict) and canonical(read) == body
    except (ValueError, RecursionError):
        return "it is no JSON", last, ""
    if not same:
        return "it is not in the one form that JSON has here", last, ""
    if read.get("schema") != SCHEMA:
        return f"its format is not {SCHEMA}", last, ""
    if read.get("seq") != number or read.get("prev") != last:
        return "it does not follow the line before it: lines were removed, added or put in another order", last, ""
    if (read.get("kind") == HEADER) is not (number == 0):
        return "a ledger has one first line", last, ""
    if read.get("kind") == SEAL and (read.get("lines"), read.get("head")) != (number, last):
        return "it seals other lines than those before it", last, ""
    return "", found, str(read.get("kind"))


def last_line(tail: bytes) -> dict[str, Any] | None:
    """Give the seal that a file ends with from its last bytes (LONGEST_SEAL are enough), None when it has none."""
    line = tail[:-1].rpartition(b"\n")[2]
    match = TAIL.fullmatch(line, len(line) - TAIL_LENGTH) if len(line) > TAIL_LENGTH else None
    if match is None or tail[-1:] != b"\n" or not is_itself(line):
        return None
    found: dict[str, Any] = json.loads(line)
    return found if found.get("kind") == SEAL and found.get("schema") == SCHEMA else None


def is_itself(line: bytes) -> bool:
    """Tell whether a line, without its end, has the hash that it names."""
    digest = hashlib.sha256(line[:-TAIL_LENGTH])
    digest.update(b"}")
    return line.endswith(b',"hash":"%b"}' % digest.hexdigest().encode())


def records(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Give what lines hold, unchecked. Raises ValueError for a line that is no JSON object."""
    for line in lines:
        found = json.loads(line)
        if not isinstance(found, dict):
            raise ValueError("a line is no object")
        yield found
