"""The audit log of a lab, read as the oracle of who asked for what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .config import Home

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


def mark(*, home: Home | None = None) -> int:
    """Give the present end of the log, in bytes, for `requests` to begin at."""
    log = (home or Home()).audit_log
    return log.stat().st_size if log.exists() else 0


def requests(*, since: int = 0, user: str = "", home: Home | None = None) -> Iterator[dict[str, Any]]:
    """Give the audit events of ended requests since a mark, those of one user if one is named. A cut line is left out."""
    log = (home or Home()).audit_log
    if not log.exists():
        return
    with log.open("rb") as lines:
        lines.seek(since)
        for line in lines:
            if not line.endswith(b"\n"):
                return
            event = json.loads(line)
            if event.get("stage") == "ResponseComplete" and user in ("", event["user"].get("username")):
                yield event


def is_write(event: dict[str, Any]) -> bool:
    """Tell whether a request was meant to change something that is kept: dry runs and reviews are not."""
    if event["verb"] not in WRITES or "dryRun=All" in event["requestURI"]:
        return False
    group = (event.get("objectRef") or {}).get("apiGroup", "")
    return group not in ("authorization.k8s.io", "authentication.k8s.io")
