"""No control byte and no hidden direction of writing reaches a person, whatever a cluster holds."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshup.model.text import clean, is_clean

HIDDEN = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c\u200b\ufeff\u2028"
anything = st.text(st.one_of(st.characters(), st.characters(max_codepoint=0x9F), st.sampled_from(HIDDEN)), max_size=40)


@given(anything, st.integers(0, 20))
@settings(max_examples=400)
def test_nothing_that_a_terminal_obeys_is_left(text, limit):
    shown = clean(text, limit=limit)
    assert not any(unicodedata.category(each) in ("Cc", "Cf", "Cs", "Co", "Cn") for each in shown)
    assert "\u2028" not in shown
    assert "\n" not in shown
    assert clean(shown) == shown
    assert is_clean(shown)
    assert not limit or len(shown) <= limit


@given(anything)
def test_lines_keep_their_ends_when_asked(text):
    assert all(each.isprintable() or each in "\n\t" for each in clean(text, lines=True))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cart", "cart"),
        ("größe 漢字 ελ", "größe 漢字 ελ"),
        ("a\x1b[31mb", "a\ufffd[31mb"),
        ("a\nb\tc", "a b c"),
        ("a\u202eb", "a<U+202E>b"),
        ("a\u200bb", "a<U+200B>b"),
        ("\x9b31m", "\ufffd31m"),
        ("\ud800", "\ufffd"),
        (7, "7"),
        ("👍", "👍"),
    ],
)
def test_examples(text, shown):
    assert clean(text) == shown
