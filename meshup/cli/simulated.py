"""The simulator that runs beside this process: where its state is, and how it is asked."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from meshup.model.problem import Refused


def folder() -> Path:
    """Give where state is kept: XDG_STATE_HOME, else ~/.local/state."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "meshup" / "simulator"


def state() -> dict[str, Any] | None:
    """Read the running simulator's state; None when none runs."""
    import json

    path = folder() / "state.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text())
        os.kill(int(found["pid"]), 0)
    except (OSError, ValueError, KeyError):
        return None
    return found


def running() -> dict[str, Any]:
    """Give the running simulator's state. Raises Refused (MU5002)."""
    found = state()
    if found is None:
        raise Refused(
            "no simulator is running",
            code="MU5002",
            fix="meshup simulator start --scenario shop",
            cluster="nothing was changed",
        )
    return found


def ask(method: str, path: str, body: Any, *, fix: str = "meshup simulator faults lists what it takes") -> Any:
    """Ask the running simulator. Raises Refused (MU5003) with its own words."""
    import json
    import urllib.error
    import urllib.request

    found = running()
    request = urllib.request.Request(
        found["server"] + path,
        method=method,
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        text = refused.read().decode("utf-8", "replace")
        with contextlib.suppress(ValueError, KeyError, TypeError):
            text = str(json.loads(text)["error"])
        raise Refused(
            "the simulator does not take that",
            code="MU5003",
            why=text[:400],
            fix=fix,
            cluster="nothing was changed",
        ) from refused
    except OSError as failed:
        raise Refused(
            "the simulator does not answer",
            code="MU5002",
            why=str(failed),
            fix="meshup simulator stop, then start",
            cluster="nothing was changed",
        ) from failed
