"""Kubeconfigs for people and programs; what they may do is for RBAC to say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import pki
from .config import Home
from .errors import LabError
from .kubectl import kubectl


def user(name: str, groups: Sequence[str] = (), *, home: Home | None = None) -> Path:
    """Give a kubeconfig with a client certificate for a person. Raises LabError when the lab is not up."""
    home = home or Home()
    cert, key = certificate(name, groups, home=home)
    return as_user(name, pki.certificate_identity(cert, key), home=home)


def certificate(name: str, groups: Sequence[str] = (), *, home: Home | None = None) -> tuple[Path, Path]:
    """Give the files of a client certificate and its key."""
    home = home or Home()
    _server(home)
    return pki.Authority(home.pki, "ca").issue(f"user-{name}", name, groups)


def as_user(name: str, identity: Mapping[str, Any], *, home: Home | None = None) -> Path:
    """Give a kubeconfig whose user's part is `identity`: a token, a token file, an exec plugin."""
    home = home or Home()
    path = home.users / f"{name.replace(':', '-').replace('/', '-')}.kubeconfig"
    return pki.write_kubeconfig(path, _server(home), pki.Authority(home.pki, "ca"), name, identity)


def token(account: str, namespace: str, *, seconds: int = 3600, home: Home | None = None) -> str:
    """Give a bearer token of a service account."""
    asked = ("create", "token", account, f"--namespace={namespace}", f"--duration={seconds}s")
    return kubectl(home or Home(), *asked).strip()


def _server(home: Home) -> str:
    try:
        return home.address.read_text("utf-8")
    except OSError as missing:
        raise LabError("the lab is not up", why=f"there is no {home.address}", fix="`up` starts it") from missing
