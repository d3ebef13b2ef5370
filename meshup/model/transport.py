"""The seam to a cluster: a request gives a response, whoever serves it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request to an API server.

    path: begins with "/", no query, percent-encoded where needed. query: pairs in order, values not encoded.
    headers: names in lower case. stream: true asks for `Response.lines` instead of `body` (watches, followed logs).
    total_s: seconds for the whole exchange; the transport sets connect and read timeouts below it.
    """

    method: Method
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    stream: bool = False
    total_s: float = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What the server answered.

    headers: names in lower case. body: whole, decoded from any content-encoding; empty for a stream.
    lines: for a stream, each line without its line end; exhausted when the server closes; closing the iterator
    closes the connection. Iterating it may raise `TransportFailure`.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    lines: Iterator[bytes] | None = None


class TransportFailure(Exception):
    """No answer came: what happened below HTTP.

    kind: resolve, connect, tls, proxy, timeout, reset, credentials. maybe_done: the request may have taken effect
    although no answer was read; false only when it certainly never reached the server.
    """

    def __init__(self, kind: str, detail: str, *, maybe_done: bool) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind, self.detail, self.maybe_done = kind, detail, maybe_done


class Transport(Protocol):
    """A way to a cluster. Never retries; raises `TransportFailure` when there is no answer."""

    def send(self, request: Request) -> Response:
        """Give the server's answer, whatever its status."""
        ...
