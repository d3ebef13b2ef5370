"""Programs that run in pods of ours: the same generator in a real pod and in the simulator's virtual time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeAlias

from meshup.model.clock import Clock
from meshup.model.transport import Transport


class Pod(Protocol):
    """What a program has around it.

    transport: to the API server, as the pod's service account. clock: real or virtual; the program never sleeps, it
    yields the seconds to wait.
    """

    transport: Transport
    clock: Clock

    def fetch(self, url: str, host: str) -> tuple[int, str]:
        """GET a URL with a Host header from inside the pod; (status, start of the body), 0 = no answer and why."""
        ...

    def say(self, line: str) -> None:
        """Write one line to the pod's log."""
        ...


Program: TypeAlias = Callable[[Pod, Sequence[str]], Iterator[float]]
"""Arguments are those behind `meshup NAME`. Ends normally for success; an exception is a failed container."""
