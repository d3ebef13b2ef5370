"""Prometheus's HTTP API, as far as it is served: queries, ranges, series, labels and their values, health."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from meshup.model.transport import Response
from meshup.simulate.prometheus.promql import Vector, instant, kind_of, matchers_of, parse, ranged, samples_of
from meshup.simulate.prometheus.series import Match, QueryError, Sample, Source

MOST_STEPS = 11_000
"""As the real API: a range query gives at most so many points per series."""
VERSION = "3.0.0-embedded"


def answer(source: Source, path: str, words: Sequence[tuple[str, str]], now: float) -> Response:
    """Answer one GET. path: below the service. words: the query's pairs. now: Unix seconds."""
    match path.rstrip("/"):
        case "/-/ready":
            return _text(200, "Prometheus Server is Ready.\n")
        case "/-/healthy":
            return _text(200, "Prometheus Server is Healthy.\n")
        case "/api/v1/status/buildinfo":
            return _json(200, {"status": "success", "data": {"version": VERSION}})
        case _:
            pass
    if not path.startswith("/api/v1/"):
        return _text(404, "404 page not found\n")
    try:
        data = _data(source, path.removeprefix("/api/v1/").rstrip("/"), words, now)
    except QueryError as error:
        status = 400 if error.kind == "bad_data" else 422
        return _json(status, {"status": "error", "errorType": error.kind, "error": str(error)})
    if data is None:
        return _text(404, "404 page not found\n")
    return _json(200, {"status": "success", "data": data})


def _data(source: Source, name: str, words: Sequence[tuple[str, str]], now: float) -> Any:
    one = dict(words)
    match name.split("/"):
        case ["query"]:
            return _query(source, one.get("query", ""), _time(one.get("time"), "time", now))
        case ["query_range"]:
            return _range(source, one, now)
        case ["series"]:
            if not any(key == "match[]" for key, _ in words):
                raise QueryError("no match[] parameter provided")
            return _series(source, words, now)
        case ["labels"]:
            return sorted({label for row in _series(source, words, now) for label in row})
        case ["label", label, "values"]:
            return sorted({row[label] for row in _series(source, words, now) if label in row})
        case _:
            return None


def _query(source: Source, text: str, at: float) -> Mapping[str, Any]:
    matrix = ranged(source, text, at)
    if matrix is not None:
        rows = [{"metric": dict(each.labels), "values": [_pair(one) for one in each.samples(0, 0)]} for each in matrix]
        return {"resultType": "matrix", "result": rows}
    found = instant(source, text, at)
    if isinstance(found, str):
        return {"resultType": "string", "result": [_stamp(at), found]}
    if not isinstance(found, Vector):
        return {"resultType": "scalar", "result": _pair((at, float(found)))}
    result = [{"metric": dict(labels), "value": _pair(sample)} for labels, sample in samples_of(found, at)]
    return {"resultType": "vector", "result": result}


def _range(source: Source, one: Mapping[str, str], now: float) -> Mapping[str, Any]:
    start, end = _time(one.get("start"), "start", None), _time(one.get("end"), "end", None)
    step = _step(one.get("step"))
    if end < start:
        raise QueryError('invalid parameter "end": end timestamp must not be before start time')
    if (end - start) / step > MOST_STEPS:
        raise QueryError(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"
        )
    kind = kind_of(one.get("query", ""))
    if kind:
        raise QueryError(
            f'invalid parameter "query": invalid expression type "{kind}" for range query, must be Scalar or instant Vector'
        )
    rows: dict[tuple[tuple[str, str], ...], list[Any]] = {}
    for number in range(int((end - start) / step + 1e-9) + 1):
        at = start + number * step
        for labels, sample in samples_of(instant(source, one.get("query", ""), at), at):
            rows.setdefault(tuple(sorted(labels.items())), []).append(_pair(sample))
    del now
    return {
        "resultType": "matrix",
        "result": [{"metric": dict(key), "values": values} for key, values in sorted(rows.items())],
    }


def _series(source: Source, words: Sequence[tuple[str, str]], now: float) -> list[dict[str, str]]:
    one = dict(words)
    start, end = _time(one.get("start"), "start", now - 3600), _time(one.get("end"), "end", now)
    found: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
    for matchers in [_selector(text) for key, text in words if key == "match[]"] or [[]]:
        for each in source.select(matchers, start, end):
            found[tuple(sorted(each.labels.items()))] = dict(each.labels)
    return [found[key] for key in sorted(found)]


def _selector(text: str) -> list[Match]:
    tree = parse(text)
    if type(tree).__name__ != "VectorSelector":
        raise QueryError('invalid parameter "match[]": a series selector is needed')
    return matchers_of(tree)


def _time(raw: str | None, name: str, otherwise: float | None) -> float:
    if raw is None or raw == "":
        if otherwise is None:
            raise QueryError(f'invalid parameter "{name}": cannot parse "" to a valid timestamp')
        return otherwise
    try:
        found = float(raw)
        if math.isfinite(found):
            return found
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(raw).timestamp()
    except ValueError:
        # A time that may be left out is read by another function of the real server, with words of its own.
        more = "" if otherwise is None else f"invalid time value for '{name}': "
        raise QueryError(f'invalid parameter "{name}": {more}cannot parse "{raw}" to a valid timestamp') from None


def _step(raw: str | None) -> float:
    import promql_parser

    try:
        found = float(raw or "")
    except ValueError:
        try:
            found = promql_parser.parse_duration(raw or "").total_seconds()
        except ValueError:
            raise QueryError(f'invalid parameter "step": cannot parse "{raw or ""}" to a valid duration') from None
    if not found > 0 or math.isinf(found):
        raise QueryError(
            'invalid parameter "step": zero or negative query resolution step widths are not accepted. Try a positive integer'
        )
    return found


def _stamp(at: float) -> float | int:
    rounded = round(at, 3)
    return int(rounded) if rounded == int(rounded) else rounded


def _pair(sample: Sample) -> list[Any]:
    return [_stamp(sample[0]), number(sample[1])]


def number(value: float) -> str:
    """Write a value as the real API does: shortest form that reads back, never with an exponent."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return format(Decimal(repr(value)), "f")


def _json(status: int, body: Any) -> Response:
    return Response(status=status, headers={"content-type": "application/json"}, body=json.dumps(body).encode())


def _text(status: int, text: str) -> Response:
    return Response(status=status, headers={"content-type": "text/plain; charset=utf-8"}, body=text.encode())
