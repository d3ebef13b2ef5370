"""A real pod around a program of ours: its service account, the machine's clock, its log."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from meshup.model.problem import UsageError

if TYPE_CHECKING:
    from meshup.model.clock import Clock
    from meshup.model.program import Program
    from meshup.model.transport import Transport

FETCH_S = 5.0
BODY = 200


class RealPod:
    """What a program has around it when it runs as a container's command."""

    def __init__(self, transport: Transport, clock: Clock) -> None:
        self.transport, self.clock = transport, clock

    def fetch(self, url: str, host: str) -> tuple[int, str]:
        """GET an http URL with a Host header; 0 and why when no answer came."""
        import http.client
        from urllib.parse import urlsplit

        where = urlsplit(url)
        connection = http.client.HTTPConnection(where.hostname or "", where.port or 80, timeout=FETCH_S)
        try:
            connection.request("GET", where.path or "/", headers={"Host": host, "User-Agent": "meshup-probe"})
            answer = connection.getresponse()
            return answer.status, answer.read(BODY).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException, ValueError) as failed:
            return 0, f"{type(failed).__name__}: {failed}"
        finally:
            connection.close()

    def say(self, line: str) -> None:
        """Write one line to the pod's log at once."""
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def run(program: Program, arguments: Sequence[str]) -> int:
    """Run a program to its end in this process. Raises UsageError for arguments it does not take."""
    from meshup.cluster.clock import RealClock
    from meshup.cluster.https import HttpsTransport
    from meshup.cluster.kubeconfig import Choice, access
    from meshup.engine.wait import performed

    # The first process of a container ignores SIGTERM unless it asks for it; each write of a program is whole.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
    pod = RealPod(HttpsTransport(access(Choice())), RealClock())
    try:
        performed(program(pod, arguments), pod.clock)
    except ValueError as wrong:
        raise UsageError(
            str(wrong), code="MU1001", fix="see the Job that meshup plan shows", cluster="not changed"
        ) from wrong
    return 0
