"""An HTTP server on 127.0.0.1 that answers by a script, below the transport: the place where the network goes wrong."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One answer. how: whole, cut (half the body, then a reset), reset (no byte), hang (no byte for hang_s), chunks."""

    status: int = 200
    body: bytes = b"{}"
    headers: tuple[tuple[str, str], ...] = ()
    how: str = "whole"
    hang_s: float = 0.0
    chunks: tuple[bytes, ...] = ()


def status(code: int, reason: str = "", message: str = "", *, details=None, after: str = "") -> Reply:
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
    if details:
        body["details"] = details
    return Reply(status=code, body=json.dumps(body).encode(), headers=(("retry-after", after),) if after else ())


def value(found: object) -> Reply:
    return Reply(body=json.dumps(found).encode())


@dataclass(frozen=True, kw_only=True)
class Seen:
    method: str
    path: str
    headers: dict[str, list[str]]
    body: bytes


@dataclass
class Scripted:
    """Replies in order, the last one for ever. Keep-alive; one thread per connection."""

    replies: list[Reply]
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0

    def __post_init__(self):
        self._lock = threading.Lock()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._over = False
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        self._open: list[socket.socket] = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._over = True
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._socket.close()
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        while not self._over:
            try:
                one, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(one)
            threading.Thread(target=self._serve, args=(one,), daemon=True).start()

    def _serve(self, one):
        try:
            with one, one.makefile("rb") as file:
                while self._exchange(one, file):
                    pass
        except OSError:
            return

    def _exchange(self, one, file):
        first = file.readline().decode()
        if not first.strip():
            return False
        method, path, _ = first.split()
        headers: dict[str, list[str]] = {}
        while (line := file.readline().decode().strip()) != "":
            name, _, text = line.partition(":")
            headers.setdefault(name.lower(), []).append(text.strip())
        body = file.read(int(headers.get("content-length", ["0"])[0]))
        with self._lock:
            reply = self.replies[min(len(self.seen), len(self.replies) - 1)]
            self.seen.append(Seen(method=method, path=path, headers=headers, body=body))
        return self._answer(one, reply)

    def _answer(self, one, reply):
        if reply.how in ("reset", "hang"):
            time.sleep(reply.hang_s)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        lines = [f"HTTP/1.1 {reply.status} X", "content-type: application/json"]
        lines += [f"{name}: {text}" for name, text in reply.headers]
        if reply.how == "chunks":
            one.sendall("\r\n".join([*lines, "transfer-encoding: chunked", "", ""]).encode())
            for each in reply.chunks:
                one.sendall(f"{len(each):x}\r\n".encode() + each + b"\r\n")
            one.sendall(b"0\r\n\r\n")
            return True
        one.sendall("\r\n".join([*lines, f"content-length: {len(reply.body)}", "", ""]).encode())
        if reply.how == "cut":
            one.sendall(reply.body[: len(reply.body) // 2])
            return False
        one.sendall(reply.body)
        return True


class Clock:
    """A clock that only sleeping moves; what was slept is kept."""

    def __init__(self):
        self.slept: list[float] = []
        self._at = 1000.0

    def now(self):
        from datetime import UTC, datetime

        return datetime.fromtimestamp(1_800_000_000 + self._at, UTC)

    def elapsed(self):
        return self._at

    def sleep(self, seconds):
        self.slept.append(seconds)
        self._at += seconds
