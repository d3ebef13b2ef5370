"""Any cluster at hand: the one that KUBECONFIG names. Tests write to it, in namespaces of their own."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from .provider import Reached
from .signing import signed_user, tell


class Named:
    """One cluster that is there before and after."""

    name: ClassVar[str] = "kubeconfig"

    def __init__(self) -> None:
        named = os.environ.get("KUBECONFIG", "")
        if not named or not Path(named).is_file():
            raise SystemExit("PROVIDER=kubeconfig takes the cluster of KUBECONFIG; set it to one file")
        self.path = Path(named).resolve()

    @contextlib.contextmanager
    def api_server(self, *, fake_nodes: int = 0) -> Iterator[Reached]:
        """Give the cluster. Its nodes are as they are."""
        yield Reached(provider=self.name, kubeconfig=self.path)

    @contextlib.contextmanager
    def cluster(self) -> Iterator[Reached]:
        """Give the same cluster."""
        yield Reached(provider=self.name, kubeconfig=self.path)

    def user(self, of: Reached, name: str, groups: Sequence[str] = ()) -> Path:
        """Give a kubeconfig signed by the cluster."""
        return signed_user(of.kubeconfig, name, groups, folder=Path(tempfile.mkdtemp(prefix="meshup-e2e-")))

    def collect(self, of: Reached, folder: Path) -> None:
        """Keep events and pods."""
        tell(of.kubeconfig, folder)
