"""Every code the engine uses is explained, and none is explained that it does not use."""

from __future__ import annotations

import re
from pathlib import Path

from meshup import engine
from meshup.engine.codes import CODES

ELSEWHERE = {
    "MU1009",
    "MU2317",
    "MU2319",
    "MU2341",
    "MU2342",
    "MU7101",
}  # of the command line, of the journal and of the door


def test_used_and_explained_codes_are_the_same():
    files = [each for each in Path(engine.__file__).parent.glob("*.py") if each.name != "codes.py"]
    used = {code for each in files for code in re.findall(r'"(MU\d{4})"', each.read_text(encoding="utf-8"))}
    assert used - ELSEWHERE == set(CODES)


def test_each_explanation_is_more_than_a_title():
    assert all(len(text) > 60 and text.endswith(".") for text in CODES.values())
