"""containerd, started on a folder of its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import config
from .errors import LabError, run
from .processes import Roster

SETTINGS = """\
version = 2
root = "{root}"
state = "{folder}/state"
disabled_plugins = [
  "io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs"
]
[grpc]
address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause}"
netns_mounts_under_state_dir = true
# Making a process less likely to be killed for memory takes a privilege that the lab may not have.
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{plugins}"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
Root = "{folder}/runc"
"""


class Containerd:
    """One containerd; every image, container and socket of it is below its folder."""

    def __init__(self, folder: Path, roster: Roster, netns: str | None = None) -> None:
        self.folder, self.roster, self.netns = folder, roster, netns
        self.root = folder / "root"
        self.socket = folder / "containerd.sock"

    def start(self, pod_network: Mapping[str, Any] | None = None) -> None:
        """Start it and wait until it answers."""
        plugins = self.folder / "cni"
        plugins.mkdir(parents=True, exist_ok=True)
        if pod_network:
            (plugins / "10-lab.conflist").write_text(json.dumps(pod_network), "utf-8")
        settings = self.folder / "config.toml"
        names = {"root": self.root, "folder": self.folder, "socket": self.socket, "plugins": plugins}
        settings.write_text(SETTINGS.format(**names, pause=config.PAUSE_IMAGE), "utf-8")
        self.roster.start("containerd", ["containerd", "--config", settings], self.netns)
        self.roster.wait("containerd answers", self._answers)

    def copy_store(self, store: Path) -> None:
        """Begin with the images of a store: hard links to its files, which are only read; copies of its databases."""
        self.folder.mkdir(parents=True, exist_ok=True)
        fix = f"make room on the file system of {self.folder}"
        try:
            run("cp", "--archive", "--link", store, self.root, owner=self.roster.state, fix=fix)
        except LabError:  # on another file system, then
            shutil.rmtree(self.root, ignore_errors=True)
            run("cp", "--archive", store, self.root, owner=self.roster.state, fix=fix)
        for database in store.glob("io.containerd.*/*.db"):
            own = self.root / database.relative_to(store)
            own.unlink()
            shutil.copy2(database, own)

    def ctr(self, *words: str) -> str:
        """Run containerd's own client and give what it printed. Raises LabError."""
        return run(*self._client, *words, owner=self.roster.state, fix=f"read {self.roster.logs}/containerd.log")

    @property
    def _client(self) -> tuple[str, ...]:
        return ("ctr", "--address", str(self.socket), "--namespace", "k8s.io")

    def _answers(self) -> bool:
        try:
            self.ctr("version")
        except LabError:
            return False
        return True
