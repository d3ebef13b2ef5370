"""A real API server with the roles, the policies and everybody of the attempts to forge a record."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from e2e import lab
from e2e.providers import Provider, Reached
from meshup.cluster.https import HttpsTransport
from meshup.cluster.kubeconfig import Choice, access
from tests.forging.playing import PEOPLE, Server, prepare


@dataclass(frozen=True, slots=True)
class Forgers:
    """A server as the cases ask it, and the kubeconfig of each person."""

    reached: Reached
    server: Server
    kubeconfigs: Mapping[str, Path]


@contextlib.contextmanager
def forgers(provider: Provider, evidence: Any, name: str) -> Iterator[Forgers]:
    """Start it, with people who have certificates and tokens of their own. name: of the evidence that is kept."""
    if provider.name != "lab":
        pytest.skip("the tokens of service accounts and nobody's kubeconfig are the lab's to give: PROVIDER=lab")
    with provider.api_server() as reached, evidence(reached, name):
        files = {name: provider.user(reached, name) for name in PEOPLE if name not in ("ci", "nobody")}
        files["nobody"] = lab.as_user("nobody", {}, home=reached.lab)
        lab.kubectl(reached.lab, "create", "namespace", "shop")
        lab.kubectl(reached.lab, "create", "serviceaccount", "ci", "--namespace=shop")
        token = lab.token("ci", "shop", home=reached.lab)
        files["ci"] = lab.as_user("ci", {"token": token}, home=reached.lab)
        people = {name: transport(path) for name, path in files.items()}
        server = Server(transport(reached.kubeconfig), people, lambda: datetime.now(UTC), time.sleep)
        prepare(server)
        yield Forgers(reached, server, files)


def transport(path: Path) -> HttpsTransport:
    """Open the way to the server of a kubeconfig."""
    return HttpsTransport(access(Choice(kubeconfig=str(path))))
