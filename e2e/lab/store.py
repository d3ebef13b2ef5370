"""The lab's images, in a store that each cluster starts from: the root folder of a containerd that has them unpacked."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from . import config, processes, python
from .building import SCRATCH, forget, say, sweep
from .errors import LabError
from .oci import PATH, Image, write_archive
from .processes import Roster
from .runtime import Containerd

INVENTORY = "images.json"
"""In a store: name of each image -> key of its contents."""
NOBODY = "65532"


def images() -> list[Image]:
    """Give the images that the pieces make."""
    base, program = python.version(), python.tree_version()
    loaded = (PATH, f"LD_LIBRARY_PATH=/{python.LIBRARIES}", "PYTHONHOME=/usr/local", "HOME=/tmp", "LANG=C.UTF-8")
    return [
        Image(
            name=config.PAUSE_IMAGE,
            files={"pause": config.binary("pause", config.PAUSE)},
            entrypoint=("/pause",),
            user="65534",
        ),
        Image(
            name=config.COREDNS_IMAGE,
            files={"coredns": config.binary("coredns", config.COREDNS)},
            entrypoint=("/coredns",),
        ),
        Image(
            name=config.FORTIO_IMAGE,
            files={"usr/bin/fortio": config.binary("fortio", config.FORTIO)},
            entrypoint=("/usr/bin/fortio",),
            user="65534",
        ),
        Image(
            name=config.PROMETHEUS_IMAGE,
            files={
                f"usr/bin/{name}": config.binary("prometheus", config.PROMETHEUS, name)
                for name in ("prometheus", "promtool")
            },
            entrypoint=("/usr/bin/prometheus",),
            user="65534",
        ),
        Image(
            name=config.MESHUP_IMAGE,
            bases=(config.binary("python", base, "root"), config.binary("meshup", program, "root")),
            entrypoint=("/usr/local/bin/meshup",),
            user=NOBODY,
            env=loaded,
        ),
        *(image for release in config.ISTIOS for image in _istio(release)),
    ]


def _istio(release: config.Istio) -> tuple[Image, Image]:
    def program(name: str) -> Path:
        return config.binary("istio", release.version, name)

    pilot = Image(
        name=release.pilot_image,
        files={"usr/local/bin/pilot-discovery": program("pilot-discovery")},
        entrypoint=("/usr/local/bin/pilot-discovery",),
        user="1337:1337",
    )
    proxy = Image(
        name=release.proxy_image,
        files={
            "usr/local/bin/pilot-agent": program("pilot-agent"),
            "usr/local/bin/envoy": config.binary("envoy", release.envoy),
            "var/lib/istio/envoy/envoy_bootstrap_tmpl.json": program("envoy_bootstrap.json"),
        },
        entrypoint=("/usr/local/bin/pilot-agent",),
        bases=(config.binary("proxy-base", config.DEBIAN, "root"),),
    )
    return pilot, proxy


def place() -> Path:
    """Give the place of the store of just these images."""
    content = repr(sorted((image.name, image.key) for image in images()))
    return config.cache() / f"images-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def assemble() -> Path:
    """Make the store unless it is there, from the one before it and the images that changed; give its place.

    Of older stores a few are kept. Raises LabError when a piece is missing.
    """
    wanted = place()
    if wanted.exists():
        wanted.touch()
        say("images", None)
        return wanted
    chosen = images()
    _must_be_built(chosen)
    sweep(config.cache())
    started = time.monotonic()
    before = _newest()
    kept = _inventory(before)
    new = [image for image in chosen if kept.get(image.name) != image.key]
    with tempfile.TemporaryDirectory(dir=config.cache(), prefix=f"{SCRATCH}{os.getpid()}-") as scratch:
        folder = Path(scratch)
        try:
            runtime = Containerd(folder / "containerd", Roster(folder))
            if before is not None:
                runtime.copy_store(before)
                (runtime.root / INVENTORY).unlink(missing_ok=True)
            write_archive(new, folder / "images.tar")
            runtime.start()
            _import(runtime, folder / "images.tar")
            gone = set(kept) - {image.name for image in chosen}
            if gone:
                runtime.ctr("images", "rm", *sorted(gone))
        finally:
            processes.end(folder)
        keys = {image.name: image.key for image in chosen}
        (runtime.root / INVENTORY).write_text(json.dumps(keys, indent=1) + "\n", "utf-8")
        runtime.root.rename(wanted)
    wanted.touch()
    forget(config.cache(), "images-*")
    for image in new:
        print(f"  {image.name}", flush=True)
    say("images", time.monotonic() - started)
    return wanted


def _import(runtime: Containerd, archive: Path) -> None:
    """Put images into a store. One that was copied may still hold layers that no image is left for, and collect them now.

    An import that builds on such a layer finds it gone half-way; the next one unpacks it anew.
    """
    try:
        runtime.ctr("images", "import", str(archive))
    except LabError as failed:
        if "does not exist" not in str(failed):
            raise
        runtime.ctr("images", "import", str(archive))


def _must_be_built(chosen: Sequence[Image]) -> None:
    missing = [str(path) for image in chosen for path in (*image.files.values(), *image.bases) if not path.exists()]
    if missing:
        raise LabError(f"not built yet: {', '.join(sorted(set(missing)))}", fix="`build` makes it")


def _newest() -> Path | None:
    """Give the store made last, if it says what it holds."""
    found = [path for path in config.cache().glob("images-*") if (path / INVENTORY).exists()]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def _inventory(of: Path | None) -> dict[str, str]:
    if of is not None:
        with contextlib.suppress(OSError, ValueError):
            return dict(json.loads((of / INVENTORY).read_text("utf-8")))
    return {}
