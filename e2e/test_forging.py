"""Nobody forges a record on a real API server: people with certificates and tokens of their own, policies and roles as shipped."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from e2e import lab
from e2e.providers import Provider
from meshup.cluster.https import HttpsTransport
from meshup.cluster.kubeconfig import Choice, access
from tests.forging.playing import PEOPLE, Server, answers, cases, prepare

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def forged(provider: Provider, evidence: Any) -> Iterator[Server]:
    """A server with the roles, the policies and everybody of the attempts."""
    if provider.name != "lab":
        pytest.skip("the tokens of service accounts and nobody's kubeconfig are the lab's to give: PROVIDER=lab")
    with provider.api_server() as reached, evidence(reached, "forging"):
        files = {name: provider.user(reached, name) for name in PEOPLE if name not in ("ci", "nobody")}
        files["nobody"] = lab.as_user("nobody", {}, home=reached.lab)
        lab.kubectl(reached.lab, "create", "namespace", "shop")
        lab.kubectl(reached.lab, "create", "serviceaccount", "ci", "--namespace=shop")
        token = lab.token("ci", "shop", home=reached.lab)
        files["ci"] = lab.as_user("ci", {"token": token}, home=reached.lab)

        def transport(path: Path) -> HttpsTransport:
            return HttpsTransport(access(Choice(kubeconfig=str(path))))

        people = {name: transport(path) for name, path in files.items()}
        server = Server(transport(reached.kubeconfig), people, lambda: datetime.now(UTC), time.sleep)
        prepare(server)
        yield server


@pytest.mark.parametrize("path", cases(), ids=lambda path: path.stem)
def test_a_real_server_denies_it_by_what_is_named(path: Path, forged: Server) -> None:
    for wanted, found in answers(forged, path):
        assert found == wanted
