"""Who calls the whole time: a caller outside the cluster, and those inside it, whose logs are followed as their pods come and go."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOOK_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What was sent between two moments. why: "CALLER NAME: reason" -> requests."""

    sent: int
    failed: int
    why: dict[str, int]
    slowest_ms: float


class Load:
    """Two kinds of open-loop callers, started once and read for any stretch of time.

    kubectl: the command with its kubeconfig. outside: a file with the URL that the caller outside asks.
    """

    def __init__(self, kubectl: Sequence[str], outside: Path) -> None:
        self._kubectl, self._outside = tuple(kubectl), outside
        self._rows: list[tuple[str, dict]] = []
        self._lock = threading.Lock()
        self._followed: dict[str, subprocess.Popen[str]] = {}
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to call from outside and to read what is called inside."""
        command = [
            sys.executable,
            str(HERE / "calls.py"),
            "--rate",
            "10",
            "--offset",
            "0.05",
            f"outside=@{self._outside}",
        ]
        self._follow("outside", command)
        self._spawn(self._watch)

    def stop(self) -> None:
        """End the caller outside, and stop reading."""
        self._ending.set()
        for each in list(self._followed.values()):
            each.terminate()
        for each in self._threads:
            each.join(15)
        for each in self._followed.values():
            each.wait(15)

    def between(self, start: float, end: float) -> Counted:
        """Sum up the seconds that ended in (start, end], in Unix time."""
        with self._lock:
            rows = [(who, row) for who, row in self._rows if start < row["at"] <= end]
        why: Counter[str] = Counter()
        for who, row in rows:
            why.update({f"{who} {name}": count for name, count in row["why"].items()})
        return Counted(
            sent=sum(row["sent"] for _, row in rows),
            failed=sum(row["failed"] for _, row in rows),
            why=dict(why.most_common(12)),
            slowest_ms=max((row["slowest_ms"] for _, row in rows), default=0.0),
        )

    def failures(self) -> list[tuple[float, str, dict]]:
        """Give (Unix time, who, why) of every second that had a failure."""
        with self._lock:
            return sorted((row["at"], who, row["why"]) for who, row in self._rows if row["failed"])

    def _spawn(self, what, *arguments) -> None:
        thread = threading.Thread(target=what, args=arguments, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _follow(self, who: str, command: Sequence[str]) -> None:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, stdin=subprocess.DEVNULL
        )
        self._followed[who] = process
        self._spawn(self._read, who, process)

    def _read(self, who: str, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        short = who.rsplit("-", 2)[0] if "/" in who else who
        with process.stdout as said:
            for line in said:
                if line.startswith("{"):
                    row = json.loads(line)
                    with self._lock:
                        self._rows.append((short, row))

    def _watch(self) -> None:
        """Follow every pod that calls, from its first second to its last line."""
        query = [*self._kubectl, "get", "pods", "--all-namespaces", "--selector=calls=yes", "--output=json"]
        while not self._ending.is_set():
            done = subprocess.run(query, capture_output=True, text=True, check=False)
            for pod in json.loads(done.stdout)["items"] if done.returncode == 0 else ():
                meta = pod["metadata"]
                states = {each["name"]: each["state"] for each in pod.get("status", {}).get("containerStatuses", [])}
                who = f"{meta['namespace']}/{meta['name']}"
                if who in self._followed or "running" not in states.get("calls", {}):
                    continue
                self._follow(
                    who,
                    [
                        *self._kubectl,
                        "logs",
                        "-f",
                        f"--namespace={meta['namespace']}",
                        meta["name"],
                        "--container=calls",
                    ],
                )
            self._ending.wait(LOOK_S)


def wait_until(what: str, holds, *, limit_s: float = 120.0) -> None:
    """Wait for a condition. Raises AssertionError naming it."""
    deadline = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < deadline, f"not after {limit_s:.0f} s: {what}"
        time.sleep(0.5)
