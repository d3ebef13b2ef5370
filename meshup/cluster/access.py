"""How a server is reached and who asks: values that the kubeconfig reader makes and the transport uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from meshup.model.problem import Where


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What is shown to the server. headers: (name, value) pairs. certificate, key: PEM, empty when none."""

    headers: tuple[tuple[str, str], ...] = ()
    certificate: bytes = b""
    key: bytes = b""


class Login(Protocol):
    """A source of credentials. Raises Unreachable when it can't give any; never gives an old one instead."""

    def current(self) -> Credential:
        """Give the credential to use now."""
        ...

    def refresh(self) -> bool:
        """Drop what is cached and get a new one; False when there is nothing that could be new."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One way to one server.

    context, namespace: as chosen, "" when unknown. ca: PEM bundle, empty = the system's. proxy_url: "" = none.
    impersonate: headers. plugin: argv of the exec plugin, empty when there is none; shown once to the user.
    at: the file it came from.
    """

    server: str
    login: Login
    context: str = ""
    namespace: str = ""
    ca: bytes = b""
    insecure: bool = False
    tls_server_name: str = ""
    proxy_url: str = ""
    impersonate: tuple[tuple[str, str], ...] = ()
    plugin: tuple[str, ...] = ()
    at: Where | None = None
