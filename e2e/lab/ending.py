"""Undo what a full lab leaves on the machine once its processes are gone: mounts, network, cgroups, links."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from . import network
from .config import Home
from .errors import run

KUBELET = Path("/var/lib/kubelet")
CGROUPS = Path("/sys/fs/cgroup")


def clean_up(home: Home) -> None:
    """Undo all of it and empty the lab's folder but for the logs. May repeat, and may begin anywhere."""
    if home.full.exists():
        _remove_shim_sockets(home)
        _unmount_below(home.state)
        network.remove(home)
        _remove_pod_cgroups()
        _remove_log_links(home)
        for folder in (KUBELET / "device-plugins", KUBELET):
            with contextlib.suppress(OSError):  # not there, or somebody's: not empty
                folder.rmdir()
    entries = list(home.state.iterdir()) if home.state.exists() else []
    # The mark that there is something to clean up goes last, so that a `down` that is killed is done again.
    for entry in sorted(entries, key=lambda path: path == home.full):
        if entry != home.logs:
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


def _remove_shim_sockets(home: Home) -> None:
    """Shims listen on sockets outside containerd's folder, which names them."""
    for address in home.containerd.glob("state/io.containerd.runtime.v2.task/*/*/address"):
        Path(address.read_text("utf-8").removeprefix("unix://")).unlink(missing_ok=True)


def _unmount_below(folder: Path) -> None:
    for point in reversed(network.mounts()):
        if Path(point).is_relative_to(folder):
            run("umount", "--lazy", point, owner=folder, fix=f"umount --lazy {point}, then `down` again")


def _remove_pod_cgroups() -> None:
    for root in [*CGROUPS.glob("*/kubepods"), CGROUPS / "kubepods"]:
        if root.exists():
            folders = sorted((path for path in root.rglob("*") if path.is_dir()), key=lambda path: -len(path.parts))
            for folder in [*folders, root]:
                with contextlib.suppress(
                    OSError
                ):  # a process that is just dying still holds it; empty, it does no harm
                    folder.rmdir()


def _remove_log_links(home: Home) -> None:
    """The kubelet puts links to our logs into the system's log folder."""
    for link in Path("/var/log/containers").glob("*.log"):
        if link.is_symlink() and link.readlink().is_relative_to(home.state):
            link.unlink()
