"""A simulator in a process of its own whose wire is in our hands: it kills at a request, forks at will, counts, delays.

Paths below /sweep are ours; all others go to the simulator. A fork is a second process that serves the same cluster, at
the same virtual moment, on a port of its own: the cheapest snapshot there is.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from meshup.model.transport import Request, Response, TransportFailure
from meshup.simulate.api.watching import wait_for_others

Send = Callable[[Request], Response]


@dataclass(slots=True)
class Rule:
    """Kill a process at a mutating request. number: from 1, counted from when the rule was set; 0 = no rule.

    when: "before" the request has any effect, or "after" it took effect, its answer lost.
    """

    number: int = 0
    when: str = "before"
    pid: int = 0
    fired: bool = False


@dataclass(slots=True)
class Wire:
    """What stands between the programs and the simulator."""

    server: Any
    delay_s: float = 0.0
    rule: Rule = field(default_factory=Rule)
    seen: list[tuple[str, str]] = field(default_factory=list)
    fronts: list[Any] = field(default_factory=list)

    def attach(self) -> Wire:
        """Hear of every request, inside the simulator's own lock."""
        self.server.before.append(self._before)
        self.server.after.append(self._after)
        self.server.idle = wait_for_others(lambda: 1.0)
        return self

    def _before(self, request: Request, logged: Any) -> Response | None:
        if logged.mutation:
            self.seen.append((request.method, request.path))
            self._at("before")
        return None

    def _after(self, request: Request, logged: Any, response: Response) -> Response:
        if logged.mutation:
            self._at("after")
        return response

    def _at(self, when: str) -> None:
        rule = self.rule
        if rule.number and len(self.seen) == rule.number and rule.when == when and not rule.fired:
            rule.fired = True
            with contextlib.suppress(ProcessLookupError):
                os.kill(rule.pid, signal.SIGKILL)
            raise TransportFailure("reset", "the client is gone", maybe_done=when == "after")

    def answer(self, method: str, path: str, body: Mapping[str, Any]) -> Any:
        """Answer one of our own paths."""
        with self.server.clock.lock:
            match path:
                case "/sweep/fork":
                    return self._fork()
                case "/sweep/rule":
                    self.seen.clear()
                    self.rule = Rule(number=int(body["number"]), when=str(body["when"]), pid=int(body["pid"]))
                    return {}
                case "/sweep/clear":
                    fired, self.rule = self.rule.fired, Rule()
                    self.seen.clear()
                    return {"fired": fired}
                case "/sweep/seen":
                    return {
                        "seen": self.seen,
                        "in_flight": self.server.most_in_flight,
                        "requests": len(self.server.log),
                    }
                case "/sweep/end":
                    threading.Thread(target=_end, daemon=True).start()
                    return {}
                case _:
                    return {"unknown": path}

    def _fork(self) -> Mapping[str, int]:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid:
            os.close(writer)
            with os.fdopen(reader) as told:
                return {"pid": pid, "port": int(told.readline())}
        os.close(reader)
        for each in self.fronts:
            with contextlib.suppress(OSError):
                each.socket.close()
        self.fronts.clear()
        self.rule, self.seen = Rule(), []
        self.server.in_flight = 0
        front = self.front()
        threading.Thread(target=self._told, args=(writer, front.server_address[1]), daemon=True).start()
        # This thread holds the simulator's lock from before the fork; it is let go before anything is served.
        lock = self.server.clock.lock
        while True:
            try:
                lock.release()
            except RuntimeError:
                break
        self.follow()
        front.serve_forever(poll_interval=0.05)
        os._exit(0)

    @staticmethod
    def _told(writer: int, port: int) -> None:
        os.write(writer, f"{port}\n".encode())
        os.close(writer)

    def front(self, port: int = 0) -> ThreadingHTTPServer:
        """Make an HTTP front on a port of this machine, 0 = any free one."""
        front = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        front.daemon_threads = True
        front.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.fronts.append(front)
        return front

    def follow(self) -> None:
        """Let virtual time follow real time, as the simulator's own front does."""

        def beat() -> None:
            last = time.monotonic()
            while True:
                time.sleep(0.05)
                now = time.monotonic()
                self.server.clock.advance(now - last)
                last = now

        threading.Thread(target=beat, daemon=True).start()


def _end() -> None:
    time.sleep(0.05)
    os._exit(0)


def _handler(wire: Wire) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(length)
            parts = urlsplit(self.path)
            if parts.path.startswith("/sweep/"):
                self._send(
                    200, {}, json.dumps(wire.answer(self.command, parts.path, json.loads(body or b"{}"))).encode()
                )
                return
            if wire.delay_s:
                time.sleep(wire.delay_s)
            query = tuple(parse_qsl(parts.query, keep_blank_values=True))
            stream = any(key in ("watch", "follow") and value in ("1", "true") for key, value in query)
            if parts.path == "/simulator/clock":
                self._clock(json.loads(body or b"{}"))
                return
            headers = {key.lower(): value for key, value in self.headers.items()}
            try:
                response = wire.server.send(
                    Request(
                        method=self.command, path=parts.path, query=query, headers=headers, body=body, stream=stream
                    )
                )
            except TransportFailure:
                self.close_connection = True
                return
            if response.lines is None:
                self._send(response.status, response.headers, response.body)
            else:
                self._stream(response)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

        def _clock(self, body: Mapping[str, Any]) -> None:
            clock = wire.server.clock
            clock.advance(float(body.get("advance_s") or 0.0))
            now = clock.now().isoformat().replace("+00:00", "Z")
            answer = {"now": now, "elapsed_s": clock.elapsed()}
            self._send(200, {"x-meshup-time": now, "content-type": "application/json"}, json.dumps(answer).encode())

        def _send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
            self.send_response(status)
            for key, value in headers.items():
                if key not in ("content-length", "transfer-encoding"):
                    self.send_header(key, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _stream(self, response: Response) -> None:
            self.send_response(response.status)
            for key, value in response.headers.items():
                self.send_header(key, value)
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            assert response.lines is not None
            for line in response.lines:
                self.wfile.write(f"{len(line) + 1:x}\r\n".encode() + line + b"\n\r\n")
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")

        def handle(self) -> None:
            """Serve a connection; a client that goes away is no error."""
            with contextlib.suppress(ConnectionError, BrokenPipeError):
                super().handle()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler
