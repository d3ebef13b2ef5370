"""meshup.lock: which bytes the pinned release renders to; something else is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from meshup.model.objects import Object, dig
from meshup.model.problem import UsageError
from meshup.model.runbook import Mesh

SCHEMA = "meshup.dev/lock/v1"


def beside(filename: str) -> str:
    """Name the lock of a runbook."""
    path = Path(filename)
    return str(path.with_suffix(".lock"))


def text(mesh: Mesh, digest: str, origin: str, objects: Sequence[Object]) -> str:
    """Write a lock: JSON, sorted, one value a line."""
    document = {
        "schema": SCHEMA,
        "driver": mesh.driver,
        "release": mesh.release,
        "revision": mesh.revision,
        "manifests": digest,
        "origin": origin.partition(" in ")[0],
        "images": sorted(set(_images(objects))),
    }
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def _images(objects: Sequence[Object]) -> Iterator[str]:
    for each in objects:
        for name in ("containers", "initContainers"):
            for container in dig(each, "spec", "template", "spec", name) or ():
                if container.get("image"):
                    yield str(container["image"])


def read(filename: str) -> dict[str, Any] | None:
    """Read the lock of a runbook; None when there is none. Raises UsageError (MU1112) for one that can't be read."""
    path = Path(beside(filename))
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["schema"] != SCHEMA or not isinstance(found["manifests"], str):
            raise ValueError(f"its schema is {found.get('schema')!r}")
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise UsageError(
            f"{path} is no lock",
            code="MU1112",
            why=str(error)[:200],
            fix="meshup init --force writes it anew",
            cluster="not contacted",
        ) from error
    result: dict[str, Any] = found
    return result
