"""Write container images without a container engine: one OCI archive, in which the contents decide the bytes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import IO, Any

MEDIA = "application/vnd.oci.image"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BLOCK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """Files laid over root file systems, lowest first, and how to run them.

    files: path in the image -> file on this machine. env: NAME=VALUE.
    """

    name: str
    entrypoint: Sequence[str]
    files: Mapping[str, Path] = field(default_factory=dict)
    bases: Sequence[Path] = ()
    user: str = "0"
    env: Sequence[str] = (PATH,)

    @property
    def key(self) -> str:
        """Tell two contents of one name apart: pieces of other versions are other files."""
        parts = (self.entrypoint, sorted((a, str(b)) for a, b in self.files.items()), self.bases, self.user, self.env)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def write_archive(images: Sequence[Image], archive: Path) -> None:
    """Write one OCI archive that holds all the images, layers that they share once."""
    folder = archive.parent / "layout"
    blobs = _Blobs(folder / "blobs/sha256")
    index = {"schemaVersion": 2, "manifests": [_manifest(image, blobs) for image in images]}
    (folder / "index.json").write_text(json.dumps(index), "utf-8")
    (folder / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}), "utf-8")
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as written:
        for name in ("oci-layout", "index.json", "blobs"):
            written.add(folder / name, arcname=name, filter=_plain)


class _Blobs:
    """The content-addressed part of an OCI layout that is being written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self._trees: dict[Path, dict[str, Any]] = {}

    def document(self, kind: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """Keep a JSON document and give its descriptor."""
        data = json.dumps(content, sort_keys=True).encode()
        return self._keep(f"{MEDIA}.{kind}.v1+json", BytesIO(data))

    def files(self, files: Mapping[str, Path]) -> dict[str, Any]:
        """Keep a layer of single files, and the folders above them."""
        with tempfile.TemporaryFile(dir=self.folder) as scratch:
            with tarfile.open(fileobj=scratch, mode="w", format=tarfile.PAX_FORMAT) as archive:
                for folder in sorted({str(parent) for name in files for parent in Path(name).parents} - {"."}):
                    entry = tarfile.TarInfo(folder)
                    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                    archive.addfile(_plain(entry))
                for name, source in sorted(files.items()):
                    entry = tarfile.TarInfo(name)
                    entry.size, entry.mode = source.stat().st_size, 0o755 if os.access(source, os.X_OK) else 0o644
                    with source.open("rb") as content:
                        archive.addfile(_plain(entry), content)
            return self._keep(f"{MEDIA}.layer.v1.tar", scratch)

    def tree(self, root: Path) -> dict[str, Any]:
        """Keep a layer of everything below a folder."""
        if root not in self._trees:
            with tempfile.TemporaryFile(dir=self.folder) as scratch:
                with tarfile.open(fileobj=scratch, mode="w", format=tarfile.PAX_FORMAT) as archive:
                    for path in sorted(root.rglob("*")):
                        archive.add(path, arcname=str(path.relative_to(root)), recursive=False, filter=_plain)
                self._trees[root] = self._keep(f"{MEDIA}.layer.v1.tar", scratch)
        return self._trees[root]

    def _keep(self, media: str, source: IO[bytes]) -> dict[str, Any]:
        source.seek(0)
        digest = hashlib.file_digest(source, "sha256").hexdigest()  # type: ignore[arg-type]
        source.seek(0)
        with (self.folder / digest).open("wb") as blob:
            shutil.copyfileobj(source, blob, BLOCK)
            return {"mediaType": media, "digest": f"sha256:{digest}", "size": blob.tell()}


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Give the entry without what differs from build to build."""
    entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry


def _manifest(image: Image, blobs: _Blobs) -> dict[str, Any]:
    layers = [blobs.tree(base) for base in image.bases]
    if image.files:
        layers.append(blobs.files(image.files))
    settings = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": list(image.entrypoint), "Env": list(image.env), "User": image.user},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]},
    }
    content = {"schemaVersion": 2, "mediaType": f"{MEDIA}.manifest.v1+json", "layers": layers}
    described = blobs.document("manifest", content | {"config": blobs.document("config", settings)})
    return described | {"annotations": {"io.containerd.image.name": image.name}}
