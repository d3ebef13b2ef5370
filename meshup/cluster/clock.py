"""Two clocks: the machine's, and that of a simulator reached over HTTP."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from meshup.model.clock import Clock
from meshup.model.transport import Request, Transport, TransportFailure

SIMULATOR_MARK = "+meshup-simulator"
BESIDE_S = 0.5
"""Real seconds between two looks at somebody whose time is virtual too, and may pass quickly."""
ROUNDING = timedelta(seconds=2)
TIME_HEADER = "x-meshup-time"


class RealClock:
    """The machine's clock; `elapsed` counts suspend where the system can (Linux: CLOCK_BOOTTIME)."""

    def now(self) -> datetime:
        """Give the wall clock's time in UTC."""
        return datetime.now(UTC)

    def elapsed(self) -> float:
        """Give seconds since boot, suspend included."""
        return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))

    def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        time.sleep(max(0.0, seconds))


class ServedClock(RealClock):
    """The machine's clock beside a real server's, which is read from the Date of its answers, to the second.

    What is recorded for others, and when it ends, goes by the server's clock; what is waited for goes by our own.
    """

    def __init__(self) -> None:
        self._ahead = timedelta()

    def hear(self, headers: Mapping[str, str]) -> None:
        """Take the server's time from an answer's headers; a missing or odd one is ignored, and so is what may be rounding."""
        with contextlib.suppress(ValueError, TypeError):
            ahead = parsedate_to_datetime(headers.get("date") or headers.get("Date") or "") - self.now()
            self._ahead = ahead if abs(ahead) > ROUNDING else timedelta()

    def server_now(self) -> datetime:
        """Give the server's time in UTC."""
        return self.now() + self._ahead


def server_now(clock: Clock) -> datetime:
    """Give the server's time where a clock knows it; virtual time is the server's."""
    return clock.server_now() if isinstance(clock, ServedClock) else clock.now()


class SimulatorClock:
    """Virtual time of a simulator behind HTTP: read from its answers, moved by sleeping.

    Between answers it runs on like the real clock, as the simulator's does. When the simulator can't be reached a
    sleep is a real one.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._real = RealClock()
        self._lock = threading.Lock()
        self._seen: datetime | None = None
        self._seen_at = self._start = self._real.elapsed()
        self._most = 0.0
        self._first: datetime | None = None

    def hear(self, headers: Mapping[str, str]) -> None:
        """Take the virtual time from an answer's headers; a missing or odd one is ignored."""
        raw = headers.get(TIME_HEADER)
        if not raw:
            return
        with contextlib.suppress(ValueError):
            at = datetime.fromisoformat(raw).astimezone(UTC)
            with self._lock:
                if self._seen is None or at >= self._now():
                    self._seen, self._seen_at = at, self._real.elapsed()
                self._first = self._first or at

    def now(self) -> datetime:
        """Give virtual time; the machine's before the first answer."""
        with self._lock:
            return self._now()

    def elapsed(self) -> float:
        """Give virtual seconds since the first answer; never goes back."""
        with self._lock:
            if self._first is not None:
                self._most = max(self._most, (self._now() - self._first).total_seconds())
            return self._most

    def sleep(self, seconds: float) -> None:
        """Move virtual time on by that much."""
        if seconds <= 0:
            return
        body = json.dumps({"advance_s": seconds}).encode()
        try:
            answer = self._transport.send(
                Request(
                    method="POST",
                    path="/simulator/clock",
                    body=body,
                    headers={"content-type": "application/json"},
                    total_s=60.0 + seconds,
                )
            )
        except TransportFailure:
            self._real.sleep(min(seconds, 1.0))
            return
        if answer.status // 100 != 2:
            self._real.sleep(min(seconds, 1.0))
            return
        self.hear(answer.headers)

    def wait_beside(self, seconds: float) -> None:
        """Let time pass as it does without us: somebody else, whom we watch, is at work and must not be overtaken."""
        self._real.sleep(min(seconds, BESIDE_S))

    def _now(self) -> datetime:
        if self._seen is None:
            return self._real.now()
        return self._seen + timedelta(seconds=self._real.elapsed() - self._seen_at)
