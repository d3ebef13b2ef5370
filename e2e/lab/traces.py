"""What a lab could leave behind on the machine, seen from outside the lab's own records, to compare before and after."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from .network import mounts

RUN_BY_NODE = (b"containerd", b"runc", b"pilot-", b"envoy")
"""Programs of a full lab, of which a machine has one, that need not name its folder."""
COUNTERS = re.compile(r"\[\d+:\d+\]")


def traces(state: Path) -> dict[str, tuple[str, ...]]:
    """Give, by kind, everything of a lab that is there now. Control planes of other labs may run beside it.

    state: the folder of the lab that is looked at; its programs are started with a path in it.
    """
    return {
        "processes": _programs(state),
        "mounts": tuple(sorted(mounts())),
        "network namespaces": _below("/run/netns"),
        "network devices": _below("/sys/class/net"),
        "routes": _lines("ip", "route", "show", "table", "all"),
        "firewall rules": _lines("iptables-save"),
        "control groups": tuple(sorted(str(each) for each in Path("/sys/fs/cgroup").glob("**/kubepods"))),
        "shim sockets": _below("/run/containerd/s"),
        "pod addresses": _below("/var/lib/cni/results"),
        "pod logs": _below("/var/log/containers"),
        "kubelet": _below("/var/lib/kubelet"),
    }


def differences(before: dict[str, tuple[str, ...]], after: dict[str, tuple[str, ...]]) -> list[str]:
    """Give a line for each thing that is there after and was not before, or the other way round."""
    found = []
    for kind, things in before.items():
        found += [f"left behind, {kind}: {each}" for each in after[kind] if each not in things]
        found += [f"taken away, {kind}: {each}" for each in things if each not in after[kind]]
    return found


def _programs(state: Path) -> tuple[str, ...]:
    found, ours = [], str(state).encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            name = words[0].rpartition(b"/")[2]
            if any(ours in word for word in words) or name.startswith(RUN_BY_NODE):
                found.append(f"{entry.name} {b' '.join(words[:3]).decode(errors='replace')}")
    return tuple(sorted(found))


def _below(folder: str) -> tuple[str, ...]:
    place = Path(folder)
    return tuple(sorted(each.name for each in place.iterdir())) if place.exists() else ()


def _lines(*command: str) -> tuple[str, ...]:
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return ()
    return tuple(sorted({COUNTERS.sub("", line) for line in said.splitlines() if not line.startswith("#")}))
