"""The embedded Prometheus beside a real one: what the real one answered over the same samples is what it answers."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from string import Template

import pytest
import yaml
from openmetrics import Loaded

from meshup.meshes.istio import comparing
from meshup.meshes.istio.queries import QUERIES
from meshup.simulate.prometheus import promql
from meshup.simulate.prometheus.api import answer

CASES = Path(__file__).parent.parent / "cases" / "prometheus"
NOW = 1700000600.0
ANNOTATIONS = ("infos", "warnings")
"""What the real one remarks beside a right answer; the embedded one has no remarks."""


SOURCE = Loaded((CASES / "samples.om").read_text("utf-8"))


def of(name):
    return yaml.safe_load((CASES / f"{name}.yaml").read_text("utf-8"))["cases"]


def cases():
    for path in sorted(CASES.glob("*.yaml")):
        for number, case in enumerate(of(path.stem)):
            shown = case["ask"].get("query") or case["ask"].get("match[]") or case["ask"]["path"]
            yield pytest.param(case, id=f"{path.stem}-{number}-{shown}")


def asked(ask):
    words = [
        (key, str(each))
        for key, value in ask.items()
        if key != "path"
        for each in (value if isinstance(value, list) else [value])
    ]
    reply = answer(SOURCE, f"/api/v1/{ask['path']}", words, NOW)
    try:
        return reply.status, json.loads(reply.body)
    except ValueError:
        return reply.status, reply.body.decode()


def evened(value):
    """Values to thirteen digits, and rows in the order of their labels: the real server promises neither."""
    if isinstance(value, dict):
        return {key: evened(each) for key, each in value.items()}
    if isinstance(value, list):
        if value and isinstance(value[0], dict) and "metric" in value[0]:
            value = sorted(value, key=lambda row: sorted(row["metric"].items()))
        return [evened(each) for each in value]
    try:
        found = float(value) if isinstance(value, str) else math.nan
    except ValueError:
        return value
    return f"{found:.13g}" if math.isfinite(found) else value


def without_words(reply):
    """A parse error: the two parsers word it differently, what it is counts."""
    if isinstance(reply, dict) and "parse error" in str(reply.get("error")):
        return {**reply, "error": "parse error"}
    return reply


@pytest.mark.parametrize("case", list(cases()))
def test_a_query_is_answered_as_by_the_real_one(case):
    if case.get("embedded"):
        status, reply = asked(case["ask"])
        assert (status, reply["errorType"]) == (400, "bad_data")
        assert case["embedded"] in reply["error"]
        return
    status, reply = asked(case["ask"])
    wanted = (
        {key: each for key, each in case["reply"].items() if key not in ("infos", "warnings")}
        if isinstance(case["reply"], dict)
        else case["reply"]
    )
    assert (status, evened(without_words(reply))) == (case["status"], evened(without_words(wanted)))


WORDS = {
    "namespace": "pay|shop",
    "workload": "cart|web",
    "peers": "cart[.]shop|web[.]shop",
    "window": "120s",
    "pod": "pod",
    "home": "namespace",
    "homes": "shop",
}


@pytest.mark.parametrize("meaning", sorted(QUERIES))
def test_what_gates_ask_was_asked_of_the_real_one(meaning):
    known = {case["ask"]["query"]: case["reply"]["data"]["result"] for case in of("gates")}
    assert known[Template(QUERIES[meaning]).substitute(WORDS)]


def test_what_explain_promises_was_asked_of_the_real_one():
    asked_for = " ".join(
        str(case["ask"].get("query", ""))
        for path in CASES.glob("*.yaml")
        for case in of(path.stem)
        if "embedded" not in case
    )
    named = [
        word
        for line in promql.subset()
        if ":" in line and "paths" not in line
        for word in re.split(r"[ ,()]+", line.partition(": ")[2])
    ]
    missing = [
        word
        for word in named
        if word and word != "bool" and not re.search(rf"(?<![\w]){re.escape(word)}(?![\w])", asked_for)
    ]
    assert named
    assert not missing


COMPARED = {
    **WORDS,
    "namespace": "till",
    "workload": "front|pay",
    "peers": "front[.]till|pay[.]till",
    "window": "300000ms",
    "rate": "60s",
    "homes": "till",
}


def test_what_a_comparison_asks_was_asked_of_the_real_one():
    known = {case["ask"]["query"]: case["reply"]["data"]["result"] for case in of("comparing")}
    asks = [ask for family in comparing.FAMILIES for ask in family.asks]
    queries = [*(ask.query for ask in asks), *(ask.resets for ask in asks if ask.resets), *comparing.SCRAPING.values()]
    for each in queries:
        assert known[Template(each).substitute(COMPARED)]
