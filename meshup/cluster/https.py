"""The transport to a real API server: urllib3 with every retry off and every timeout set."""

from __future__ import annotations

import contextlib
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlsplit

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from meshup.cluster.access import Access, Credential
from meshup.model.problem import Unreachable
from meshup.model.transport import Request, Response, TransportFailure

CONNECT_S = 5.0
BETWEEN_BYTES_S = 15.0
SILENCE_S = 60.0
MOST_BYTES = 256 * 1024 * 1024
POOL = 16
AGENT = "meshup"


class HttpsTransport:
    """One server, up to 16 kept connections. Never retries, never follows a redirect.

    renewed: called before the first request with credentials other than those before, whoever renewed them; raises when
    they speak for somebody else, and is then called again before every further request. Its own requests go through.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self.renewed: Callable[[], None] | None = None
        self._shown: Credential | None = None
        self._comparing = threading.RLock()
        self._asking = False
        self._building = threading.Lock()
        self._pool: Any = None
        self._pool_for: tuple[bytes, bytes] | None = None
        # Through a proxy a request names the whole address; to the server itself its path alone.
        server = access.server.rstrip("/")
        self._base = server if access.proxy_url else urlsplit(server).path

    def refresh(self) -> bool:
        """Get new credentials. False when there is no way to. Raises Unreachable when the way there fails."""
        return self._access.login.refresh()

    def close(self) -> None:
        """Close kept connections."""
        with self._building:
            if self._pool is not None:
                _ended(self._pool)
                self._pool = None

    def send(self, request: Request) -> Response:
        """Give the server's answer; raise TransportFailure when there is none."""
        credential = self._access.login.current()
        if credential != self._shown:
            self._compare(credential)
        pool = self._pool_of(credential)
        until = time.monotonic() + request.total_s
        headers = self._headers(request, credential)
        url = self._base + request.path
        if request.query:
            url += "?" + "&".join(f"{_escaped(key)}={_escaped(value)}" for key, value in request.query)
        try:
            raw = pool.urlopen(
                request.method,
                url,
                body=request.body or None,
                headers=headers,
                retries=False,
                redirect=False,
                assert_same_host=False,
                preload_content=False,
                decode_content=True,
                timeout=urllib3.Timeout(
                    connect=min(CONNECT_S, request.total_s), read=min(BETWEEN_BYTES_S, request.total_s)
                ),
            )
        except (HTTPError, OSError) as failed:
            raise _failure(failed) from None
        found = {key.lower(): value for key, value in raw.headers.items()}
        if request.stream:
            return Response(status=raw.status, headers=found, lines=_lines(raw, until))
        return Response(status=raw.status, headers=found, body=_body(raw, until))

    def _compare(self, credential: Credential) -> None:
        """Have new credentials looked at before they are used; requests of other threads wait for that."""
        with self._comparing:
            if self._asking or credential == self._shown:
                return
            if self._shown is not None and self.renewed is not None:
                self._asking = True
                try:
                    self.renewed()
                finally:
                    self._asking = False
            self._shown = credential

    def _headers(self, request: Request, credential: Credential) -> urllib3.HTTPHeaderDict:
        headers = urllib3.HTTPHeaderDict({"user-agent": AGENT, "accept": "application/json"})
        if request.method == "GET" and not request.stream:
            headers["accept-encoding"] = "gzip"
        for key, value in request.headers.items():
            headers[key] = value
        for key, value in (*credential.headers, *self._access.impersonate):
            headers.add(key, value)
        return headers

    def _pool_of(self, credential: Credential) -> Any:
        """Give the pool; a new one when the client certificate has changed."""
        key = (credential.certificate, credential.key)
        with self._building:
            if self._pool is None or self._pool_for != key:
                self._pool = _pool(self._access, credential)
                self._pool_for = key
            return self._pool


@lru_cache(maxsize=256)
def _escaped(text: str) -> str:
    """Escape a part of a query; the same few are asked with again and again."""
    return quote(text, safe="")


def _pool(access: Access, credential: Credential) -> Any:
    options: dict[str, Any] = {"maxsize": POOL, "block": False}
    if access.server.startswith("https:"):
        options["ssl_context"] = _context(access, credential)
        if access.tls_server_name:
            options["server_hostname"] = options["assert_hostname"] = access.tls_server_name
        if access.insecure:
            options["assert_hostname"] = False
            options["cert_reqs"] = ssl.CERT_NONE
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    if not access.proxy_url:
        # A manager of pools would look for the right one before each request; there is one server.
        return urllib3.connection_from_url(access.server, **options)
    if access.proxy_url.startswith("socks"):
        try:
            from urllib3.contrib.socks import SOCKSProxyManager
        except ImportError:
            raise Unreachable(
                f"the proxy {access.proxy_url} needs a SOCKS library",
                code="MU7003",
                at=access.at,
                fix="pip install PySocks, or use an HTTP proxy",
            ) from None
        return SOCKSProxyManager(access.proxy_url, **options)
    parts = urlsplit(access.proxy_url)
    if parts.username:
        login = f"{parts.username}:{parts.password or ''}"
        options["proxy_headers"] = urllib3.make_headers(proxy_basic_auth=login)
    return urllib3.ProxyManager(access.proxy_url, **options)


def _ended(pool: Any) -> None:
    """Close the connections that a pool, or a proxy's manager of pools, keeps."""
    pool.clear() if isinstance(pool, urllib3.PoolManager) else pool.close()


def _context(access: Access, credential: Credential) -> ssl.SSLContext:
    # With one named, the machine's own authorities are not even read: they are many, and that takes a while.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if access.ca else ssl.create_default_context()
    # Clusters' own authorities often lack the key identifiers that Python 3.13 asks for by default.
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    try:
        if access.ca:
            context.load_verify_locations(cadata=access.ca.decode("ascii"))
    except (ssl.SSLError, ValueError) as failed:
        raise Unreachable(
            "the certificate authority in the kubeconfig is not usable",
            code="MU7004",
            why=str(failed),
            at=access.at,
            fix="certificate-authority(-data) must hold PEM certificates",
        ) from None
    if access.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if credential.certificate:
        with tempfile.NamedTemporaryFile(prefix="meshup-") as kept:
            kept.write(credential.certificate.rstrip(b"\n") + b"\n" + credential.key)
            kept.flush()
            try:
                context.load_cert_chain(kept.name, password=b"")
            except (ssl.SSLError, ValueError, OSError) as failed:
                raise Unreachable(
                    "the client certificate and key are not usable",
                    code="MU7004",
                    why=str(failed),
                    at=access.at,
                    fix="client-certificate and client-key must be PEM and belong together, without a pass phrase",
                ) from None
    return context


def _body(raw: Any, until: float) -> bytes:
    """Read all of it, within the exchange's time; the answer began, so what was asked may have happened."""
    parts: list[bytes] = []
    size = 0
    try:
        while True:
            left = until - time.monotonic()
            if left <= 0:
                raise TransportFailure("timeout", "the answer took too long", maybe_done=True)
            _settle(raw, min(BETWEEN_BYTES_S, left))
            part = raw.read(1 << 20)
            if not part:
                break
            parts.append(part)
            size += len(part)
            if size > MOST_BYTES:
                raise TransportFailure("reset", f"the answer is larger than {MOST_BYTES >> 20} MiB", maybe_done=True)
    except (HTTPError, OSError) as failed:
        raw.close()
        raise _failure(failed, began=True) from None
    except TransportFailure:
        raw.close()
        raise
    raw.release_conn()
    return b"".join(parts)


def _settle(raw: Any, seconds: float) -> None:
    sock = getattr(getattr(raw, "connection", None), "sock", None)
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.settimeout(max(0.05, seconds))


def _lines(raw: Any, until: float) -> Iterator[bytes]:
    """Yield lines as they come, each pause at most SILENCE_S. Closing the generator closes the socket."""
    rest = b""
    parts = raw.read_chunked(decode_content=True) if raw.chunked else iter(lambda: raw.read1(1 << 16), b"")
    try:
        while True:
            _settle(raw, min(SILENCE_S, until - time.monotonic()))
            part = next(parts, b"")
            if not part:
                break
            *whole, rest = (rest + part).split(b"\n")
            yield from whole
            if len(rest) > MOST_BYTES:
                raise TransportFailure("reset", "one line of the answer has no end", maybe_done=True)
        if rest:
            yield rest
    except (HTTPError, OSError) as failed:
        raise _failure(failed, began=True) from None
    finally:
        raw.close()


def _failure(failed: BaseException, *, began: bool = False) -> TransportFailure:
    """Say what happened below HTTP, and whether the request may have arrived."""
    detail = _plain(failed)
    if isinstance(failed, ProxyError):
        return TransportFailure("proxy", detail, maybe_done=False)
    match failed:
        case NameResolutionError():
            return TransportFailure("resolve", detail, maybe_done=False)
        case ConnectTimeoutError():
            return TransportFailure("timeout", detail, maybe_done=False)
        case NewConnectionError():
            return TransportFailure("connect", detail, maybe_done=False)
        case SSLError():
            return TransportFailure("tls", detail, maybe_done=began)
        case ReadTimeoutError() | TimeoutError():
            return TransportFailure("timeout", "no byte came in time", maybe_done=True)
        case _:
            return TransportFailure("reset", detail, maybe_done=True)


def _plain(failed: BaseException) -> str:
    """Give the innermost reason without the names of Python objects."""
    found = failed
    while (deeper := found.__cause__ or found.__context__) is not None and isinstance(deeper, OSError | HTTPError):
        found = deeper
    if isinstance(found, OSError) and found.strerror:
        return found.strerror
    text = str(found.args[-1]) if found.args else type(found).__name__
    return text.split(": ", 1)[-1] if "object at 0x" in text else text


def proxy_for(server: str, environment: Mapping[str, str]) -> str:
    """Give the proxy that the environment names for a server, "" for none; loopback never goes through one."""
    parts = urlsplit(server)
    host = (parts.hostname or "").lower()
    if host in ("localhost", "::1") or host.startswith("127."):
        return ""
    names = ("HTTPS_PROXY", "https_proxy") if parts.scheme == "https" else ("HTTP_PROXY", "http_proxy")
    found = next((environment[each] for each in names if environment.get(each)), "")
    if not found:
        return ""
    for rule in (environment.get("NO_PROXY") or environment.get("no_proxy") or "").lower().split(","):
        plain = rule.strip().removeprefix("*").split(":")[0] if rule.count(":") < 2 else rule.strip()
        if rule.strip() == "*" or (plain and (host == plain.lstrip(".") or host.endswith("." + plain.lstrip(".")))):
            return ""
        if "/" in plain and _within(host, plain):
            return ""
    return found if "://" in found else f"http://{found}"


def _within(host: str, network: str) -> bool:
    import ipaddress

    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
