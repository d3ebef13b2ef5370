"""A vendored control plane: the stand-in of a release and more objects, as files in a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from meshup.meshes.istio import render
from meshup.model.runbook import Manifests, Mesh


def folder(at: Path, mesh: Mesh, *more: Mapping[str, Any]) -> Manifests:
    """Write what the mesh's stand-in has, and more, and say where."""
    at.mkdir()
    objects = [*render.render(replace(mesh, manifests=Manifests(source="stand-in"))).objects, *more]
    for number, each in enumerate(objects):
        (at / f"{number:02}.json").write_text(json.dumps(each), encoding="utf-8")
    return Manifests(source="directory", path=str(at))
