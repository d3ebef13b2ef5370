"""What a report asks of an export on disk, from as few of its lines as give the same answer as all of them.

The index beside the file, else the newest rollup in it and the lines behind that one, else every line.
"""

from __future__ import annotations

import hashlib
import json
import os
from array import array
from collections.abc import Mapping
from dataclasses import replace
from io import BufferedReader
from pathlib import Path
from typing import Any

from meshup.journal import rollup
from meshup.journal.chain import LONGEST_SEAL, last_line, linked
from meshup.journal.export import SUM, Export, summed, take, view, whole
from meshup.model.cells import Tallied, tallied
from meshup.model.merge import latest
from meshup.model.report import State, View

SCHEMA = "meshup.dev/ledger-index/v1"
ODD = (ValueError, KeyError, TypeError, IndexError, AttributeError)
Answer = tuple[View, Tallied]


def of_file(path: Path) -> Answer:
    """Give a view without its records, and the records added up, from nothing that was edited or cut since it was sealed.

    What is read is checked: the index is of this very file, which was checked when it was made; else a rollup and every
    line behind it hold; else every line does. Raises OSError; Unsound.
    """
    with path.open("rb") as file:
        known = _from_index(path, file) or _from_rollup(path, file)
        if known is not None:
            return known
        file.seek(0)
        return of_lines(file.read(), str(path))


def of_lines(data: bytes, name: str) -> Answer:
    """Give the same from every line. Raises Unsound."""
    found, _ = whole(data)
    return replace(view(found, name), held=()), tallied(latest(found.held))


def beside(path: Path) -> Path:
    """Name the index of an export."""
    return path.with_name(path.name + ".index")


def write_index(path: Path, found: Export) -> None:
    """Keep what a file comes to beside it, whole or not at all. The file must have been checked. Raises OSError.

    A line of JSON, and behind it the times as bytes, which it names by (where they begin, how many bytes).
    """
    made = beside(path)
    fresh = made.with_name(made.name + ".new")
    times = bytearray()

    def pack(some: array[int]) -> tuple[int, int]:
        raw = rollup.to_bytes(some)
        times.extend(raw)
        return len(times) - len(raw), len(raw)

    kept = {**_signed(path, found.head), "cluster": found.cluster, "at": found.at, "sum": summed(found, pack)}
    text = json.dumps(kept, separators=(",", ":"), ensure_ascii=False).encode()
    fresh.write_bytes(text + b"\n" + times + hashlib.sha256(text + times).digest())
    fresh.replace(made)


def _signed(path: Path, head: str) -> dict[str, Any]:
    seen = os.stat(path)
    return {"schema": SCHEMA, "head": head, "size": seen.st_size, "changed": seen.st_mtime_ns}


def _from_index(path: Path, file: BufferedReader) -> Answer | None:
    """Answer from the index when it is of this very file: same last line, size and time of change. Never raises ODD."""
    seal = _seal(file)
    if seal is None:
        return None
    try:
        raw = beside(path).read_bytes()
        end = raw.index(b"\n")
        times = memoryview(raw)[end + 1 : -32]
        if hashlib.sha256(raw[:end] + times).digest() != raw[-32:]:
            return None
        found = json.loads(raw[:end])
        signed = _signed(path, seal["hash"])
        if {key: found[key] for key in signed} != signed:
            return None
        kept = rollup.load(found["sum"], lambda part: rollup.from_bytes(times[part[0] : part[0] + part[1]]))
        return _answer(found["sum"], kept, Export(cluster=found["cluster"], at=found["at"]), str(path))
    except (OSError, *ODD):
        return None


def _from_rollup(path: Path, file: BufferedReader) -> Answer | None:
    """Answer from the newest rollup and the lines behind it; None when there is none, or something does not fit."""
    seal = _seal(file)
    if seal is None or "rollup" not in seal:
        return None
    try:
        file.seek(0)
        first = json.loads(file.readline())
        offset, length = seal["rollup"]
        file.seek(offset)
        lines = file.read().split(b"\n")[:-1]
        behind = linked(lines, number=None)
        found = next(behind)
        if found["kind"] != SUM or len(lines[0]) + 1 != length:
            return None
        more = Export(cluster=first["cluster"], at=seal["at"])
        for each in behind:
            if "record" in each:
                take(more, each)
        return _answer(found["sum"], rollup.load(found["sum"]), more, str(path))
    except ODD:
        return None


def _seal(file: BufferedReader) -> dict[str, Any] | None:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - LONGEST_SEAL))
    return last_line(file.read())


def _answer(raw: Mapping[str, Any], kept: rollup.Rollup, more: Export, name: str) -> Answer | None:
    """Put a sum and the lines behind it together. Raises ODD for a sum that is none."""
    tally = rollup.resumed(kept, more.held)
    if tally is None:
        return None
    states = {state.release: state for state in (State(*each) for each in raw["states"])}
    more.releases = states | more.releases
    more.odd = [*raw["odd"], *more.odd]
    return replace(view(more, name), held=()), tally
