"""Readings as they are kept: as many as fit, the first and the newest, and packed where they are long."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from meshup.model.verdict import Reading
from meshup.model.wire import dump

MOST = 48 * 1024
"""Bytes of the readings of one verdict as a journal keeps them."""
PLAIN = 8 * 1024
"""Readings that are shorter than this together stand in a journal as they are."""
UNPACKED_MOST = 64 * 1024 * 1024
KEY = "packed"


def fitting(
    readings: Sequence[Reading],
    *,
    most: int = MOST,
    count: int = 0,
    handed_on: Callable[[Reading, Reading], Reading] | None = None,
) -> list[Reading]:
    """Give the first reading and as many of the newest as fit when packed, the newest always. Order stays.

    Judging must come after it: what is judged is then what is kept. count: no more than so many readings, 0 = as many as fit.
    handed_on: gives the second of two neighbours with what must not be lost of the first, which is left out.
    """
    if handed_on is not None:
        return _handing_on(list(readings), most, count, handed_on)
    if count and len(readings) > count:
        readings = [readings[0], *readings[-count + 1 :]]
    raw = [dump(each) for each in readings]
    if len(readings) <= 2 or sum(len(_text(each)) for each in raw) <= most:
        return list(readings)
    few, many = 1, len(readings) - 1
    while few < many:
        middle = (few + many + 1) // 2
        if len(_pack([raw[0], *raw[-middle:]])) <= most:
            few = middle
        else:
            many = middle - 1
    return [readings[0], *readings[-few:]]


def _handing_on(
    kept: list[Reading], most: int, count: int, handed_on: Callable[[Reading, Reading], Reading]
) -> list[Reading]:
    """Leave out the oldest but the first, one by one, each handed on to the one behind it."""
    while len(kept) > 2 and ((count and len(kept) > count) or _is_long([dump(each) for each in kept], most)):
        kept[1:3] = [kept[1] if kept[2].blind and len(kept) > 3 else handed_on(kept[1], kept[2])]
    return kept


def _is_long(raw: Sequence[Any], most: int) -> bool:
    return sum(len(_text(each)) for each in raw) > most and len(_pack(raw)) > most


def in_order(found: Any) -> Any:
    """Give what was read with the keys of its maps in the order in which a journal keeps them.

    A verdict that names the first of several then names the same one when it is made again.
    """
    if isinstance(found, Mapping):
        return {key: in_order(found[key]) for key in sorted(found)}
    return [in_order(each) for each in found] if isinstance(found, list | tuple) else found


def packed(raw: Any) -> Any:
    """Give the JSON form of readings as it is stored: itself when short, else {"packed": zlib of it in base64}."""
    return raw if len(_text(raw)) <= PLAIN else {KEY: _pack(raw)}


def unpacked(raw: Any) -> Any:
    """Give the JSON form of readings back. Raises ValueError for what `packed` does not give."""
    if not isinstance(raw, Mapping):
        return raw
    try:
        engine = zlib.decompressobj()
        text = engine.decompress(base64.b64decode(raw[KEY], validate=True), UNPACKED_MOST)
    except (KeyError, TypeError, zlib.error) as odd:
        raise ValueError(f"packed readings can't be read: {odd}") from odd
    if not engine.eof:
        raise ValueError("packed readings are cut, or too long")
    return json.loads(text)


def _text(raw: Any) -> str:
    return json.dumps(raw, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _pack(raw: Any) -> str:
    return base64.b64encode(zlib.compress(_text(raw).encode(), 6)).decode()
