"""A person's folder with a kubeconfig of a cluster in memory, for tests that call the commands as that person would."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from meshup.simulate.api.server import ApiServer
from meshup.simulate.http import Front


@contextmanager
def at_home(server: ApiServer, home: Path, patch: pytest.MonkeyPatch, *, namespace: str = "shop") -> Iterator[Front]:
    """Serve a cluster while the block lasts; `home` is home, working folder and where the kubeconfig is, and nobody is asked."""
    front = Front(server, speed=0).start()
    try:
        (home / "kubeconfig").write_text(json.dumps(front.kubeconfig(namespace=namespace)))
        patch.setenv("KUBECONFIG", str(home / "kubeconfig"))
        patch.setenv("HOME", str(home))
        patch.setenv("CI", "true")
        patch.chdir(home)
        yield front
    finally:
        front.stop()
