"""Owner and platform owner on one cluster whose ledger is enforced: what each screen says of the same records."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from at_home import at_home

from meshup.cli.main import main
from meshup.cli.simulating import programs
from meshup.simulate.http import Front
from meshup.simulate.scenario import load

PIA = ("--as", "pia", "--as-group", "platform")
ALICE = ("--as", "alice", "--as-group", "shop-owners")
Say = Callable[..., str]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """The shop with its ledger enforced, its services moved to 1.30.3, and two of them gone back."""
    home = tmp_path_factory.mktemp("side")
    with (
        pytest.MonkeyPatch.context() as patch,
        at_home(load("shop", programs=programs()).server, home, patch) as front,
    ):
        front.pace.speed = 1
        back = ("--reason", "timeouts to ledger", "--to", "1.29.4")
        for command in (
            ("ledger", "install", "--yes"),
            ("init", *PIA),
            ("releases", "add", "1.29.4", *PIA),
            ("releases", "promote", "1.29.4", "--end-of-support", "2027-04-30", "--reason", "ran for a year", *PIA),
            ("apply", "--through", "onboard", "--yes", *PIA),
            ("rollback", "cart", "-n", "shop", *back, "--until", "2h", *ALICE),
            ("rollback", "reviews", "-n", "shop", *back, "--until", "7d", *ALICE),
        ):
            assert main(command) == 0, command
            if command[0] == "init":
                runbook = home / "meshup.yaml"
                runbook.write_text(f"{runbook.read_text()}\nholds: {{users: 0}}\n")
        yield front


@pytest.fixture
def say(shop: Front, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Say:
    """Call a command as a person; gives what it said on both streams."""
    monkeypatch.setenv("KUBECONFIG", "kubeconfig")

    def called(*command: str, code: int = 0, out: bool = False) -> str:
        capsys.readouterr()
        got = main(command)
        said = capsys.readouterr()
        assert got == code, said.out + said.err
        return said.out if out else said.out + said.err

    return called


def test_the_same_record_is_trusted_alike_on_every_screen_of_a_platform_owner(say: Say) -> None:
    report = json.loads(say("report", "-o", "json", *PIA, out=True))
    releases = json.loads(say("releases", "-o", "json", *PIA, out=True))
    pins = json.loads(say("pins", "-n", "shop", "-o", "json", *PIA, out=True))["pins"]
    (held,) = [each for each in releases["releases"] if each["version"] == "1.30.3"]
    told = {
        "report": {each["trust"] for each in report["rollbacks"]},
        "releases": {each["trust"] for each in held["went_back"]},
        "pins": {each["trust"] for each in pins},
        "hold of the report": {each["verdict"]["trust"] for each in report["releases"] if each["release"] == "1.30.3"},
        "hold of the releases": {held["verdict"]["trust"]},
    }
    assert told == {name: {"enforced"} for name in told}


def test_who_may_not_see_the_policies_is_told_unknown_and_nothing_else(say: Say) -> None:
    pins = json.loads(say("pins", "-n", "shop", "-o", "json", *ALICE, out=True))["pins"]
    assert {each["trust"] for each in pins} == {"unknown"}
    back = ("--to", "1.29.4", "--reason", "timeouts to ledger", "--until", "7d")
    said = say("rollback", "web", "-n", "shop", *back, *ALICE)
    assert "written before the act (trust: unknown)" in said
    ended = json.loads(say("unpin", "web", "-n", "shop", "--reason", "mended", "-o", "json", *ALICE, out=True))
    assert ended["pin"]["trust"] == "unknown"
    again = json.loads(say("unpin", "web", "-n", "shop", "--reason", "mended", "-o", "json", out=True))
    assert again["pin"]["trust"] == "enforced"


def test_a_promotion_says_what_speaks_for_the_release_here(say: Say) -> None:
    say("releases", "add", "7.7.7", *PIA)
    nowhere = say("releases", "promote", "7.7.7", "--reason", "qualified elsewhere", *PIA)
    assert "evidence  none: it is not installed in this cluster" in nowhere
    say("releases", "add", "1.28.6", *PIA)
    assert "none: it is installed as 1-28-6" in say("releases", "promote", "1.28.6", "--reason", "as before", *PIA)
    told = json.loads(say("releases", "promote", "1.29.4", "--reason", "again", "-o", "json", *PIA, out=True))
    assert (told["installed"], told["looked"], told["services"] >= 2, told["went_back"]) == (["1-29-4"], True, True, 0)
    assert "; none went back from it" in say("releases", "promote", "1.29.4", "--reason", "again", *PIA)


def test_a_report_without_a_runbook_judges_by_that_of_the_newest_run_as_releases_does(say: Say) -> None:
    for more in ([], ["-f", "absent.yaml"]):
        for command in ("report", "releases"):
            assert "hold      1.30.3: 1 user went back from it, more than 0 (trust: enforced)" in say(command, *more)
