"""Make the pieces that are not there yet, and install the Debian packages that the lab runs on."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from . import config
from .errors import LabError, run
from .pieces import Piece, pieces

PACKAGES = (
    "containerd",
    "runc",
    "containernetworking-plugins",
    "iptables",
    "conntrack",
    "iproute2",
    "ethtool",
    "socat",
    "openssl",
    "procps",
    "debootstrap",
)
SCRATCH = ".making-"
FLEETING = {"python", "meshup"}
"""Pieces that change with meshup itself."""
KEPT = 4
"""So many versions of such a piece, and of the store of images, are kept; other trees may be at work with theirs."""


def build(only: Iterable[str] = (), *, control_plane_only: bool = False) -> None:
    """Make what is missing, with a line per piece and the seconds it took, also kept in timings.json.

    only: names of pieces; empty for all. A piece is made in a scratch folder and renamed into place, so that what is
    there is whole. Raises LabError.
    """
    sweep(config.cache() / "bin")
    chosen = set(only)
    known = {piece.name for piece in pieces()}
    if chosen - known:
        raise LabError(
            f"there is no piece {', '.join(sorted(chosen - known))}", fix=f"one of {', '.join(sorted(known))}"
        )
    if not chosen and not control_plane_only:
        install_packages()
    for piece in pieces():
        if (chosen and piece.name not in chosen) or (control_plane_only and not piece.plane):
            continue
        if piece.folder.exists():
            if piece.name in FLEETING:
                piece.folder.touch()
            say(f"{piece.name} {piece.version}", None)
            continue
        started = time.monotonic()
        _make(piece)
        say(f"{piece.name} {piece.version}", time.monotonic() - started)


def _make(piece: Piece) -> None:
    piece.folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=piece.folder.parent, prefix=f"{SCRATCH}{os.getpid()}-"))
    scratch.chmod(0o755)
    try:
        piece.make(scratch)
        scratch.rename(piece.folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if piece.name in FLEETING:
        forget(piece.folder.parent, f"{piece.name}-*")


def forget(folder: Path, pattern: str) -> None:
    """Remove all but the newest of the folders that fit a pattern."""
    found = sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in found[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Remove scratch folders of builds that were killed."""
    for left in folder.glob(f"{SCRATCH}*-*"):
        pid = left.name.removeprefix(SCRATCH).partition("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(left, ignore_errors=True)


def install_packages() -> None:
    """Install the Debian packages that are missing. Raises LabError where there is no apt, or no right to use it."""
    query = ("dpkg-query", "-W", "-f=${Package} ${db:Status-Status}\n")
    there = run(*query, fix="the full lab runs on Debian and its kin; `build --control-plane-only` on any Linux")
    present = {line.split()[0] for line in there.splitlines() if line.endswith(" installed")}
    missing = [name for name in PACKAGES if name not in present]
    if not missing:
        return
    started = time.monotonic()
    fix = f"as root: apt-get install {' '.join(missing)}"
    run("apt-get", "update", "-qq", fix=fix)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing, env=quiet, fix=fix)
    say(f"packages {' '.join(missing)}", time.monotonic() - started)


def say(label: str, seconds: float | None) -> None:
    """Print the progress line of one piece and keep its time. seconds: None when it was there already."""
    if seconds is None:
        print(f"{label:34} there already", flush=True)
        return
    print(f"{label:34} {seconds:7.1f} s", flush=True)
    path = config.cache() / "timings.json"
    try:
        timings = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        timings = {}
    timings[label] = round(seconds, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(timings, indent=1, sort_keys=True) + "\n", "utf-8")


def missing(*, control_plane_only: bool) -> list[str]:
    """Give the names of pieces that are not there."""
    return [each.name for each in pieces() if (each.plane or not control_plane_only) and not each.folder.exists()]
