"""kind, for people who have Docker: their own kind program, and python-on-whales to look at their images."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from e2e.lab import FORTIO_IMAGE, ISTIOS, MESHUP_IMAGE
from e2e.lab.errors import run

from .provider import Reached
from .signing import signed_user, tell

CLUSTER = "meshup-e2e"
FIX = "kind and Docker must be installed and running: kind version; docker info"


class Kind:
    """A cluster of one kind node, made for a run and deleted after."""

    name: ClassVar[str] = "kind"

    def __init__(self) -> None:
        if shutil.which("kind") is None:
            raise SystemExit("PROVIDER=kind needs the program kind in PATH, and Docker")

    def api_server(self, *, fake_nodes: int = 0) -> contextlib.AbstractContextManager[Reached]:
        """Give a whole cluster: kind has no control plane alone."""
        return self.cluster()

    @contextlib.contextmanager
    def cluster(self) -> Iterator[Reached]:
        """Create the cluster, load the images that Docker has, and delete it after. The node pulls the others."""
        with tempfile.TemporaryDirectory(prefix="meshup-kind-") as folder:
            kubeconfig = Path(folder) / "kubeconfig"
            named = (f"--name={CLUSTER}", f"--kubeconfig={kubeconfig}")
            run("kind", "create", "cluster", *named, "--wait=120s", fix=FIX)
            try:
                for image in images_at_hand():
                    run("kind", "load", "docker-image", image, f"--name={CLUSTER}", fix=FIX)
                yield Reached(provider=self.name, kubeconfig=kubeconfig)
            finally:
                run("kind", "delete", "cluster", *named, fix=FIX)

    def user(self, of: Reached, name: str, groups: Sequence[str] = ()) -> Path:
        """Give a kubeconfig signed by the cluster."""
        return signed_user(of.kubeconfig, name, groups, folder=of.kubeconfig.parent / "users")

    def collect(self, of: Reached, folder: Path) -> None:
        """Keep kind's own logs, events and pods."""
        tell(of.kubeconfig, folder)
        run("kind", "export", "logs", folder / "kind", f"--name={CLUSTER}", fix=FIX)


def images_at_hand() -> list[str]:
    """Give those of the images the tests use that Docker has. Raises SystemExit without the extra that asks Docker."""
    try:
        from python_on_whales import docker
    except ImportError as missing:
        raise SystemExit("PROVIDER=kind needs python-on-whales: pip install 'meshup[kind]'") from missing
    wanted = [MESHUP_IMAGE, FORTIO_IMAGE, *(name for each in ISTIOS for name in (each.proxy_image, each.pilot_image))]
    return [name for name in wanted if docker.image.exists(name)]
