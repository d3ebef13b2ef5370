"""A real Prometheus, asked again: it still answers what the cases of the embedded one hold."""

from __future__ import annotations

import json

import pytest
import yaml
from prometheus import answered

from e2e.lab import config

PROGRAM = config.binary("prometheus", config.PROMETHEUS)
REMARKS = ("infos", "warnings")

pytestmark = pytest.mark.e2e


def bare(case):
    """Status and reply without remarks; rows in the order of their labels, which the server does not promise."""
    reply = case["reply"]
    if not isinstance(reply, dict):
        return case["status"], reply
    found = {key: each for key, each in reply.items() if key not in REMARKS}
    rows = found["data"].get("result") if isinstance(found.get("data"), dict) else None
    if isinstance(rows, list) and rows and isinstance(rows[0], dict):
        found["data"] = {**found["data"], "result": sorted(rows, key=lambda row: sorted(row["metric"].items()))}
    return case["status"], json.loads(json.dumps(found))


@pytest.mark.skipif(not PROGRAM.is_file(), reason="the lab has not built Prometheus: python -m e2e.lab build")
def test_the_recorded_answers_are_those_of_a_real_prometheus():
    count = 0
    for path, found in answered(PROGRAM.parent).items():
        kept = yaml.safe_load(path.read_text("utf-8"))["cases"]
        for case, now in zip(kept, found["cases"], strict=True):
            assert bare(now) == bare(case), case["ask"]
            count += 1
    assert count >= 287
