"""Whatever is taken from evidence that passes, or put into it: judging never raises, and thin evidence never passes."""

from __future__ import annotations

import copy
from datetime import timedelta

import pytest
from evidence import BEGAN, GATES, load, paths
from hypothesis import given, settings
from hypothesis import strategies as st

from meshup.gates.gate import Terms
from meshup.model.verdict import Answer, Reading, Verdict

ODD = (None, float("nan"), float("inf"), float("-inf"), -1, "", "x", [], {}, [None], {"x": None}, True)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = (
    "services proxies pods workloads checks runs result type warnings at active revisions kept answers wanted now plan "
    "approvals place status ready lease name callers addresses without release revision reverted left_out window_s "
    "sampled source"
).split()
PASSING = [loaded for loaded in map(load, paths()) if loaded[3]["answer"] == "pass"]
# What each gate's pass rests on; the other leaves are words for people.
COUNTS = {
    "workloads-ready": {"pods", "ready", "done", "there"},
    "proxies-right": {"there"},
    "proxies-in-sync": {"rejected", "connected"},
    "success-rate": {"requests", "failed"},
    "new-connections": {"connections", "connect_failures"},
    "plaintext-callers": {"connections", "tls"},
    "strict-holds": {"refused", "handshakes"},
    "guard-armed": {"ready", "lease"},
    "ingress-probe": {"status"},
    "http-probe": {"status"},
    "prometheus-query": {"at"},
    "soak": {"now"},
    "revisions-unused": {"pods"},
}
TRAFFIC = [each for each in PASSING if each[0].kind in ("success-rate", "latency", "new-connections")]


def spoiled(kind, tree, draw_index, value):
    """Replace one counted leaf of a reading; gives its path, None where it has none."""
    found = []

    def walk(node, path):
        if isinstance(node, dict):
            for key, inner in node.items():
                if key in COUNTS.get(kind, ()) and not isinstance(inner, dict | list):
                    found.append((node, key))
                walk(inner, (*path, key))
        elif isinstance(node, list):
            for each in node:
                walk(each, path)

    walk(tree, ())
    if not found:
        return None
    node, key = found[draw_index % len(found)]
    node[key] = value
    return key


def arbitrary(kind, rows):
    gate = GATES[kind]
    readings = [Reading(at=BEGAN, elapsed_s=float(n * 60), data=row) for n, row in enumerate(rows)]
    params = {name: default for name, (_, default, _) in gate.params.items() if default is not ...}
    found = gate.judge(readings, Terms(params=params, patience=gate.patience))
    assert isinstance(found, Verdict)
    assert found.answer is not Answer.SKIPPED


def missing_number(index, leaf, value):
    gate, readings, terms, _ = PASSING[index % len(PASSING)]
    data = copy.deepcopy(dict(readings[-1].data))
    if spoiled(gate.kind, data, leaf, value) is None:
        return
    last = Reading(at=readings[-1].at, elapsed_s=readings[-1].elapsed_s, data=data)
    found = gate.judge([*readings[:-1], last], terms)
    assert found.answer is not Answer.PASS, (gate.kind, data)


def too_few(index, share):
    """Counters that grew by less than what is needed never pass."""
    gate, readings, terms, _ = TRAFFIC[index % len(TRAFFIC)]
    small = type(terms.patience)(least=10**6, window_s=terms.patience.window_s)
    assert gate.judge(readings, Terms(params=terms.params, patience=small)).answer is Answer.UNKNOWN
    later = 10_000 * (1 + share)
    last = Reading(
        at=readings[-1].at + timedelta(seconds=later), elapsed_s=readings[0].elapsed_s + later, data=readings[-1].data
    )
    stale = [*readings[:-1], last]
    assert gate.judge(stale, terms).answer is Answer.UNKNOWN


def wrong_revision(revision, release):
    gate, readings, terms, _ = next(each for each in PASSING if each[3]["because"].startswith("1 pods on"))
    data = copy.deepcopy(dict(readings[-1].data))
    (pod,) = data["services"]["shop/cart"]["pods"]
    right = (pod["revision"], pod["release"])
    pod.update(revision=revision, release=release)
    found = gate.judge([Reading(at=BEGAN, elapsed_s=0.0, data=data)], terms)
    assert (found.answer is Answer.PASS) is ((revision, release) == right)


ROWS = st.lists(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=5), max_size=3)
ODDS = st.sampled_from([each for each in ODD if each is not True])
WORDS = st.sampled_from(["1-30", "1-3", "", None, "1-29", "1.30.3", "1.30.0"])
PROPERTIES = [
    (arbitrary, (st.sampled_from(sorted(GATES)), ROWS)),
    (missing_number, (st.integers(0, 999), st.integers(0, 999), ODDS)),
    (too_few, (st.integers(0, 999), st.floats(0, 1000))),
    (wrong_revision, (WORDS, WORDS)),
]


def run(holds, drawn, examples):
    settings(max_examples=examples, deadline=None, database=None)(given(*drawn)(holds))()


@pytest.mark.parametrize(("holds", "drawn"), PROPERTIES, ids=lambda each: getattr(each, "__name__", ""))
def test_thin_evidence_never_passes(holds, drawn):
    run(holds, drawn, 500)


@pytest.mark.sweep
@pytest.mark.parametrize(("holds", "drawn"), PROPERTIES, ids=lambda each: getattr(each, "__name__", ""))
def test_thin_evidence_never_passes_at_length(holds, drawn, covered):
    run(holds, drawn, 10_000)
    covered(f"gates: {holds.__name__}: 10000 examples")
