"""The lab: everything built from source, on this machine alone."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from e2e import lab
from e2e.lab import Home

from .provider import Reached


class Lab:
    """Control planes in folders of their own, beside the machine's one full lab."""

    name: ClassVar[str] = "lab"

    @contextlib.contextmanager
    def api_server(self, *, fake_nodes: int = 0, mutating_policies: bool = False) -> Iterator[Reached]:
        """Build what is missing, start a control plane, and take it down after."""
        lab.build(control_plane_only=True)
        with tempfile.TemporaryDirectory(prefix="meshup-lab-") as state:
            home = Home(Path(state))
            with _until_down(home):
                lab.up(control_plane_only=True, home=home, fake_nodes=fake_nodes, mutating_policies=mutating_policies)
                # One that has a past: it has forgotten the versions that a new one would still remember.
                lab.restart("kube-apiserver", "kube-controller-manager", home=home)
                yield Reached(provider=self.name, kubeconfig=home.kubeconfig, lab=home)

    @contextlib.contextmanager
    def cluster(self) -> Iterator[Reached]:
        """Build what is missing, start the full lab, and take it down after."""
        lab.build()
        lab.images()
        home = Home()
        lab.down(home=home)
        with _until_down(home):
            lab.up(home=home)
            yield Reached(provider=self.name, kubeconfig=home.kubeconfig, lab=home)

    def user(self, of: Reached, name: str, groups: Sequence[str] = ()) -> Path:
        """Give a kubeconfig signed by the lab's authority."""
        return lab.user(name, groups, home=of.lab)

    def collect(self, of: Reached, folder: Path) -> None:
        """Keep logs, events, objects and the audit log."""
        lab.collect(folder, home=of.lab)


@contextlib.contextmanager
def _until_down(home: Home) -> Iterator[None]:
    try:
        yield
    finally:
        lab.down(home=home)
