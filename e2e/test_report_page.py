"""The report's page in Chromium: it asks for nothing, axe finds nothing, and it can be read on a telephone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from browser import NoBrowser, look

from meshup.model.report import View
from meshup.model.reporting import report
from meshup.views.report_html import MOST_BYTES, page
from tests.report.histories import AT, NOW, big

pytestmark = pytest.mark.e2e

WIDTHS = (360, 768, 1280)
LEAST_TEXT_PX = 12
KEPT = Path(__file__).resolve().parents[1] / ".e2e" / "report-page"
"""Where the screenshots of the last look stay."""


def pages() -> dict[str, str]:
    """Give pages that differ in all that the page may show: 500 services of two clusters one unread, and no service."""
    unread = View(names=frozenset({"prod-us"}), cluster="", why="no answer in 5 s")
    return {
        "many": page(report((big(), unread), now=NOW, at=AT)),
        "one-release": page(report((big(20),), now=NOW, at=AT, version="1.31.0")),
        "nothing": page(report((View(names=frozenset({"new"}), cluster="c1", looked=True),), now=NOW, at=AT)),
    }


@pytest.fixture(scope="module", params=["many", "one-release", "nothing"])
def looked(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    """What Chromium and axe said of a page."""
    made = pages()[request.param]
    assert len(made.encode()) <= MOST_BYTES
    folder = KEPT / request.param
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    file = folder / "report.html"
    file.write_text(made, "utf-8")
    try:
        return look(file, folder, WIDTHS)
    except NoBrowser as why:
        pytest.skip(f"there is no browser to look with: {why}")


def test_the_page_was_looked_at_in_light_and_dark_at_every_width(looked: list[dict[str, Any]]) -> None:
    assert [(each["scheme"], each["width"]) for each in looked] == [(s, w) for s in ("light", "dark") for w in WIDTHS]
    assert {each["paper"] for each in looked if each["scheme"] == "light"} == {"rgb(255, 255, 255)"}
    assert "rgb(255, 255, 255)" not in {each["paper"] for each in looked if each["scheme"] == "dark"}


def test_no_request_leaves_the_file(looked: list[dict[str, Any]]) -> None:
    assert [each["fetched"] for each in looked] == [[]] * len(looked)
    assert [each["wrong"] for each in looked] == [[]] * len(looked)


def test_axe_finds_nothing(looked: list[dict[str, Any]]) -> None:
    for each in looked:
        assert each["findings"] == [], (each["scheme"], each["width"])
        assert each["passes"] > 10, "axe looked at nothing"


def test_it_can_be_read_on_a_telephone(looked: list[dict[str, Any]]) -> None:
    for each in looked:
        where = (each["scheme"], each["width"])
        assert each["wide"] <= each["width"], where
        assert each["small"] >= LEAST_TEXT_PX, where
        assert each["outside"] == 0, where
        assert each["squeezed"] == 0, where
