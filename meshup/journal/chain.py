"""A chain of lines: each names the hash of the one before it, so that no line can be edited, moved or taken out unseen. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
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


class Broken(ValueError):
    """A line that is none of a chain, or does not follow the one before it; its text says why."""


def linked(lines: Iterable[bytes], *, number: int | None = 0, last: str = FIRST) -> Iterator[dict[str, Any]]:
    """Yield what whole lines hold, each read once and checked against the one before it.

    number, last: of the first line and of what it follows; number None = as it says itself, from any line on.
    Raises Broken at the first line that is wrong.
    """
    for line in lines:
        found = _link(line)
        if number is None:
            number, last = int(found.get("seq", -1)), str(found.get("prev"))
        if found.get("seq") != number or found.get("prev") != last:
            raise Broken("it does not follow the line before it: lines were removed, added or put in another order")
        if (found.get("kind") == HEADER) is not (number == 0):
            raise Broken("a ledger has one first line")
        if found.get("kind") == SEAL and (found.get("lines"), found.get("head")) != (number, last):
            raise Broken("it seals other lines than those before it")
        yield found
        number, last = number + 1, found["hash"]


def _link(line: bytes) -> dict[str, Any]:
    """Read one line with its own hash. Raises Broken."""
    tail = TAIL.fullmatch(line, len(line) - TAIL_LENGTH) if len(line) > TAIL_LENGTH else None
    if tail is None:
        raise Broken("it is no line of a ledger")
    body = line[:-TAIL_LENGTH] + b"}"
    named = tail[1].decode()
    if hashlib.sha256(body).hexdigest() != named:
        raise Broken("it was edited")
    try:
        found = json.loads(body)
        same = isinstance(found, dict) and canonical(found) == body
    except (ValueError, RecursionError) as odd:
        raise Broken("it is no JSON") from odd
    if not same:
        raise Broken("it is not in the one form that JSON has here")
    if found.get("schema") != SCHEMA:
        raise Broken(f"its format is not {SCHEMA}")
    return {**found, "hash": named}


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
