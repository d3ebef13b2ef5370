"""Owners of services on the lab: a certificate of their own, and the owner's role in their own namespaces and nothing else."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from conftest import Person
from installed import Installed
from town import NEW, Town, kubectl

from e2e import lab

ROLES = Path(__file__).resolve().parents[2] / "templates" / "rbac"


def roles() -> None:
    """Make the roles, as whoever sets the ledger up does."""
    kubectl("apply", f"--filename={ROLES}")


def home_of(town: Town, programs: Installed, name: str, kubeconfig: Path) -> Person:
    """Give a person a folder and the programs."""
    home = town.folder / name
    home.mkdir()
    path = f"{lab.istioctl(NEW).parent}{os.pathsep}{programs.bin}{os.pathsep}{os.environ['PATH']}"
    return Person(programs=programs, home=home, kubeconfig=kubeconfig, more={"PATH": path})


def owner(town: Town, programs: Installed, name: str, *, group: str, spaces: Sequence[str]) -> Person:
    """Give an owner, with the role of one in these namespaces; the roles are there."""
    for role, where in (
        *(("meshup-owner", each) for each in spaces),
        ("meshup-records", "meshup-system"),
        ("meshup-control-planes", "istio-system"),
    ):
        words = (f"{group}-{role}", f"--clusterrole={role}", f"--group={group}", f"-n{where}")
        kubectl("create", "rolebinding", *words)
    for role in ("meshup-owner-reads", "meshup-owner-releases"):
        kubectl("create", "clusterrolebinding", f"{group}-{role}", f"--clusterrole={role}", f"--group={group}")
    return home_of(town, programs, name, lab.user(name, [group]))
