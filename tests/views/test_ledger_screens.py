"""What `meshup ledger` says, as golden files."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from jsonschema import Draft7Validator
from test_pins import pin

from meshup.model.exports import STAY_S, Checked, Due, Exported, Retention
from meshup.views import ledger
from meshup.views.documents import schema_of

NOW = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)
HEAD = "3f1c0a9b44de" + "5" * 52
CLUSTER = "11111111-2222-3333-4444-555555555555"
AT = "2026-11-25T10:00:00Z"
FIRST = Exported(path="ledger.jsonl", cluster=CLUSTER, head=HEAD, lines=1204, new=1200, at=AT)
OUT = Exported(path="", cluster=CLUSTER, head=HEAD, lines=1204, new=1200, at=AT, kept="you may not create configmaps")
AGAIN = Exported(path="ledger.jsonl", cluster=CLUSTER, head=HEAD, lines=1204, new=0, at=AT)
HOLDS = Checked(path="ledger.jsonl", cluster=CLUSTER, head=HEAD, lines=1204, records=1200, at=AT, known=False)


def over(number: int):
    return pin(
        name=f"cart-{number:016x}", namespace="shop", phase="Closed", closed_at=NOW - timedelta(days=500 - number)
    )


def retention(*, going: int, left: int = 0, stay_s: float = STAY_S, missing: tuple[str, ...] = ()) -> Retention:
    return Retention(
        path="ledger.jsonl",
        going=tuple(Due(pin=over(number), line=f"{number:064x}") for number in range(going)),
        left=tuple((over(100 + number), "it changed since the export") for number in range(left)),
        resting=((over(200), "1.30.3"),) if left else (),
        over=4711,
        open=12,
        stay_s=stay_s,
        most=5000,
        window_s=30 * 86400.0,
        at=NOW,
        missing=missing,
    )


STAYED = ((over(1), "somebody else keeps changing it"),)
SCREENS: dict[str, Callable[[int], str]] = {
    "ledger-export": lambda width: ledger.exported(FIRST, width=width),
    "ledger-export-stdout": lambda width: ledger.exported(OUT, width=width),
    "ledger-export-again": lambda width: ledger.exported(AGAIN, width=width),
    "ledger-verify": lambda width: ledger.checked(HOLDS, width=width),
    "ledger-prune": lambda width: ledger.retention(retention(going=23, left=1), width=width),
    "ledger-prune-lacking": lambda width: ledger.retention(
        retention(going=1, stay_s=6 * 3600.0, missing=("export meshup.dev/meshpins shop",)), width=width
    ),
    "ledger-prune-none": lambda width: ledger.retention(retention(going=0), width=width),
    "ledger-pruned": lambda width: ledger.pruned(retention(going=3), STAYED, width=width),
}


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_fits_and_ends_with_what_comes_next(name: str, width: int, golden: Callable[[str, str], None]) -> None:
    text = SCREENS[name](width)
    assert [each for each in text.splitlines() if len(each) > width and "meshup " not in each] == []
    assert text.splitlines()[-1].startswith("Next")
    golden(f"{name}.{width}.txt", text)


def test_documents_fit_their_schemas(golden: Callable[[str, str], None]) -> None:
    documents = {
        "ledger-export": ledger.exported_document(FIRST),
        "ledger-verify": ledger.checked_document(HOLDS),
        "ledger-prune": ledger.retention_document(retention(going=3, left=1), STAYED, performed=True),
    }
    for name, document in documents.items():
        Draft7Validator(schema_of(name)).validate(document)
        golden(f"{name}.json", json.dumps(document, indent=2))
    assert [each["name"][-1] for each in documents["ledger-prune"]["going"]] == ["0", "2"]
    assert len(documents["ledger-prune"]["left"]) == 2
