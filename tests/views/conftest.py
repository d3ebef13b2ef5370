"""Golden views: a screen is compared with a file; MESHUP_REFRESH_GOLDEN=1 writes it anew, to be read in review."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent / "golden"


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    def compare(name: str, text: str) -> None:
        path = FOLDER / name
        if os.environ.get("MESHUP_REFRESH_GOLDEN"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text + "\n")
        assert path.exists(), f"{path} is missing; MESHUP_REFRESH_GOLDEN=1 writes it"
        assert text + "\n" == path.read_text()

    return compare
