"""The next command of a screen goes as it stands there: followed from screen to screen, without a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from at_home import at_home

from meshup.cli.asking import unasked
from meshup.cli.main import main
from meshup.cli.simulating import programs
from meshup.simulate.http import Front
from meshup.simulate.scenario import load

BEGINNINGS = (
    "ledger install --dry-run",
    "init",
    "init --ci github",
    "lint",
    "plan",
    "plan --out p.plan.json",
    "apply p.plan.json --through onboard/wave-1 --yes",
    "status",
    "releases",
    "releases add 1.29.4",
    "releases promote 1.29.4 --reason qualified",
    "rollback shop/cart --to 1.29.4 --reason timeouts --until 2h",
    "pins",
    "report",
    "report --version 1.30.3",
    "plan --service shop/cart",
    "unpin shop/cart --reason mended",
    "opt-out shop/catalog --reason later",
    "opt-in shop/catalog",
    "ledger export --out l.jsonl",
    "ledger verify l.jsonl",
    "ledger prune l.jsonl --older 1h",
    "report --ledger l.jsonl",
    "releases block 1.30.3 --reason leaks",
    "apply --resume --through onboard --yes",
    "releases add 1.30.3 --reason mended",
    "apply --through minimise --yes",
    "status",
    "rollback --run newest --yes",
)
WORDS = {"DATE": "2027-04-30", "TEXT": "because", "RELEASE": "1.29.4", "SERVICE": "shop/cart", "FILE": "l.jsonl"}
MOST = 80
NEXT = re.compile(r"\bmeshup ((?:[\w./:=-]+ ?)+)")


@pytest.fixture
def shop(tmp_path, monkeypatch) -> Iterator[Front]:
    """A pipeline's folder with a kubeconfig of the shop."""
    with at_home(load("shop", programs=programs()).server, tmp_path, monkeypatch) as front:
        front.pace.speed = 1
        yield front


def follows(said: str) -> list[str]:
    """Give the commands of meshup's own that a screen ends with, up to three blanks, a comma or a word that is none."""
    rows = said.splitlines()
    begins = next((number for number, row in enumerate(rows) if row.startswith("Next ")), len(rows))
    found = []
    for row in rows[begins:]:
        for part in re.split(r" {3,}|, (?:or|as|which) |; | then: ", row):
            found += [one[1].strip() for one in NEXT.finditer(part)]
    return found


def test_each_next_command_is_taken_as_it_stands_there(shop, capsys) -> None:
    asked, waiting, screens, added = [], list(BEGINNINGS), 0, set()
    while waiting and len(asked) < MOST:
        command = waiting.pop(0)
        for word, value in WORDS.items():
            command = re.sub(rf"\b{word}\b", value, command)
        asked.append(command)
        capsys.readouterr()
        code = main(command.split())
        said = capsys.readouterr()
        assert code not in (1, 2), f"meshup {command} ended with {code}\n{said.out}{said.err}"
        screens += "\nNext " in f"\n{said.out}"
        added |= set(said.out.partition("git add ")[2].split())
        waiting[:0] = [each for each in dict.fromkeys(follows(said.out)) if each not in (*asked, *waiting)][:1]
    assert screens >= len(BEGINNINGS)
    assert added == {"meshup.yaml", "meshup.lock", ".github/workflows/meshup.yml"}
    assert waiting == [], f"the screens lead on without end: {asked}"


@pytest.mark.parametrize(
    ("said", "goes"),
    [
        ("meshup apply --resume", "meshup apply --resume --yes"),
        ("meshup apply p.plan.json", "meshup apply p.plan.json --yes"),
        ("meshup plan --out p.plan.json, or meshup apply", "meshup plan --out p.plan.json, or meshup apply --yes"),
        (
            "meshup apply --resume --through mtls      not begun: mtls and 2 more",
            "meshup apply --resume --through mtls --yes      not begun: mtls and 2 more",
        ),
        ("meshup apply --resume goes on when it is back", "meshup apply --resume --yes goes on when it is back"),
        ("meshup rollback --run r-1", "meshup rollback --run r-1 --yes"),
        ("meshup rollback shop/cart --resume", "meshup rollback shop/cart --resume"),
        ("meshup ledger prune l.jsonl --yes", "meshup ledger prune l.jsonl --yes"),
        ("meshup apply --resume --yes", "meshup apply --resume --yes"),
        ("meshup ledger install", "meshup ledger install --yes"),
    ],
)
def test_what_asks_before_it_writes_is_told_yes_where_nobody_can_be_asked(said: str, goes: str) -> None:
    assert unasked(said) == goes
