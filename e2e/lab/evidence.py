"""What is kept when a test fails: logs, events, objects and the audit log."""

from __future__ import annotations

import shutil
from pathlib import Path

from .config import Home
from .kubectl import asked
from .processes import Roster

QUESTIONS = {
    "events.txt": ("get", "events", "--all-namespaces", "--sort-by=.lastTimestamp"),
    "pods.txt": ("get", "pods", "--all-namespaces", "--output=wide", "--show-labels"),
    "pods.yaml": ("get", "pods", "--all-namespaces", "--output=yaml"),
    "workloads.yaml": ("get", "deployments,statefulsets,daemonsets,jobs,cronjobs", "--all-namespaces", "--output=yaml"),
    "services.yaml": ("get", "services,endpointslices", "--all-namespaces", "--output=yaml"),
    "nodes.txt": ("describe", "nodes"),
    "records.yaml": ("get", "configmaps,leases", "--namespace=meshup-system", "--output=yaml"),
    "webhooks.yaml": ("get", "mutatingwebhookconfigurations,validatingwebhookconfigurations", "--output=yaml"),
}
"""File -> what kubectl is asked. No Secrets."""


def collect(folder: Path, *, home: Home | None = None) -> Path:
    """Copy every log and the audit log of a lab into a folder, and what kubectl tells; give the folder.

    Works on a lab that is up, broken or down. What can't be read is left out.
    """
    home = home or Home()
    folder.mkdir(parents=True, exist_ok=True)
    if home.logs.exists():
        shutil.copytree(home.logs, folder / "logs", dirs_exist_ok=True, ignore_dangling_symlinks=True)
    alive = {each.name for each in Roster(home.state).processes if each.alive}
    if "kube-apiserver" in alive:
        for name, question in QUESTIONS.items():
            said = asked(home, *question, "--request-timeout=20s")
            if said:
                (folder / name).write_text(said, "utf-8")
    (folder / "alive.txt").write_text("".join(f"{name}\n" for name in sorted(alive)), "utf-8")
    return folder
