"""Where credentials come from: fixed ones, a token file that is read again, an exec plugin, rare kinds by the official client."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from meshup.cluster.access import Credential
from meshup.model.problem import Unreachable, Where
from meshup.model.text import clean

PLUGIN_S = 60.0
TOKEN_FILE_S = 10.0
EARLY_S = 30.0
VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")


def bearer(token: str, *, certificate: bytes = b"", key: bytes = b"") -> Credential:
    """Make a credential of a token, and a client certificate where there is one."""
    headers = (("authorization", f"Bearer {token}"),) if token else ()
    return Credential(headers=headers, certificate=certificate, key=key)


def basic(user: str, password: str) -> tuple[tuple[str, str], ...]:
    """Make the header of a user name and password."""
    return (("authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()),)


class Fixed:
    """Credentials written in the kubeconfig, or none. They can't be renewed."""

    def __init__(self, credential: Credential) -> None:
        self._credential = credential

    def current(self) -> Credential:
        """Give them."""
        return self._credential

    def refresh(self) -> bool:
        """Nothing newer can be had."""
        return False


class TokenFile:
    """A token in a file that somebody else keeps fresh; read again every 10 s."""

    def __init__(self, path: Path, *, certificate: bytes, key: bytes, at: Where | None) -> None:
        self._path, self._certificate, self._key, self._at = path, certificate, key, at
        self._token = ""
        self._read_at = 0.0
        self._lock = threading.Lock()

    def current(self) -> Credential:
        """Give the token that is in the file now."""
        with self._lock:
            if not self._token or time.monotonic() - self._read_at > TOKEN_FILE_S:
                self._token, self._read_at = self._read(), time.monotonic()
            return bearer(self._token, certificate=self._certificate, key=self._key)

    def refresh(self) -> bool:
        """Read the file; true when it holds another token."""
        with self._lock:
            before, self._token, self._read_at = self._token, self._read(), time.monotonic()
            return self._token != before

    def _read(self) -> str:
        try:
            token = self._path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as failed:
            raise Unreachable(
                f"the token file {clean(self._path)} can't be read",
                code="MU7005",
                at=self._at,
                why=getattr(failed, "strerror", None) or "not text",
                fix="correct tokenFile in the kubeconfig, or log in again",
            ) from None
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise Unreachable(
                f"the token file {clean(self._path)} holds no token",
                code="MU7005",
                at=self._at,
                fix="write the token into it, one line, or log in again",
            )
        return token


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """An exec section. cluster: what provideClusterInfo asks for, None when it does not. at: the kubeconfig."""

    command: str
    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    version: str
    interactive: str
    install_hint: str
    cluster: Mapping[str, Any] | None = None
    at: Where | None = None


@dataclass(slots=True)
class PluginLogin:
    """Credentials from an exec plugin: run once, kept until they expire. Any failure of it ends the command."""

    plugin: Plugin
    certificate: bytes = b""
    key: bytes = b""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _kept: Credential | None = None
    _until: datetime | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def current(self) -> Credential:
        """Give what the plugin gave, or run it (at most 60 s)."""
        with self._lock:
            expired = self._until is not None and (self._until - self.now()).total_seconds() < EARLY_S
            if self._kept is None or expired:
                self._run()
            if self._kept is None:
                raise AssertionError("the plugin either gave credentials or raised")
            return self._kept

    def refresh(self) -> bool:
        """Run the plugin again."""
        with self._lock:
            self._run()
            return True

    def _run(self) -> None:
        self._kept = None
        plugin = self.plugin
        tty = sys.stdin is not None and sys.stdin.isatty()
        if plugin.interactive == "Always" and not tty:
            raise self._failed("it must ask a person, and stdin is no terminal", fix="log in at a terminal first")
        asks = tty and plugin.interactive != "Never"
        spec: dict[str, Any] = {"interactive": asks}
        if plugin.cluster is not None:
            spec["cluster"] = dict(plugin.cluster)
        told = json.dumps({"apiVersion": plugin.version, "kind": "ExecCredential", "spec": spec})
        environment = {**os.environ, **dict(plugin.environment), "KUBERNETES_EXEC_INFO": told}
        try:
            ran = subprocess.run(
                [plugin.command, *plugin.arguments],
                env=environment,
                stdin=None if asks else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=None if asks else subprocess.PIPE,
                timeout=PLUGIN_S,
                check=False,
            )
        except FileNotFoundError:
            hint = clean(plugin.install_hint, limit=600, lines=True).strip()
            raise self._failed("the program is not there", fix=hint or f"install {clean(plugin.command)}") from None
        except subprocess.TimeoutExpired:
            raise self._failed(
                f"it gave no answer in {PLUGIN_S:.0f} s", fix="run it by hand and see what it waits for"
            ) from None
        except OSError as failed:
            raise self._failed(f"it could not be started: {failed.strerror}", fix="make it executable") from None
        if ran.returncode != 0:
            said = clean((ran.stderr or b"").decode("utf-8", "replace").strip()[-400:])
            raise self._failed(f"it ended with {ran.returncode}" + (f": {said}" if said else ""), fix="log in again")
        self._take(ran.stdout)

    def _take(self, output: bytes) -> None:
        try:
            found = json.loads(output)
        except ValueError:
            found = None
        if not isinstance(found, dict) or found.get("kind") != "ExecCredential":
            raise self._failed("its output is no ExecCredential", fix="run it by hand; it must print JSON alone")
        if found.get("apiVersion") != self.plugin.version:
            raise self._failed(
                f"it answers {clean(found.get('apiVersion'), limit=80)}, the kubeconfig asks for {self.plugin.version}",
                fix="make apiVersion in the exec section fit the program",
            )
        status = found.get("status")
        status = status if isinstance(status, dict) else {}
        token = status.get("token") or ""
        pair = status.get("clientCertificateData") or "", status.get("clientKeyData") or ""
        if not all(isinstance(each, str) for each in (token, *pair)) or not (token or all(pair)):
            raise self._failed("it gave neither a token nor a certificate with its key", fix="log in again")
        if not token.isascii() or not token.isprintable():
            raise self._failed("its token holds characters that no token has", fix="log in again")
        self._until = self._expiry(status.get("expirationTimestamp"))
        self._kept = bearer(token, certificate=pair[0].encode() or self.certificate, key=pair[1].encode() or self.key)

    def _expiry(self, raw: object) -> datetime | None:
        if raw is None:
            return None
        try:
            found = datetime.fromisoformat(str(raw))
        except ValueError:
            raise self._failed("its expirationTimestamp is no time", fix="update the plugin") from None
        return found if found.tzinfo else found.replace(tzinfo=UTC)

    def _failed(self, why: str, *, fix: str) -> Unreachable:
        name = clean(self.plugin.command)
        return Unreachable(
            f"the login program {name} of the kubeconfig failed",
            code="MU7006",
            why=why,
            fix=fix,
            at=self.plugin.at,
            cluster="not contacted",
        )


class Rare:
    """Kinds of login that only the official client knows (auth-provider); it is imported when one is met."""

    def __init__(self, config: Mapping[str, Any], context: str, *, at: Where | None) -> None:
        self._config, self._context, self._at = config, context, at
        self._kept: Credential | None = None

    def current(self) -> Credential:
        """Give what the official client's reader makes of it."""
        if self._kept is None:
            self._kept = self._ask()
        return self._kept

    def refresh(self) -> bool:
        """Ask it again."""
        before = self._kept
        self._kept = self._ask()
        return self._kept != before

    def _ask(self) -> Credential:
        try:
            from kubernetes import client
            from kubernetes.config import ConfigException, load_kube_config_from_dict
        except ImportError:
            raise self._failed("the package kubernetes is not installed") from None
        made = client.Configuration()
        made.api_key.clear()
        try:
            load_kube_config_from_dict(  # type: ignore[no-untyped-call]
                dict(self._config), context=self._context, client_configuration=made, persist_config=False
            )
            value = made.get_api_key_with_prefix("authorization") or made.get_api_key_with_prefix("BearerToken")
        except (ConfigException, KeyError, ValueError, TypeError, AttributeError, OSError, ImportError) as failed:
            raise self._failed(f"{type(failed).__name__}: {clean(failed, limit=200)}") from None
        if not value:
            raise self._failed("it gives no token for this context")
        return Credential(headers=(("authorization", str(value)),))

    def _failed(self, why: str) -> Unreachable:
        return Unreachable(
            "the auth-provider of the kubeconfig gives no credentials",
            code="MU7007",
            why=why,
            at=self._at,
            fix="auth-provider is gone from Kubernetes 1.26 on: use the exec plugin of your cloud or OIDC provider",
            cluster="not contacted",
        )
