"""Who is told of a run's events: lines on stderr, a live line on a terminal, or one JSON object a line on stdout."""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meshup.model.events import Event, Waits
from meshup.model.text import harmless, page

if TYPE_CHECKING:
    from meshup.cli.screen import Screen


@dataclass(slots=True)
class Lines:
    """Lines on stderr: one per change of state. A wait that says the same again is told as a heartbeat every 30 s.

    On a terminal a wait rewrites its own line instead.
    """

    screen: Screen
    chatty: bool = False
    _said: dict[str, tuple[str, float]] = field(default_factory=dict)
    _live: bool = False

    def tell(self, event: Event) -> None:
        """Show one event."""
        from meshup.views.run import line, live

        if isinstance(event, Waits):
            key = f"{event.place} {event.gate} {event.object}"
            before = self._said.get(key)
            same = before is not None and before[0] == event.because and event.elapsed_s - before[1] < 30
            if self.screen.interactive:
                self._rewrite(live(event, width=self.screen.width - 1))
                return
            if same:
                return
            self._said[key] = (event.because, event.elapsed_s)
        text = line(event, chatty=self.chatty)
        if text:
            if self._live:
                self._put("\r\x1b[K")
                self._live = False
            self.screen.err(text)

    def _rewrite(self, text: str) -> None:
        self._put("\r\x1b[K" + page(text))
        self._live = True

    def _put(self, text: str) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.write(text)
            sys.stderr.flush()


@dataclass(slots=True)
class Stream:
    """One JSON object a line on stdout, each with its schema; when nobody reads it any more the run goes on untold."""

    heard: bool = False
    _gone: bool = False

    def tell(self, event: Event) -> None:
        """Write one event."""
        from meshup.views.run import record

        if self._gone:
            return
        try:
            sys.stdout.write(harmless(json.dumps(record(event), ensure_ascii=False), heard=self.heard) + "\n")
            sys.stdout.flush()
        except OSError:
            self._gone = True


def watcher(output: str, screen: Screen, *, chatty: bool) -> Lines | Stream:
    """Choose by the output format; for json the story still goes to stderr."""
    return Stream(heard=screen.heard) if output == "events" else Lines(screen=screen, chatty=chatty)
