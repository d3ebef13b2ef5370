"""Nobody forges a record on a real API server: people with certificates and tokens of their own, policies and roles as shipped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from forgers import forgers

from e2e.providers import Provider
from meshup.journal.in_cluster import MOST
from meshup.journal.store import to_line
from meshup.model.journal import Started, Stopped
from tests.forging.playing import Play, Server, answers, cases

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


def test_the_policies_weigh_a_journal_as_large_as_it_may_be(forged: Server) -> None:
    play, at = Play(forged, "largest"), "2026-11-25T10:00:00Z"
    began = Started(at=at, run="r", plan="p", plan_kind="rollback-service", user="alice", epoch=0, cluster_uid="c")
    last = to_line(Stopped(at=at, exit=3, why="", next="")) + "\n"
    text = to_line(began) + "\n"
    text += to_line(Stopped(at=at, exit=3, why="x" * (MOST - len(text) - 2 * len(last)), next="")) + "\n"
    assert MOST - len(last) - 64 < len(text) <= MOST - len(last)
    assert play.act({"who": "alice", "pin": {}}) == {"status": 201}
    for journal in (text, text + last):
        assert play.act({"who": "alice", "status": {"journal": journal}}) == {"status": 200}
    assert play.act({"who": "alice", "status": {"journal": last}})["by"] == "meshup-phases"
    assert play.act({"who": "alice", "status": {"phase": "Active"}}) == {"status": 200}
