"""Colour for words that already carry their meaning."""

from __future__ import annotations

import re

PASS, FAIL, WAIT, QUIET = "32", "31", "33", "2"
WORDS = (
    (re.compile(r"(?<![\w-])(pass|done|allowed|undone)(?![\w-])"), PASS),
    (re.compile(r"(?<![\w-])(fail|error\[MU\d+\]|stopped|HIGH|ONE-WAY)(?![\w-])"), FAIL),
    (re.compile(r"(?<![\w-])(wait|unknown|act|warning\[MU\d+\]|med)(?![\w-])"), WAIT),
    (re.compile(r"(?m)^(looked|chose|owners|wrote|why|cluster|fix|next|Next|total|record|saved)\b"), QUIET),
)


def painted(text: str) -> str:
    """Add colour codes to known words; the text without them is what a pipe would get."""
    for words, code in WORDS:
        text = words.sub(f"\x1b[{code}m\\g<0>\x1b[0m", text)
    return text
