"""Processes that outlive the command that started them, found again by a list and by a mark in their environment."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from .errors import MARK, LabError


@dataclass(frozen=True, slots=True)
class Process:
    """A started program. born: clock ticks since boot; tells it from a later process with the same pid.

    command, netns: how it was started, so that it can be started again.
    """

    name: str
    pid: int
    born: int
    command: Sequence[str] = ()
    netns: str | None = None

    @property
    def alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        return _runs(self.pid) and _stat(self.pid)[1] == self.born

    def listens(self, port: int) -> bool:
        """Tell whether something listens on this TCP port in the network namespace that the process lives in."""
        try:
            rows = Path(f"/proc/{self.pid}/net/tcp").read_text("utf-8").splitlines()[1:]
        except OSError:
            return False
        return any(row.split()[1].endswith(f":{port:04X}") and row.split()[3] == "0A" for row in rows)


class Roster:
    """The started processes of one lab, kept in a file after every change."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.file = state / "processes.json"
        self.logs = state / "logs"
        self.processes = _listed(self.file)

    def start(self, name: str, command: Sequence[str | Path], netns: str | None = None) -> Process:
        """Start a program detached and with its own log, in the network namespace `netns` if one is named."""
        self.logs.mkdir(parents=True, exist_ok=True)
        # Not `ip netns exec`: that remounts /sys and so hides the cgroups from the kubelet.
        prefix = ["nsenter", f"--net=/run/netns/{netns}"] if netns else []
        with (self.logs / f"{name}.log").open("ab") as log:
            child = subprocess.Popen(
                [*prefix, *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, MARK: str(self.state)},
            )
        child.returncode = 0  # nobody here waits for it
        process = Process(name, child.pid, _stat(child.pid)[1], tuple(map(str, command)), netns)
        self.processes = [each for each in self.processes if each.name != name] + [process]
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(json.dumps([asdict(each) for each in self.processes], indent=1) + "\n", "utf-8")
        return process

    def restart(self, name: str) -> Process:
        """Kill one process and start it again as it was started, its log going on. Raises LabError."""
        process = self.named(name)
        kill(process)
        return self.start(name, process.command, process.netns)

    def named(self, name: str) -> Process:
        """Give one process. Raises LabError when none has that name."""
        for each in self.processes:
            if each.name == name:
                return each
        raise LabError(f"the lab runs no {name}", fix=f"`status` shows what runs; the list is {self.file}")

    def must_be_alive(self) -> None:
        """Raise LabError, with the end of its log, when a process has ended."""
        for each in self.processes:
            if not each.alive:
                log = self.logs / f"{each.name}.log"
                raise LabError(f"{each.name} has ended", why=last_lines(log), fix=f"read {log}, then `down` and `up`")

    def wait(self, what: str, ready: Callable[[], bool], patience: float = 60.0) -> None:
        """Poll until `ready` holds. Raises LabError after `patience` seconds, and at once when a process dies."""
        deadline = time.monotonic() + patience
        while not ready():
            self.must_be_alive()
            if time.monotonic() > deadline:
                raise LabError(f"{what}: not after {patience:.0f} s", fix=f"read the logs in {self.logs}")
            time.sleep(0.05)


def end(state: Path) -> int:
    """Kill everything that belongs to the lab in this folder, and what runs in its containers; give how many ended.

    Nothing that they hold is worth a slow good-bye. Looks again until nothing is found: a program may fork meanwhile.
    """
    killed = {each.pid for each in _listed(state / "processes.json") if _stat(each.pid) == ("Z", each.born)}
    _reap(killed)
    while found := list(owned(state)):
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        killed.update(found)
        _reap(killed)
        time.sleep(0.01)
    return len(killed)


def kill(process: Process) -> None:
    """Kill one program and wait until it is gone."""
    while process.alive:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        _reap({process.pid})
        time.sleep(0.01)


def owned(state: Path) -> Iterator[int]:
    """Give the pids of live processes of a lab: in its list, marked as its own, or with a root file system in it."""
    listed = {each.pid for each in _listed(state / "processes.json") if each.alive}
    mark = f"{MARK}={state}".encode()
    place = f"{state}/"
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        pid = int(entry.name)
        with contextlib.suppress(OSError):
            if not _runs(pid):
                continue
            if pid in listed or mark in (entry / "environ").read_bytes().split(b"\0") or _lives_in(entry, place):
                yield pid


def _lives_in(entry: Path, place: str) -> bool:
    """Tell whether a process has a root of its own, mounted from below `place`: it runs in a container of ours."""
    for line in (entry / "mountinfo").read_text("utf-8", "replace").splitlines():
        fields = line.split()
        if fields[4] == "/":
            return place in line
    return False


def resident_mib(pid: int) -> float:
    """Give the memory that a process holds; 0 when it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text("utf-8").split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def last_lines(log: Path, count: int = 5) -> str:
    """Give the end of a log; empty when there is none."""
    try:
        return "\n".join(log.read_text("utf-8", "replace").splitlines()[-count:])
    except OSError:
        return ""


def _reap(pids: set[int]) -> None:
    """Collect those of the dead that are children of this program; it may start and stop a lab, or several."""
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def _runs(pid: int) -> bool:
    """Tell whether any thread of a process is left: its first may be a zombie while others hold its files open."""
    state = _stat(pid)[0]
    if state == "Z":
        with contextlib.suppress(OSError):
            return len(list(Path(f"/proc/{pid}/task").iterdir())) > 1
    return state not in ("", "Z", "X")


def _stat(pid: int) -> tuple[str, int]:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return "", 0
    return fields[0], int(fields[19])


def _listed(file: Path) -> list[Process]:
    try:
        return [Process(**row) for row in json.loads(file.read_text("utf-8"))]
    except (OSError, ValueError):
        return []
