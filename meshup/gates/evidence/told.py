"""What a Prometheus told of one query: rows, or why there are none; an error, a partial answer and no series are three things."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from meshup.cluster.errors import ApiError
from meshup.gates.gate import Blind, Eyes
from meshup.gates.prometheus import moment, sent
from meshup.model.problem import Unreachable
from meshup.model.text import clean

MOST_ROWS = 100_000
"""Rows of one answer: 1,000 services of four pods with twenty buckets each fit, and so does the limit of bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One series of an answer. values: one of an instant query, one per step of a range; NaN and infinity as they came.

    None: what stands there is no number.
    """

    labels: Mapping[str, str]
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One answer. query: as it was sent. error: status, timeout or the server's words, "" = it answered."""

    query: str
    rows: tuple[Row, ...] = ()
    warnings: tuple[str, ...] = ()
    error: str = ""


def instant(eyes: Eyes, query: str, *, at: float | None) -> Told:
    """Ask for a vector at a moment (Unix seconds), None = at the server's own now.

    Raises only Unreachable, when no cluster answers or it lets this identity do nothing.
    """
    words = [("query", query), *([("time", f"{at:.3f}")] if at is not None else [])]
    return _told(eyes, "query", words, query, kind="vector")


def ranged(eyes: Eyes, query: str, *, start: float, end: float, step: float) -> Told:
    """Ask for a range, ends included. Raises only Unreachable."""
    words = [("query", query), ("start", f"{start:.3f}"), ("end", f"{end:.3f}"), ("step", f"{step:.3f}")]
    return _told(eyes, "query_range", words, query, kind="matrix")


def asked_at(eyes: Eyes) -> float:
    """Give the Unix time that counts are asked for, in whole milliseconds, as a query can say it."""
    return round(moment(eyes), 3)


def _told(eyes: Eyes, path: str, words: Sequence[tuple[str, str]], query: str, *, kind: str) -> Told:
    try:
        reply = sent(eyes, path, words)
    except Blind as blind:
        return Told(query=query, error=str(blind))
    except Unreachable:
        raise
    except ApiError as error:
        return Told(query=query, error=clean(error.what, limit=300))
    rows = reply["result"]
    if reply["type"] != kind or not isinstance(rows, list):
        return Told(query=query, error=f"gave a {clean(reply['type'] or 'nothing', limit=40)}, a {kind} is needed")
    if len(rows) > MOST_ROWS:
        return Told(query=query, error=f"gave {len(rows)} series, at most {MOST_ROWS} are read")
    found = [_row(each) for each in rows]
    if None in found:
        return Told(query=query, error="gave a row without labels or values")
    if len({frozenset(each.labels.items()) for each in found if each is not None}) < len(found):
        return Told(query=query, error="gave one series twice")
    said = reply["warnings"]
    warnings = tuple(clean(each, limit=200) for each in (said if isinstance(said, list) else [said]))
    return Told(query=query, rows=tuple(each for each in found if each is not None), warnings=warnings)


def _row(raw: Any) -> Row | None:
    if not isinstance(raw, Mapping) or not isinstance(raw.get("metric"), Mapping):
        return None
    several = raw.get("values") if "values" in raw else [raw.get("value")]
    if not isinstance(several, list):
        return None
    labels = {str(key): str(word) for key, word in raw["metric"].items()}
    return Row(labels=labels, values=tuple(_value(each) for each in several))


def _value(sample: Any) -> float | None:
    try:
        return float(sample[1]) if isinstance(sample, list) and len(sample) == 2 else None
    except (TypeError, ValueError):
        return None
