"""The canary judgement on evidence that is written down: what passes, what blocks, what is unknown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from looking import ASKED, arm, look, sample, terms

from meshup.gates.canary.judge import findings, verdict
from meshup.model.canary import METRICS, Asked

FOLDER = Path(__file__).parent.parent / "cases" / "canary"
CASES = {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.yaml"))}


def row(each, number):
    """One sample: metric, view, n and share per look; control and canary may have their own; probes: synthetic."""
    metric = each["metric"]
    arms = []
    for word in ("control", "canary"):
        own = each.get(word, {})
        if own is None:
            arms.append(None)
            continue
        said = {"n": each.get("n", 1000), "share": each.get("share", 0.0), **own}
        at = own.get("only-look")
        counted = 1 if at is not None and number >= at else 0 if at is not None else number
        made = arm(metric, number, n=said["n"], share=said["share"], level=said.get("level", 1.0))
        if at is not None:
            made = replace(made, bad=float(said["n"] * said["share"] * counted))
        if "slow" in said:
            every = made.counts[-1]
            fast = every * (1 - said["slow"])
            made = replace(made, counts=(*(min(count, fast) for count in made.counts[:-1]), every))
        if "points" in said:
            made = replace(made, values=tuple(said["points"]))
        arms.append(made)
    return sample(metric, *arms, each.get("view", ""), synthetic=each.get("probes", False))


def played(case):
    """Give (looks, terms) of a case."""
    services = case.get("services") or {"shop/cart": case.get("samples", [])}
    looks = []
    for number in range(1, case.get("looks", 4) + 1):
        found = look(number, [], services=tuple(services), every=case.get("every", 60.0))
        pairs = tuple(
            replace(pair, samples=tuple(row(each, number) for each in services[pair.service])) for pair in found.pairs
        )
        looks.append(replace(found, pairs=pairs))
    changed = dict(case.get("terms", {}))
    asked = tuple(Asked(**{**_fields(ASKED[name]), **(own or {})}) for name, own in case["asked"].items())
    for key in ("pooled", "low"):
        changed[key] = frozenset(changed.get(key, ()))
    return looks, replace(terms(), wave=tuple(services), asked=asked, **changed)


def _fields(asked):
    return {name: getattr(asked, name) for name in Asked.__slots__}


@pytest.mark.parametrize("name", CASES)
def test_the_judge_says_what_its_case_says(name):
    case = CASES[name]
    looks, settings = played(case)
    found = findings(looks, settings)
    said = verdict(found, settings)
    wanted = case["verdict"]
    assert said.answer.word == wanted["answer"], said.because
    assert wanted["because"] in said.because
    assert "missing" not in wanted or said.missing == wanted["missing"]
    for each in wanted.get("findings", ()):
        words = [(one.metric, one.view, one.answer.word, one.by) for one in found]
        assert (each["metric"], each.get("view", ""), each["answer"], each["by"]) in words, words


def test_every_metric_has_cases_that_pass_that_block_and_that_are_unknown():
    there = {}
    for case in CASES.values():
        if len(case["asked"]) == 1:
            (metric,) = case["asked"]
            there.setdefault(metric, set()).add(case["verdict"]["answer"])
    assert there == {metric: {"pass", "fail", "unknown"} for metric in METRICS}


def test_every_case_states_its_rule():
    assert [name for name, case in CASES.items() if len(case.get("rule", "")) < 20] == []
    assert len({case["rule"] for case in CASES.values()}) == len(CASES)
