"""The report file of a bug: a scrubbed traceback, for a person to send."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import traceback
from collections.abc import Sequence

from meshup import __version__

SECRET = re.compile(r"(?i)((?:token|password|secret|authorization|client-key-data)\S*\s*[=:]\s*)(\S+)")
BEARER = re.compile(r"(?i)bearer\s+\S+|eyJ[\w-]{10,}\.[\w.-]+|-----BEGIN[^-]+-----[\s\S]*?-----END[^-]+-----")


def scrub(text: str) -> str:
    """Take tokens, keys and the home folder's name out of a text."""
    text = SECRET.sub(r"\1[removed]", BEARER.sub("[removed]", text))
    home = os.path.expanduser("~")
    return text.replace(home, "~") if len(home) > 1 else text


def write(failed: BaseException, arguments: Sequence[str]) -> str:
    """Write the file and give its path; says so instead of a path when no file could be written. Never raises."""
    trace = "".join(traceback.format_exception(failed))
    body = f"meshup {__version__} on Python {sys.version.split()[0]}, {sys.platform}\narguments: {list(arguments)}\n\n{trace}"
    try:
        handle, path = tempfile.mkstemp(prefix="meshup-bug-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(scrub(body))
    except OSError as failed_again:
        return f"no file ({failed_again.strerror})"
    return path
