"""A call of meshup that is watched while it runs: told events, killed, or given something to stumble over."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from conftest import Person

Event = dict[str, Any]
HANGS_S = 240.0
"""A call that is not through by then is ended, and its test fails."""


class Running:
    """One call with `-o events`; its events are kept in order.

    stdout is read only in `until` and `ended`; a pipe holds what is told meanwhile.
    """

    _open: ClassVar[set[Running]] = set()

    @classmethod
    def end_all(cls) -> None:
        """Kill every call that nobody has read to its end."""
        for each in tuple(cls._open):
            each.process.kill()
            each._over()

    def __init__(self, person: Person, *arguments: str) -> None:
        self.arguments, self.events = arguments, list[Event]()
        command = [str(person.programs.meshup), *arguments, "--yes", "-o", "events"]
        self._said = person.home / "stderr.txt"
        with self._said.open("w", encoding="utf-8") as said:
            self.process = subprocess.Popen(
                command,
                cwd=person.home,
                env=person.env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
            )
        self._open.add(self)
        self._watchdog = threading.Timer(HANGS_S, self.process.kill)
        self._watchdog.daemon = True
        self._watchdog.start()

    def until(self, reached: Callable[[Event], bool]) -> Event:
        """Read on and give the first event that is so. Raises AssertionError when the call ends without it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = json.loads(line)
            self.events.append(event)
            if reached(event):
                return event
        self._over()
        raise AssertionError(f"it ended before that:\n{self}")

    def kill(self) -> None:
        """End it as a power cut would; what it told before is kept."""
        self.process.send_signal(signal.SIGKILL)
        assert self.process.stdout is not None
        # The last line may be cut off.
        rest = self.process.stdout.read().splitlines()
        self.events += [json.loads(line) for line in rest if line.endswith("}") and line.startswith("{")]
        self._over()
        assert self.process.returncode == -signal.SIGKILL, str(self)

    @contextmanager
    def still(self) -> Iterator[None]:
        """Stop it where it is, as a machine under load might, so that what happens meanwhile is over when it goes on."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def ended(self, *codes: int) -> Event:
        """Read to the end, check the exit code, and give the last document, which says the same."""
        assert self.process.stdout is not None
        self.events += [json.loads(line) for line in self.process.stdout]
        code = self._over()
        sys.stderr.write(f"{' '.join(self.arguments)}: exit {code}\n")
        assert code in (codes or (0,)), str(self)
        assert self.events, str(self)
        last = self.events[-1]
        assert (last["event"], last["exit"]) == ("ended", code), str(self)
        return last

    def _over(self) -> int:
        """Leave nothing of it open, and give its exit code."""
        assert self.process.stdout is not None
        self._open.discard(self)
        self.process.stdout.close()
        self._watchdog.cancel()
        return self.process.wait()

    def __str__(self) -> str:
        told = "\n".join(json.dumps(each) for each in self.events[-40:])
        return f"$ meshup {' '.join(self.arguments)}\n{told}\n{self._said.read_text('utf-8')}exit {self.process.returncode}"


def change_of(service: str, event: str = "change-ended") -> Callable[[Event], bool]:
    """Tell the event of a service's change."""
    return lambda told: told["event"] == event and told["service"] == service


def answered(kind: str) -> Callable[[Event], bool]:
    """Tell the answer of a gate of a kind."""
    return lambda told: told["event"] == "gate-answered" and told["judgement"]["judged"]["kind"] == kind


def place_of(event: Event) -> str:
    """Give the place an event belongs to, "" = none."""
    inner = event.get("judgement") or event.get("reached") or event
    return str(inner.get("place") or "")


def stopped_by(ended: Event) -> Event:
    """Give the verdict that a run stopped at: the last one that is not a pass."""
    return next(each for each in reversed(ended["verdicts"]) if each["answer"] not in ("pass", "skipped"))


class Moments:
    """The moments of a planned run in their order: places begin and end, changes are sent, gates answer.

    view: the JSON of `meshup plan`. A service's change has a moment before it is sent and one after; others, which
    are told in groups, one after.
    """

    def __init__(self, view: Event) -> None:
        self.names: list[tuple[str, str]] = []
        self._places: list[str] = []
        for stage in view["stages"]:
            for wave in stage["waves"]:
                place = f"{stage['name']}/{wave['name']}" if wave["name"] else stage["name"]
                self._places.append(place)
                self.names.append(("place-started", place))
                own = [each for each in wave["changes"] if each["service"]]
                self.names += [("change-started", each["id"]) for each in own]
                self.names += [("change-ended", each["id"]) for each in wave["changes"]]
                self.names += [("gate-answered", place), ("place-ended", place)]
        self._at = {name: number for number, name in enumerate(self.names)}

    def of_place(self, place: str) -> range:
        """Give the numbers of a place's moments."""
        start = self._at["place-started", place]
        return range(start, self._at["place-ended", place] + 1)

    def number(self, event: Event) -> int:
        """Give the number of the moment of an event; -1 for one that is none."""
        what = event["event"]
        if what == "gate-answered" and answered("not-on-hold")(event):
            return -1  # asked before the changes of a wave; the moment is that of the gates after them
        about = event.get("change", "") if what.startswith("change-") else place_of(event)
        return self._at.get((what, about), -1)
