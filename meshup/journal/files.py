"""A run's journal as JSON lines in a folder, synced to disk before an act."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from io import RawIOBase
from pathlib import Path

from meshup.journal.store import SCHEMA, damaged, from_line, to_line
from meshup.model.journal import Entry
from meshup.model.problem import Refused

TAIL = 64 * 1024


class FileStore:
    """DIR/RUN.jsonl; the first line states the schema. A line without its end was cut by a kill and never counts."""

    def __init__(self, folder: Path, run: str) -> None:
        self.run = run
        self.path = folder / f"{run}.jsonl"

    def append(self, entries: Sequence[Entry]) -> None:
        """Write, flush and sync. Raises Refused (MU2313) when the disk does not take it; then nothing of it counts."""
        text = "".join(to_line(each) + "\n" for each in entries)
        header = json.dumps({"schema": SCHEMA, "run": self.run}) + "\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+b", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                end = _whole(file, size)
                if end < size:
                    os.ftruncate(file.fileno(), end)
                try:
                    _write(file, ((header if end == 0 else "") + text).encode())
                    os.fsync(file.fileno())
                except OSError:
                    os.ftruncate(file.fileno(), end)
                    raise
            if end == 0:
                _sync_folder(self.path.parent)
        except OSError as failed:
            raise self._full(failed) from failed

    def become(self, entries: Sequence[Entry]) -> None:
        """Hold exactly these entries; the file is replaced in one step, and only when it differs."""
        header = json.dumps({"schema": SCHEMA, "run": self.run}) + "\n"
        content = (header + "".join(to_line(each) + "\n" for each in entries)).encode()
        try:
            if self.path.exists() and self.path.stat().st_size == len(content) and self.path.read_bytes() == content:
                return
            self.path.parent.mkdir(parents=True, exist_ok=True)
            beside = self.path.with_suffix(".new")
            with beside.open("wb", buffering=0) as file:
                _write(file, content)
                os.fsync(file.fileno())
            beside.replace(self.path)
            _sync_folder(self.path.parent)
        except OSError as failed:
            raise self._full(failed) from failed

    def _full(self, failed: OSError) -> Refused:
        return Refused(
            f"the journal file {self.path} could not be written: {failed.strerror}",
            code="MU2313",
            fix="free some room or choose another --journal folder, then: meshup apply --resume",
            cluster="nothing was sent after that",
        )

    def entries(self) -> tuple[Entry, ...]:
        """Read the lines back; a last line cut short by a kill is passed over. Raises Refused (MU2311) when odd."""
        if not self.path.exists():
            return ()
        try:
            text = self.path.read_bytes().decode("utf-8")
        except (OSError, UnicodeDecodeError) as failed:
            raise damaged(str(self.path), getattr(failed, "strerror", None) or "it is not text") from None
        whole = text.split("\n")[:-1]
        if not whole:
            return ()
        if _schema(whole[0]) != SCHEMA:
            raise damaged(f"{self.path}:1", f"its format is not {SCHEMA}")
        return tuple(from_line(line, where=f"{self.path}:{number}") for number, line in enumerate(whole[1:], 2))


def _write(file: RawIOBase, content: bytes) -> None:
    """Write all of it, unbuffered: what failed must not be flushed later, when the file is closed."""
    left = memoryview(content)
    while left:
        left = left[file.write(left) or 0 :]


def _whole(file: RawIOBase, size: int) -> int:
    """Give where the last whole line ends, reading backwards from the end."""
    at = size
    while at > 0:
        start = max(0, at - TAIL)
        file.seek(start)
        found = (file.read(at - start) or b"").rfind(b"\n")
        if found >= 0:
            return start + found + 1
        at = start
    return 0


def _schema(line: str) -> object:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found.get("schema") if isinstance(found, dict) else None


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
