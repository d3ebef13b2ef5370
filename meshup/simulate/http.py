"""The simulator behind HTTP/1.1 on 127.0.0.1: any Kubernetes client can talk to it, kubectl included."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from meshup.model.transport import Method, Request, Response, TransportFailure
from meshup.simulate.api import rbac, reviews
from meshup.simulate.api.answers import packed
from meshup.simulate.api.problems import Refusal
from meshup.simulate.api.server import ApiServer
from meshup.simulate.api.users import ADMIN, AUTHENTICATED, User
from meshup.simulate.api.watching import wait_for_others
from meshup.simulate.pace import Pace

GZIP_LEAST = 8192
ADMIN_TOKEN = "simulator-admin"  # noqa: S105 - a name, not a secret: the server is on loopback and holds nothing
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@:-]{0,63}")
"""Of a person or a group; it becomes part of a file's name and of a header."""
NAMES = "at most 64 of letters, digits and . _ @ : -, and none that begins with system:"
Faults = Callable[[Any], Any]
"""Takes the JSON body of POST /simulator/faults and gives what is answered."""


class Front:
    """Serves one API server. users: bearer token -> identity; without a token it is the administrator.

    latency_s: added to every request, for measurements. speed: virtual seconds per real second while nobody advances.
    """

    def __init__(
        self,
        server: ApiServer,
        *,
        port: int = 0,
        users: Mapping[str, User] | None = None,
        latency_s: float = 0.0,
        speed: float = 1.0,
        faults: Faults | None = None,
    ) -> None:
        self.server = server
        self.users = {ADMIN_TOKEN: ADMIN, **(users or {})}
        self.latency_s, self.faults = latency_s, faults
        self.pace = Pace(server.clock, speed)
        self.requests = self.under_way = self.most_under_way = 0
        self._counting = threading.Lock()
        server.idle = wait_for_others(lambda: max(self.pace.speed, 0.001))
        self._http = _Server(("127.0.0.1", port), _handler(self))
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def start(self) -> Front:
        """Serve in the background."""
        self.pace.start()
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop serving; open watches end."""
        self.pace.stop()
        self._http.shutdown()
        self._http.server_close()
        if self._thread is not None:
            self._thread.join(5)

    def admit(self, name: str, groups: Sequence[str] | None = None) -> User:
        """Let somebody in, or give them other groups; None leaves those of a user who is there. Raises ValueError.

        As a server that signs certificates would not, it makes nobody a part of the system or of its masters.
        """
        for each in (name, *(groups or ())):
            if not NAME.fullmatch(each) or each.startswith("system:"):
                raise ValueError(f'"{each}" is no name for a person or a group: {NAMES}')
        token = f"simulator-{name}"
        if token == ADMIN_TOKEN:
            raise ValueError('"admin" is the administrator, whose kubeconfig is there already')
        if groups is not None or token not in self.users:
            self.users[token] = User(name=name, groups=(*dict.fromkeys(groups or ()), AUTHENTICATED))
        return self.users[token]

    def people(self) -> list[dict[str, Any]]:
        """Give everybody who was let in: their groups, and the roles that are bound to them or to one of these."""
        found = [each for token, each in list(self.users.items()) if token != ADMIN_TOKEN]
        with self.server.clock.lock:
            return [
                {
                    "name": each.name,
                    "groups": [group for group in each.groups if group != AUTHENTICATED],
                    "roles": rbac.roles(self.server.store, each),
                }
                for each in sorted(found, key=lambda user: user.name)
            ]

    def kubeconfig(self, user: str = "admin", namespace: str = "default") -> dict[str, Any]:
        """Give a kubeconfig for one of the users, by name; the administrator's by default."""
        tokens = {each.name: token for token, each in self.users.items()}
        token = tokens.get(user, ADMIN_TOKEN)
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "simulator",
            "clusters": [{"name": "simulator", "cluster": {"server": self.url}}],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [
                {"name": "simulator", "context": {"cluster": "simulator", "user": user, "namespace": namespace}}
            ],
        }

    @contextlib.contextmanager
    def counted(self) -> Any:
        """Count a request while it is under way."""
        with self._counting:
            self.requests += 1
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            if self.latency_s:
                time.sleep(self.latency_s)
            yield
        finally:
            with self._counting:
                self.under_way -= 1

    def counts(self) -> dict[str, Any]:
        """Give how much was asked since the start, or since the counters were cleared."""
        return {
            "requests": self.requests,
            "mutations": self.server.mutations,
            "maxInFlight": self.most_under_way,
            "logged": len(self.server.log),
        }

    def clear(self) -> None:
        """Begin counting anew; the log of requests stays."""
        with self._counting:
            self.requests, self.most_under_way = 0, self.under_way

    def identity(self, headers: Mapping[str, str]) -> User | None:
        """Give who asks, by bearer token; None when the token is unknown."""
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer":
            return ADMIN
        found = self.users.get(token.strip())
        return found if found is not None else reviews.user_of_token(token.strip())


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    allow_reuse_address = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet about clients that went away."""


def _handler(front: Front) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_GET(self) -> None:
            self._serve()

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - names are given by the library

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            """Write no log."""

        def _serve(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(length) if length else b""
            split = urlsplit(self.path)
            headers: dict[str, str] = {}
            for name, value in self.headers.items():
                key = name.lower()
                headers[key] = f"{headers[key]},{value}" if key in headers else value
            if split.path.startswith("/simulator/"):
                self._own(split.path, body)
                return
            query = tuple(parse_qsl(split.query, keep_blank_values=True))
            self._answer(split.path, query, headers, body)

        def _answer(self, path: str, query: tuple[tuple[str, str], ...], headers: dict[str, str], body: bytes) -> None:
            user = front.identity(headers)
            if user is None:
                status = Refusal(401, "Unauthorized").status()
                self._send(Response(status=401, headers={"content-type": "application/json"}, body=packed(status)))
                return
            headers = {key: value for key, value in headers.items() if not key.startswith("x-meshup-")}
            headers["x-meshup-user"] = user.name
            headers["x-meshup-groups"] = ",".join(user.groups)
            asked = Request(
                method=cast("Method", self.command),
                path=path,
                query=query,
                headers=headers,
                body=body,
                stream=any(key in ("watch", "follow") and value in ("1", "true") for key, value in query),
            )
            try:
                with front.counted():  # until the answer is ready: a client may send its next request before we look up
                    response = front.server.send(asked)
            except TransportFailure:
                self.close_connection = True
                with contextlib.suppress(OSError):
                    self.connection.close()
                return
            self._send(response)

        def _send(self, response: Response) -> None:
            self.send_response(response.status)
            for name, value in response.headers.items():
                self.send_header(name, value)
            if response.lines is not None:
                self._stream(response.lines)
                return
            body = response.body
            if len(body) >= GZIP_LEAST and "gzip" in self.headers.get("accept-encoding", ""):
                body = gzip.compress(body, 1)
                self.send_header("content-encoding", "gzip")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()

        def _stream(self, lines: Iterable[bytes]) -> None:
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            self.wfile.flush()
            try:
                for line in lines:
                    self.wfile.write(b"%x\r\n%b\n\r\n" % (len(line) + 1, line))
                    self.wfile.flush()
                self.wfile.write(b"0\r\n\r\n")
                self.wfile.flush()
            except (OSError, TransportFailure):
                self.close_connection = True
            finally:
                close = getattr(lines, "close", None)
                if close is not None:
                    close()

        def _own(self, path: str, body: bytes) -> None:
            try:
                status, found = _steering(front, self.command, path, json.loads(body) if body else {})
            except ValueError as error:
                status, found = 400, {"error": str(error)}
            headers = {"content-type": "application/json", "x-meshup-time": front.pace.shown()}
            self._send(Response(status=status, headers=headers, body=packed(found)))

    return Handler


def _steering(front: Front, method: str, path: str, body: Any) -> tuple[int, Any]:
    """Answer the simulator's own paths: time, counters, faults. Raises ValueError for a body that does not fit."""
    match method, path:
        case "GET", "/simulator/clock":
            return 200, front.pace.told()
        case "POST", "/simulator/clock":
            if "advance_s" in body:
                front.pace.advance(float(body["advance_s"]))
            if "speed" in body:
                front.pace.speed = max(0.0, float(body["speed"]))
            return 200, front.pace.told()
        case "GET", "/simulator/requests":
            return 200, front.counts()
        case (("DELETE" | "POST"), "/simulator/requests"):
            front.clear()
            return 200, front.counts()
        case "POST", "/simulator/faults":
            if front.faults is None:
                return 501, {"error": "no faults are registered"}
            try:
                return 200, front.faults(body)
            except Refusal as refused:
                return refused.code, {"error": refused.message}
        case "GET", "/simulator/users":
            return 200, {"users": front.people()}
        case "POST", "/simulator/users":
            groups = body.get("groups")
            user = front.admit(str(body.get("name") or ""), None if groups is None else [str(each) for each in groups])
            given = front.kubeconfig(user.name, namespace=str(body.get("namespace") or "default"))
            (told,) = [each for each in front.people() if each["name"] == user.name]
            return 200, {**told, "kubeconfig": given}
        case _:
            return 404, {"error": f"nothing at {method} {path}"}
