"""A watch that can be trusted: the list is the truth, the stream only the hurry."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from meshup.cluster.errors import Gone, Temporary
from meshup.cluster.ports import Event
from meshup.model.clock import Clock
from meshup.model.objects import Object, dig
from meshup.model.transport import TransportFailure

LULL_S = 1.0


def follow(
    listed: Callable[[], tuple[tuple[Object, ...], str]],
    opened: Callable[[str, float], Iterator[bytes]],
    *,
    clock: Clock,
    pause: Callable[[float], None],
    for_s: float,
) -> Iterator[Event]:
    """Yield LISTED, then what the stream says; LISTED again after 410, a cut, an error event or silence.

    listed: gives all objects and the list's resourceVersion. opened: opens a stream from a resourceVersion for at most
    that many seconds. A stream that the server ends in order is opened again from the last version, without a list.
    """
    began = clock.elapsed()
    while True:
        objects, version = listed()
        yield Event(kind="LISTED", objects=objects, version=version)
        while version:
            left = for_s - (clock.elapsed() - began)
            if left <= 0:
                return
            opened_at = clock.elapsed()
            quiet = True
            try:
                for event in _events(opened(version, left)):
                    quiet = False
                    version = event.version or version
                    if event.objects:
                        yield event
            except (Gone, Temporary, TransportFailure):
                version = ""
            if quiet and clock.elapsed() - opened_at < LULL_S:
                pause(LULL_S)
        if for_s - (clock.elapsed() - began) <= 0:
            return


def _events(lines: Iterator[bytes]) -> Iterator[Event]:
    """Read watch lines. A bookmark is an event without objects. Raises Gone or TransportFailure when it can't go on."""
    try:
        for line in lines:
            if not line.strip():
                continue
            kind, found = _parsed(line)
            version = str(dig(found, "metadata", "resourceVersion") or "")
            match kind:
                case "ADDED" | "MODIFIED" | "DELETED":
                    yield Event(kind=kind, objects=(found,), version=version)
                case "BOOKMARK":
                    yield Event(kind="MODIFIED", objects=(), version=version)
                case _:
                    raise Gone(
                        "the watch can't go on", code="MU7205", fix="list again", status=int(found.get("code") or 410)
                    )
    finally:
        close = getattr(lines, "close", None)
        if close is not None:
            close()


def _parsed(line: bytes) -> tuple[str, dict[str, Any]]:
    try:
        read = json.loads(line)
        return str(read["type"]), dict(read["object"])
    except (ValueError, KeyError, TypeError):
        raise TransportFailure("reset", "a line of the watch is cut", maybe_done=False) from None
