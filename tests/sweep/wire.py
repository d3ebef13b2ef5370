"""A simulator whose wire is in our hands: it kills a process at a request, forks at will, and tells what was written.

A fork is a second process that serves the same cluster, from the same virtual moment, on a port of its own: the cheapest
snapshot there is. It ends when the process that it came from ends, or when it is told to.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from meshup.model.transport import Request, Response, TransportFailure
from meshup.simulate.api.server import ApiServer, Logged
from meshup.simulate.http import Front

Faults = Callable[[Any], Any]


@dataclass(slots=True)
class Rule:
    """Kill a process at a mutating request. number: from 1, counted from when the rule was set; 0 = no rule.

    when: "before" the request has any effect, or "after" it took effect, its answer lost. freeze: the process is stopped
    instead of killed, and gets its answer when it goes on.
    """

    number: int = 0
    when: str = "before"
    pid: int = 0
    freeze: bool = False
    fired: bool = False


@dataclass(slots=True)
class Wire:
    """What stands between the programs and the simulator. faults: the simulator's own, None = it has none."""

    server: ApiServer
    faults: Faults | None = None
    rule: Rule = field(default_factory=Rule)
    seen: list[str] = field(default_factory=list)

    def attach(self) -> Wire:
        """Hear of every request, inside the simulator's own lock."""
        self.server.before.append(self._before)
        self.server.after.append(self._after)
        return self

    def serve(self) -> Front:
        """Serve on a free port, in the background."""
        return Front(self.server, faults=self.told).start()

    def told(self, body: Any) -> Any:
        """Answer what is asked of a sweep; anything else goes to the simulator's own faults."""
        match body:
            case {"sweep": "fork"}:
                return self._fork()
            case {"sweep": "rule", "number": number, "when": when, "pid": pid, **more}:
                with self.server.clock.lock:
                    self.seen = []
                    self.rule = Rule(number=number, when=when, pid=pid, freeze=bool(more.get("freeze")))
                return {}
            case {"sweep": "seen"}:
                with self.server.clock.lock:
                    return {"seen": self.seen, "fired": self.rule.fired}
            case {"sweep": "objects"}:
                with self.server.clock.lock:
                    return {"objects": self._objects()}
            case {"sweep": "end"}:
                threading.Timer(0.05, os._exit, args=(0,)).start()
                return {}
            case _ if self.faults is not None:
                return self.faults(body)
            case _:
                raise ValueError(f"not understood: {body}")

    def _objects(self) -> list[Mapping[str, Any]]:
        store = self.server.store
        return [each for key in store.keys() for each in store.list(key)]

    def _before(self, request: Request, logged: Logged) -> Response | None:
        if logged.mutation:
            self.seen.append(f"{request.method} {request.path}")
            self._at("before")
        return None

    def _after(self, request: Request, logged: Logged, response: Response) -> Response:
        if logged.mutation:
            self._at("after")
        return response

    def _at(self, when: str) -> None:
        rule = self.rule
        if len(self.seen) == rule.number and rule.when == when and not rule.fired:
            rule.fired = True
            with contextlib.suppress(ProcessLookupError):
                os.kill(rule.pid, signal.SIGSTOP if rule.freeze else signal.SIGKILL)
            if rule.freeze:
                return
            raise TransportFailure("reset", "the client was killed", maybe_done=when == "after")

    def _fork(self) -> Mapping[str, Any]:
        reader, writer = os.pipe()
        with self.server.clock.lock:
            parent = os.getpid()
            pid = os.fork()
            if pid:
                os.close(writer)
                with os.fdopen(reader) as heard:
                    return {"pid": pid, "url": heard.readline().strip()}
            for each in range(3, 1024):
                if each != writer:
                    with contextlib.suppress(OSError):
                        os.close(each)
            self.rule, self.seen = Rule(), []
            self.server.in_flight = 0
        try:
            url = self.serve().url
            os.write(writer, f"{url}\n".encode())
            os.close(writer)
            while os.getppid() == parent:
                time.sleep(0.2)
        finally:
            os._exit(0)


def ask(url: str, body: Mapping[str, Any]) -> Any:
    """Ask a sweep's simulator something."""
    request = urllib.request.Request(f"{url}/simulator/faults", data=json.dumps(body).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())
