"""Nobody forges a record on a real API server: people with certificates and tokens of their own, policies and roles as shipped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from forgers import forgers

from e2e.providers import Provider
from tests.forging.playing import Server, answers, cases

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def forged(provider: Provider, evidence: Any) -> Iterator[Server]:
    """A server with the roles, the policies and everybody of the attempts."""
    with forgers(provider, evidence, "forging") as found:
        yield found.server


@pytest.mark.parametrize("path", cases(), ids=lambda path: path.stem)
def test_a_real_server_denies_it_by_what_is_named(path: Path, forged: Server) -> None:
    for wanted, found in answers(forged, path):
        assert found == wanted
