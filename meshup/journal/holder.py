"""Who holds the lock, well enough to tell on the same host that they are dead."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """One process on one boot of one host. start: clock ticks since boot, 0 when the system does not say."""

    user: str
    host: str
    pid: int
    start: int = 0
    boot: str = ""

    @property
    def name(self) -> str:
        """user@host pid N: unique among living processes of one host."""
        return f"{self.user}@{self.host} pid {self.pid}.{self.start}"

    def to_json(self) -> str:
        """Give the annotation's text."""
        return json.dumps(
            {"user": self.user, "host": self.host, "pid": self.pid, "start": self.start, "boot": self.boot}
        )


def this_process(user: str) -> Holder:
    """Describe the running process."""
    return Holder(user=user, host=socket.gethostname(), pid=os.getpid(), start=_start(os.getpid()), boot=_boot())


def read_holder(text: str) -> Holder | None:
    """Read the annotation; None when it is absent or not ours."""
    try:
        raw = json.loads(text)
        return Holder(
            user=str(raw["user"]),
            host=str(raw["host"]),
            pid=int(raw["pid"]),
            start=int(raw["start"]),
            boot=str(raw["boot"]),
        )
    except (ValueError, KeyError, TypeError):
        return None


def is_dead(holder: Holder) -> bool:
    """Tell whether a holder certainly runs no more: same host and boot, and no process of that pid and start."""
    if not holder.boot or holder.boot != _boot() or holder.host != socket.gethostname():
        return False
    return _start(holder.pid) != holder.start or _state(holder.pid) in ("Z", "X")


def _fields(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _state(pid: int) -> str:
    fields = _fields(pid)
    return fields[0] if fields else "X"


def _start(pid: int) -> int:
    fields = _fields(pid)
    return int(fields[19]) if len(fields) > 19 else 0


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def on_behalf_of(environ: Mapping[str, str]) -> str:
    """Give the person a CI job says it runs for, declared and not verified; "" when it says nothing."""
    for name in ("MESHUP_ON_BEHALF_OF", "GITHUB_ACTOR", "GITLAB_USER_LOGIN"):
        if environ.get(name):
            return environ[name][:128]
    return ""
