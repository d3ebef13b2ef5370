"""Nobody forges a record in the cluster in memory: every attempt is denied by what it names, as on a real server."""

from __future__ import annotations

import pytest

from meshup.simulate.api.server import ApiServer
from meshup.simulate.api.users import ANONYMOUS, AUTHENTICATED, User, service_account
from meshup.simulate.clock import VirtualClock
from tests.forging.playing import PEOPLE, Server, answers, cases, load, prepare


@pytest.fixture(scope="module")
def forged():
    clock = VirtualClock()
    server = ApiServer(clock)
    people = {name: server.as_user(User(name=name, groups=(AUTHENTICATED,))) for name in PEOPLE}
    people["ci"] = server.as_user(service_account("shop", "ci"))
    people["nobody"] = server.as_user(ANONYMOUS)
    made = Server(server, people, clock.now, clock.advance)
    prepare(made)
    return made


@pytest.mark.parametrize("path", cases(), ids=lambda path: path.stem)
def test_the_simulator_denies_it_by_what_is_named(path, forged):
    for wanted, found in answers(forged, path):
        assert found == wanted


def test_there_are_forty_attempts_and_more_each_denied_by_name():
    denied = [path for path in cases() for act in load(path)["acts"] if (act.get("answer") or {}).get("by")]
    assert len(set(denied)) >= 40
    assert all(load(path)["rule"] for path in cases())
