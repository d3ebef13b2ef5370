"""The page is one file: it names nothing outside itself, is small, escapes what it was told, and parses."""

from __future__ import annotations

from html.parser import HTMLParser

from histories import AT, NOW, big, views
from hypothesis import given, settings

from meshup.model.report import View
from meshup.model.reporting import report
from meshup.views.markdown import COMMENT
from meshup.views.report import text
from meshup.views.report_html import MOST_BYTES, page
from meshup.views.report_md import markdown

VOID = {"meta", "line", "rect", "br"}
HOSTILE = '<script src="https://x.example/a.js"></script>\x1b[31m\u202e&"\'| `x`'


class Reading(HTMLParser):
    """Checks that tags close, and keeps every tag with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def read(made: str) -> Reading:
    found = Reading()
    found.feed(made)
    found.close()
    assert found.open == []
    return found


@settings(max_examples=100, deadline=None)
@given(views())
def test_the_page_refers_to_nothing_outside_itself(found) -> None:
    made = page(report(found, now=NOW, at=AT))
    seen = read(made)
    assert not {"script", "link", "img", "iframe", "object", "embed", "base", "form", "a", "use", "image"} & {
        t for t, _ in seen.tags
    }
    for _, attributes in seen.tags:
        assert not {"src", "href", "srcset", "action", "xlink:href", "style", "onload"} & set(attributes)
    for word in ("url(", "@import", "http:", "https:", "//"):
        assert word not in made, word


def test_the_page_of_500_services_is_small_and_a_comment_is_cut_to_its_limit() -> None:
    told = report([big()], now=NOW, at=AT)
    made = page(told)
    read(made)
    assert len(made.encode()) <= MOST_BYTES
    assert "service-499" in made
    assert "more records" in made
    cut = markdown(told)
    assert len(cut.encode()) <= COMMENT
    assert "more rows were cut" in cut


def test_what_a_record_says_is_text_in_every_format() -> None:
    bad = big(1)
    bad = View(
        names=frozenset({HOSTILE}),
        cluster=bad.cluster,
        looked=True,
        held=(bad.held[0]._replace(reason=HOSTILE, who=HOSTILE, to=HOSTILE),),
    )
    told = report([bad], now=NOW, at=AT)
    made = page(told)
    assert not any(tag == "script" for tag, _ in read(made).tags)
    for shown in (made, markdown(told), text(told, width=80)):
        assert "\x1b" not in shown
        assert "\u202e" not in shown
    assert "<script" not in markdown(told)
