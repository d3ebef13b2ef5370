"""A run's journal as sealed ConfigMap segments, each chained to the one before by its SHA-256."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from meshup.cluster.errors import AlreadyExists, Conflict, MaybeDone
from meshup.cluster.ports import Writer
from meshup.journal.home import EPOCH, HOME, MANAGED, RESENDS, RUN, epoch_of
from meshup.journal.store import SCHEMA, damaged, from_line, to_line
from meshup.model.journal import Entry
from meshup.model.objects import Object, Ref, annotated, dig
from meshup.model.problem import Refused

SEGMENT = "meshup.dev/segment"
SEAL_AT = 64 * 1024
MOST = 900 * 1024


def segment_name(run: str, number: int) -> str:
    """Give a segment's ConfigMap name."""
    return f"run-{run}-{number:04d}"


def digest(text: str) -> str:
    """Give the SHA-256 of a segment's lines in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


class ClusterStore:
    """One run's segments. Every append is one write with the resourceVersion that was read as its precondition."""

    def __init__(self, cluster: Writer, run: str, *, epoch: int) -> None:
        self._cluster, self.run, self._epoch = cluster, run, epoch
        self._last: Object | None = None
        self._number = -1
        self._previous = ""

    def append(self, entries: Sequence[Entry]) -> None:
        """Store entries behind the last ones. A reply that was lost is resolved by reading; never doubled."""
        lines = "".join(to_line(each) + "\n" for each in entries)
        if len(lines.encode()) > MOST:
            raise self._refused("MU2312", f"one append of {len(lines)} bytes is above {MOST}")
        if self._last is None and self._number < 0:
            self._find_end()
        text = str(dig(self._last, "data", "entries") or "") if self._last is not None else ""
        if self._last is None or (text and len((text + lines).encode()) > SEAL_AT):
            self._new_segment(lines, text)
        else:
            self._extend(text + lines)

    def entries(self) -> tuple[Entry, ...]:
        """Read all segments and check the chain. Raises Refused when it is broken or of a newer format."""
        found: list[Entry] = []
        previous = ""
        segments = self._segments()
        for number, each in enumerate(segments):
            name = str(dig(each, "metadata", "name"))
            if name != segment_name(self.run, number):
                raise damaged(f"ConfigMap {HOME}/{segment_name(self.run, number)}", "a segment is missing")
            if dig(each, "data", "schema") != SCHEMA:
                raise damaged(
                    f"ConfigMap {HOME}/{name}", f"its format is {dig(each, 'data', 'schema')!r}, known is {SCHEMA}"
                )
            if (dig(each, "data", "previous") or "") != previous:
                raise damaged(f"ConfigMap {HOME}/{name}", "it does not follow the segment before it")
            text = str(dig(each, "data", "entries") or "")
            previous = digest(text)
            found += [
                from_line(line, where=f"ConfigMap {HOME}/{name} line {at}")
                for at, line in enumerate(text.splitlines(), 1)
            ]
        if self._number < 0:
            # What is appended next stands behind what was read here: an entry that came between stops this process.
            self._stand_behind(segments)
        return tuple(found)

    def _segments(self) -> list[Object]:
        found = self._cluster.list("v1", "ConfigMap", namespace=HOME, labels=f"{RUN}={self.run},{SEGMENT}")
        return sorted(found, key=lambda each: str(dig(each, "metadata", "name")))

    def _find_end(self) -> None:
        self._stand_behind(self._segments())

    def _stand_behind(self, segments: Sequence[Object]) -> None:
        if segments:
            self._last, self._number = segments[-1], len(segments) - 1
            self._previous = str(dig(segments[-1], "data", "previous") or "")

    def _new_segment(self, lines: str, sealed: str) -> None:
        number = self._number + 1
        previous = digest(sealed) if self._last is not None else ""
        body: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": segment_name(self.run, number),
                "namespace": HOME,
                "labels": {**MANAGED, RUN: self.run, SEGMENT: f"{number:04d}"},
                "annotations": {EPOCH: str(self._epoch)},
            },
            "data": {"schema": SCHEMA, "previous": previous, "entries": lines},
        }
        try:
            self._last = self._cluster.create(body)
        except AlreadyExists:
            raise self._other() from None
        except MaybeDone:
            self._last = self._settled(number, lines, lambda: self._cluster.create(body))
        self._number, self._previous = number, previous

    def _extend(self, text: str) -> None:
        last = self._last or {}
        meta = dict(last.get("metadata") or {})
        meta["annotations"] = {**annotated(last), EPOCH: str(max(self._epoch, epoch_of(last)))}
        body = {**last, "metadata": meta, "data": {"schema": SCHEMA, "previous": self._previous, "entries": text}}
        try:
            self._last = self._cluster.replace(body)
        except Conflict:
            raise self._other() from None
        except MaybeDone:
            self._last = self._settled(self._number, text, lambda: self._cluster.replace(body))

    def _settled(self, number: int, text: str, again: Callable[[], Object]) -> Object:
        """Find out what became of a write whose answer was lost; send it again only where it certainly did not happen."""
        for _ in range(RESENDS):
            found = self._after_lost(number, text)
            if found is not None:
                return found
            try:
                return again()
            except MaybeDone:
                continue
            except (AlreadyExists, Conflict):
                # The lost write arrived after the look, or somebody else's did: the next look tells which.
                continue
        raise self._refused("MU2303", "its last write could not be confirmed")

    def _after_lost(self, number: int, text: str) -> Object | None:
        ref = Ref(api_version="v1", kind="ConfigMap", namespace=HOME, name=segment_name(self.run, number))
        found = self._cluster.find(ref)
        if found is not None and dig(found, "data", "entries") == text:
            return found
        if found is None:
            return None
        before = dig(self._last, "metadata", "resourceVersion") if number == self._number else None
        if before is not None and dig(found, "metadata", "resourceVersion") == before:
            return None
        raise self._other()

    def _other(self) -> Refused:
        return self._refused("MU2303", "another process has written to it since; it goes on with this run, or did")

    def _refused(self, code: str, why: str) -> Refused:
        return Refused(
            f"the journal of run {self.run} could not be continued",
            code=code,
            why=why,
            fix="meshup status, then meshup apply --resume",
            cluster="the last journalled change stands",
        )
