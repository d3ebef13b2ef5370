"""Texts of a certain form inside built-in kinds: times and quantities, and what Go says of those it can't read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from meshup.simulate.api import schema as sc

SECONDS = (
    ("2006", r"\d{4}"),
    ("-", "-"),
    ("01", r"\d\d"),
    ("-", "-"),
    ("02", r"\d\d"),
    ("T", "T"),
    ("15", r"\d\d"),
    (":", ":"),
    ("04", r"\d\d"),
    (":", ":"),
    ("05", r"\d\d(?:\.\d+)?"),
    ("Z07:00", r"Z|[-+]\d\d:\d\d"),
)
MICROSECONDS = (*SECONDS[:-2], ("05", r"\d\d"), (".000000", r"\.\d{6}"), SECONDS[-1])
"""A layout as Go writes it, part by part, with what each part takes."""
QUANTITY = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+|[numkMGTPE]|[KMGTPE]i)?")
QUANTITY_TEXT = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
LAYOUTS = {"Time": SECONDS, "MicroTime": MICROSECONDS}


def unreadable(value: Any, node: dict[str, Any]) -> Iterator[str]:
    """Yield what Go says of each time and quantity that it can't read."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from unreadable(inner, sc.child(node, key))
    elif isinstance(value, list):
        for inner in value:
            yield from unreadable(inner, sc.item(node))
    elif isinstance(value, str):
        name = sc.name_of(node).rpartition(".")[2]
        if name in LAYOUTS and value:
            yield from _time(value, LAYOUTS[name])
        elif name == "Quantity" and not QUANTITY.fullmatch(value):
            yield QUANTITY_TEXT


def _time(text: str, layout: tuple[tuple[str, str], ...]) -> Iterator[str]:
    shown = "".join(part for part, _ in layout)
    rest = text
    for part, takes in layout:
        found = re.match(takes, rest)
        if found is None:
            yield f'parsing time "{text}" as "{shown}": cannot parse "{rest}" as "{part}"'
            return
        rest = rest[found.end() :]
    if rest:
        yield f'parsing time "{text}": extra text: "{rest}"'
