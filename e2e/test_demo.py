"""`make demo`, the first thing that a newcomer types, goes through to its last line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e
DEMO = Path(__file__).with_name("demo.py")


def test_the_demo_goes_through_and_says_what_to_type_next() -> None:
    done = subprocess.run(
        [sys.executable, str(DEMO)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.rstrip().splitlines()[-1].endswith("meshup --help"), done.stdout
