"""A run's journal as JSON lines in a folder, synced to disk before an act."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from meshup.journal.store import SCHEMA, from_line, to_line
from meshup.model.journal import Entry
from meshup.model.problem import Refused


class FileStore:
    """DIR/RUN.jsonl; the first line states the schema."""

    def __init__(self, folder: Path, run: str) -> None:
        self.run = run
        self.path = folder / f"{run}.jsonl"

    def append(self, entries: Sequence[Entry]) -> None:
        """Write, flush and sync. Raises Refused (MU2313) when the disk does not take it; nothing was done then."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            new = not self.path.exists()
            with self.path.open("a", encoding="utf-8") as file:
                if new:
                    file.write(f'{{"schema":"{SCHEMA}","run":"{self.run}"}}\n')
                file.write("".join(to_line(each) + "\n" for each in entries))
                file.flush()
                os.fsync(file.fileno())
        except OSError as failed:
            raise Refused(
                f"the journal file {self.path} could not be written: {failed.strerror}",
                code="MU2313",
                fix="free some room or choose another --journal folder, then: meshup apply --resume",
                cluster="nothing was sent after that",
            ) from failed

    def entries(self) -> tuple[Entry, ...]:
        """Read the lines back; a last line cut short by a kill is passed over."""
        if not self.path.exists():
            return ()
        lines = self.path.read_text(encoding="utf-8").split("\n")
        whole = [line for line in lines[1:-1] if line]
        return tuple(from_line(line, where=f"{self.path}:{number}") for number, line in enumerate(whole, 2))
