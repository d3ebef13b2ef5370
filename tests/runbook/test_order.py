"""The order of a runbook's steps and gates is checked without a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshup.cli.kinds import kinds
from meshup.runbook.load import load

SHIPPED = Path(__file__).resolve().parents[2] / "runbooks" / "onboard-istio.yaml"
FIRST = "  - name: preflight\n    gates:\n      - {preflight: {}}\n"
LEDGER = "    steps: [{install-ledger: {}}]\n"
PROVEN = "    gates: [{ledger-enforced: {}}]\n"
ASKED = "    before: [{preflight: {}}]\n"
INGRESS = "      - install-control-plane: {}\n"


def said(*changes: tuple[str, str]) -> list[tuple[str, str]]:
    """Give code and severity of what the shipped runbook has wrong with it once it was edited."""
    text = SHIPPED.read_text("utf-8")
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return [(each.code, each.severity) for each in load(text.encode(), name="r.yaml", kinds=kinds()).problems]


@pytest.mark.parametrize(
    ("stage", "wrong"),
    [
        (f"  - name: preflight\n{ASKED}{LEDGER}{PROVEN}", []),
        (f"  - name: preflight\n    gates: [{{preflight: {{}}}}]\n  - name: ledger\n{LEDGER}{PROVEN}", []),
        (f"  - name: ledger\n{LEDGER}{PROVEN}", []),
        (f"  - name: preflight\n{LEDGER}    gates: [{{preflight: {{}}}}, {{ledger-enforced: {{}}}}]\n", ["MU1325"]),
        (f"  - name: ledger\n{LEDGER}{PROVEN}{FIRST}", ["MU1325"]),
        (f"  - name: preflight\n{ASKED}{LEDGER}", ["MU1315"]),
    ],
    ids=["in-one-stage", "a-stage-later", "no-preflight", "gate-after", "stage-before", "no-gate-after"],
)
def test_the_ledger_is_installed_after_the_preflight_was_asked(stage: str, wrong: list[str]) -> None:
    assert [code for code, _ in said((FIRST, stage))] == wrong


def test_the_ledger_comes_before_the_control_plane_whose_release_it_records() -> None:
    assert said((INGRESS, f"{INGRESS}      - install-ledger: {{}}\n")) == [("MU1317", "error")]


def test_what_init_and_the_shipped_runbook_offer_as_a_comment_is_right() -> None:
    text = SHIPPED.read_text("utf-8")
    offered = text[text.index("  # - name: preflight") : text.index("  - name: ingress")]
    assert said((FIRST, offered.replace("  # ", "  ")), (offered, "\n")) == []
