"""Readings are judged as they are kept: what a verdict says must not hang on an order that a journal does not keep."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from meshup.model.kept import in_order, packed, unpacked

DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


def as_read(found: Any) -> str:
    """Give the same text only for what has the same keys in the same order."""
    return json.dumps(found)


@given(DATA)
def test_what_is_judged_has_the_order_of_what_is_kept(data: Any) -> None:
    kept = json.loads(json.dumps(packed([data]), sort_keys=True))
    assert as_read(in_order([data])) == as_read(unpacked(kept))


def test_long_readings_keep_that_order_too() -> None:
    data = {f"service-{number}": {"own": [number], "callers": {}} for number in range(2000, 0, -1)}
    assert as_read(in_order([data])) == as_read(unpacked(packed([data])))
