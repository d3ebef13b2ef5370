"""Compile Go programs from modules that the module proxy serves, and from main modules of the lab's own."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from . import config
from .errors import run

ENVIRONMENT = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}
FIX = "the lab is compiled by Go 1.25 or newer and fetches modules by its usual settings (go env GOPROXY)"


def compile_into(
    out: Path, source: Path, packages: Iterable[str], *, defines: Mapping[str, str] | None = None, tags: str = ""
) -> None:
    """Compile `packages` of the main module at `source` into the folder `out`. Raises LabError with Go's output."""
    flags = " ".join(["-s", "-w", *(f"-X {key}={value}" for key, value in (defines or {}).items())])
    options = ["-trimpath", "-buildvcs=false", "-ldflags", flags, *(["-tags", tags] if tags else [])]
    run("go", "build", *options, "-o", f"{out}/", *packages, cwd=source, env=environment(), fix=FIX)


def module_source(module: str, version: str) -> Path:
    """Fetch a module and give its folder in Go's own cache.

    A module whose `replace` lines all name versions builds right there.
    """
    said = run("go", "mod", "download", "-json", f"{module}@{version}", cwd=Path("/"), env=environment(), fix=FIX)
    return Path(json.loads(said)["Dir"])


def own_main(folder: str) -> Callable[[Path], None]:
    """Give the making of a program whose main package is golang/FOLDER, named after it."""
    return lambda out: compile_into(out, config.GOLANG / folder, ["."])


def environment() -> dict[str, str]:
    """Give the caller's environment with the settings that every build shares."""
    return {**os.environ, **ENVIRONMENT}
