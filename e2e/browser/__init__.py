"""A headless Chromium with axe-core, kept beside the pieces of the lab by its versions; no root is asked for."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from lab import config

PACKAGES = ("@sparticuz/chromium@153.0.0", "playwright-core@1.56.1", "axe-core@4.11.0")
LOOK = Path(__file__).with_name("look.mjs")


class NoBrowser(Exception):
    """Node's package manager is not there, could not fetch the browser, or it can't start here; the text says why."""


def home() -> Path:
    """Give the folder that holds PACKAGES, installed once. Raises NoBrowser."""
    versions = hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()[:12]
    folder = config.cache() / "bin" / f"browser-{versions}"
    if folder.exists():
        return folder
    if shutil.which("npm") is None or shutil.which("node") is None:
        raise NoBrowser("node and npm are not installed")
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".making-browser-"))
    try:
        command = [
            "npm",
            "install",
            "--silent",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--prefix",
            str(scratch),
        ]
        done = subprocess.run([*command, *PACKAGES], capture_output=True, text=True, check=False, timeout=180)
        if done.returncode:
            raise NoBrowser(f"npm install ended with {done.returncode}: {done.stderr.strip()[-300:]}")
        (scratch / "unpacked").mkdir()
        try:
            scratch.rename(folder)
        except OSError:
            # Another test was faster; what it made is the same.
            if not folder.exists():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def look(page: Path, folder: Path, widths: tuple[int, ...]) -> list[dict[str, Any]]:
    """Open a page and say what it did, one mapping per scheme and width; screenshots and a PDF go to `folder`.

    Raises NoBrowser where there is none, or the machine lacks a library it needs.
    """
    kept = home()
    done = subprocess.run(
        ["node", str(LOOK), str(page), str(folder), *map(str, widths)],
        cwd=kept,
        env={**os.environ, "TMPDIR": str(kept / "unpacked")},
        capture_output=True,
        text=True,
        check=False,
        timeout=480,
    )
    if done.returncode and "shared libraries" in done.stderr:
        lacks = next(line for line in done.stderr.splitlines() if "shared libraries" in line)
        raise NoBrowser(f"Chromium does not start: {lacks.strip()}")
    assert done.returncode == 0, done.stderr[-3000:]
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found
