"""An open-loop caller: requests leave on a fixed schedule, whatever became of those before; each second is written down.

`python3 calls.py --rate 10 --offset 0.05 NAME=URL [NAME=URL ...]`; a URL `@FILE` is read from a file before each
request, so that a target can move. Half of the requests open a new connection, half keep theirs. On stdout, a JSON line
a second: {"at": Unix time, "sent": n, "failed": m, "why": {"NAME: reason": count}, "slowest_ms": x}. SIGTERM ends the
schedule, waits for what is under way, writes the last line and ends with 0. Standard library only: it runs in any pod
that has a Python.
"""

from __future__ import annotations

import argparse
import http.client
import json
import queue
import signal
import sys
import threading
import time
from collections import Counter
from urllib.parse import urlsplit

TIMEOUT_S = 5.0
WORKERS = 16
IDLE_S = 2.0
"""A connection that rested longer is not used again: a server that drains says so only in an answer, and is gone after."""


class Tally:
    """What happened since the last line."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._start()

    def _start(self) -> None:
        self._sent, self._failed, self._slowest = 0, 0, 0.0
        self._why: Counter[str] = Counter()

    def add(self, name: str, why: str, seconds: float) -> None:
        """Count one request; why: "" for an answer below 400."""
        with self._lock:
            self._sent += 1
            self._slowest = max(self._slowest, seconds)
            if why:
                self._failed += 1
                self._why[f"{name}: {why}"] += 1

    def line(self) -> str:
        """Give the line of the second that ends now, and begin the next."""
        with self._lock:
            row = {
                "at": round(time.time(), 3),
                "sent": self._sent,
                "failed": self._failed,
                "why": dict(self._why),
                "slowest_ms": round(self._slowest * 1000, 1),
            }
            self._start()
        return json.dumps(row)


class Kept:
    """Connections that rest between two requests, by address; the one that rested least is used first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._resting: dict[tuple[str, int], list[tuple[float, http.client.HTTPConnection]]] = {}

    def take(self, at: tuple[str, int]) -> http.client.HTTPConnection | None:
        """Give a connection that may be used again, None = there is none."""
        with self._lock:
            resting = self._resting.pop(at, [])
            old = [each for since, each in resting if time.monotonic() - since > IDLE_S]
            young = resting[len(old) :]
            self._resting[at] = young[:-1]
        for each in old:
            each.close()
        return young[-1][1] if young else None

    def keep(self, at: tuple[str, int], connection: http.client.HTTPConnection) -> None:
        """Let a connection rest."""
        with self._lock:
            self._resting.setdefault(at, []).append((time.monotonic(), connection))


def _url(target: str) -> str:
    if not target.startswith("@"):
        return target
    with open(target[1:], encoding="utf-8") as file:
        return file.read().strip()


class Caller(threading.Thread):
    """One worker."""

    def __init__(self, due: queue.Queue[tuple[str, str, bool] | None], tally: Tally, kept: Kept) -> None:
        super().__init__(daemon=True)
        self._due, self._tally, self._kept = due, tally, kept

    def run(self) -> None:
        """Call until told to end."""
        while (work := self._due.get()) is not None:
            name, target, fresh = work
            began = time.monotonic()
            why = self._call(target, fresh=fresh)
            self._tally.add(name, why, time.monotonic() - began)

    def _call(self, target: str, *, fresh: bool) -> str:
        """Give "" for an answer below 400, else a short reason. host=NAME in the fragment sets the Host header."""
        try:
            parts = urlsplit(_url(target))
        except OSError as error:
            return type(error).__name__
        at = (parts.hostname or "", parts.port or 80)
        headers = {"Host": parts.fragment.removeprefix("host=")} if parts.fragment else {}
        again = None if fresh else self._kept.take(at)
        connection = again or http.client.HTTPConnection(*at, timeout=TIMEOUT_S)
        try:
            connection.request("GET", parts.path or "/", headers=headers)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            if again is not None and isinstance(error, ConnectionError | http.client.RemoteDisconnected):
                # A kept connection that the other side closed between two requests: every client opens a new one.
                return self._call(target, fresh=True)
            return type(error).__name__
        if fresh or answer.will_close:
            connection.close()
        else:
            self._kept.keep(at, connection)
        return "" if answer.status < 400 else str(answer.status)


def main() -> int:
    """Call until SIGTERM, or for --seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="+", metavar="NAME=URL")
    parser.add_argument("--rate", type=float, default=10.0, help="requests per second to each target")
    parser.add_argument("--offset", type=float, default=0.0, help="seconds by which the schedule is shifted")
    parser.add_argument("--seconds", type=float, default=0.0, help="0 = until SIGTERM")
    asked = parser.parse_args()
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    tally, due, kept = Tally(), queue.Queue(), Kept()
    workers = [Caller(due, tally, kept) for _ in range(WORKERS)]
    for each in workers:
        each.start()
    targets = [tuple(each.split("=", 1)) for each in asked.targets]
    began = time.monotonic() + asked.offset
    told, count = began, 0
    while not ending.is_set() and not (asked.seconds and time.monotonic() - began > asked.seconds):
        at = began + count / asked.rate
        if ending.wait(max(0.0, at - time.monotonic())):
            break
        for name, url in targets:
            due.put((name, url, count % 2 == 0))
        count += 1
        if time.monotonic() - told >= 1.0:
            told = time.monotonic()
            print(tally.line(), flush=True)
    for _ in workers:
        due.put(None)
    for each in workers:
        each.join(TIMEOUT_S)
    print(tally.line(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
