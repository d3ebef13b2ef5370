"""One Prometheus asked through the API server's service proxy: instant queries, and every way in which one fails."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from string import Template
from typing import Any

from meshup.gates.gate import Blind, Eyes
from meshup.model.text import clean

MOST_BYTES = 16 * 1024 * 1024
MOST_SERIES = 10_000
AHEAD_S = 30.0
"""A sample further in the future than this is told by a clock that is wrong."""
Row = tuple[Mapping[str, str], float | None]


def ask(eyes: Eyes, query: str) -> Mapping[str, Any]:
    """Run an instant query and give the reply's parts. Raises Blind with what went wrong."""
    at = moment(eyes)
    return {**sent(eyes, "query", (("query", query), ("time", f"{at:.3f}"))), "at": at}


def sent(eyes: Eyes, path: str, words: Sequence[tuple[str, str]]) -> Mapping[str, Any]:
    """Send one query and give the reply's result, type and warnings. path: query or query_range. Raises Blind."""
    if not eyes.book.metrics.service:
        raise Blind("the runbook names no Prometheus: metrics.service is namespace/name:port")
    namespace, _, rest = eyes.book.metrics.service.partition("/")
    name, _, port = rest.partition(":")
    answer = eyes.cluster.service_proxy(
        namespace, name, port=port or "9090", path=f"/api/v1/{path}", query=tuple(words)
    )
    if len(answer.body) > MOST_BYTES:
        raise Blind(f"Prometheus answered {len(answer.body)} bytes, at most {MOST_BYTES} are read")
    try:
        reply = json.loads(answer.body)
    except ValueError as error:
        raise Blind(f"Prometheus answered {answer.status} and no JSON") from error
    if not isinstance(reply, dict) or answer.status != 200 or reply.get("status") != "success":
        why = reply.get("error") if isinstance(reply, dict) else ""
        raise Blind(f"query error {answer.status}: {clean(why or 'no reason was given', limit=300)}")
    data = reply.get("data")
    data = data if isinstance(data, dict) else {}
    return {"result": data.get("result"), "type": data.get("resultType"), "warnings": reply.get("warnings") or []}


def moment(eyes: Eyes) -> float:
    """Give the Unix time that Prometheus is asked about: as late as its samples have surely come in."""
    return eyes.clock.now().timestamp() - eyes.book.metrics.ingest_delay_s


def vector(eyes: Eyes, query: str) -> list[Row]:
    """Run a query that gives a vector: labels and value, None for NaN and infinity. Raises Blind."""
    reply = ask(eyes, query)
    rows = reply["result"]
    if reply["warnings"]:
        raise Blind(partial(reply["warnings"]))
    if reply["type"] != "vector" or not isinstance(rows, list):
        raise Blind(f"Prometheus gave a {clean(reply['type'] or 'nothing', limit=40)}, a vector is needed")
    if len(rows) > MOST_SERIES:
        raise Blind(f"Prometheus gave {len(rows)} series, at most {MOST_SERIES} are read")
    return [_row(each) for each in rows]


def partial(warnings: Any) -> str:
    """Say that Prometheus itself calls its answer partial, in the words of its first warning."""
    first = warnings[0] if isinstance(warnings, list) else warnings
    return f"the answer is partial: {clean(first, limit=200)}"


def _row(raw: Any) -> Row:
    if not isinstance(raw, Mapping) or not isinstance(raw.get("metric"), Mapping):
        raise Blind("Prometheus gave a row without labels")
    sample = raw.get("value")
    try:
        value = float(sample[1]) if isinstance(sample, list) and len(sample) == 2 else float("nan")
    except (TypeError, ValueError):
        value = float("nan")
    finite = value == value and abs(value) != float("inf")  # noqa: PLR0124 - NaN is not itself
    return {str(key): str(word) for key, word in raw["metric"].items()}, value if finite else None


def filled(eyes: Eyes, template: str, words: Mapping[str, str]) -> str:
    """Fill in a driver's query; the labels of the scrape are the runbook's."""
    metrics = eyes.book.metrics
    return Template(template).substitute(pod=metrics.pod_label, home=metrics.namespace_label, **words)
