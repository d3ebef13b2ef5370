"""Rules: a closed vocabulary in which nothing is bolder than the evidence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshup.gates.canary.acting import decide
from meshup.model.canary import METRICS, Act, Finding, Rule
from meshup.model.rules import ANY, wrong
from meshup.model.verdict import Answer

PASS, UNKNOWN, FAIL = Answer.PASS, Answer.UNKNOWN, Answer.FAIL


def finding(answer=PASS, metric="errors", value=0.0, by="comparison"):
    return Finding(service="shop/cart", metric=metric, view="", answer=answer, because="so it is", by=by, canary=value)


RULES = st.builds(
    Rule,
    when=st.sampled_from([ANY, *METRICS, "goodness"]),
    then=st.sampled_from(Act),
    answer=st.none() | st.sampled_from(Answer),
    above=st.none() | st.floats(),
)
FINDINGS = st.builds(
    finding,
    answer=st.sampled_from([PASS, UNKNOWN, FAIL]),
    metric=st.sampled_from(sorted(METRICS)),
    value=st.none() | st.floats(0, 1),
    by=st.sampled_from(["comparison", "limit", "rule", "probes"]),
)


@pytest.mark.parametrize(
    ("found", "act"),
    [
        ((finding(PASS),), Act.PROMOTE),
        ((finding(PASS), finding(UNKNOWN)), Act.HOLD),
        ((finding(PASS), finding(UNKNOWN), finding(FAIL)), Act.ROLL_BACK),
        ((), Act.HOLD),
    ],
)
def test_without_rules_pass_promotes_unknown_holds_and_fail_rolls_back(found, act):
    assert decide((), found).act is act


def test_a_rule_may_be_more_careful_than_the_usual():
    slow = Rule(when="latency", answer=PASS, then=Act.SLOW)
    assert decide((slow,), (finding(metric="latency"), finding())).act is Act.SLOW
    back = Rule(when="errors", answer=UNKNOWN, then=Act.ROLL_BACK)
    assert decide((back,), (finding(UNKNOWN),)).act is Act.ROLL_BACK
    hold = Rule(when="cpu", answer=FAIL, then=Act.HOLD)
    said = decide((hold,), (finding(FAIL, metric="cpu"), finding()))
    assert (said.act, said.rules) == (Act.HOLD, (hold,))
    assert said.because == "cpu fail: so it is"


def test_a_value_above_its_bound_acts_beside_the_answers():
    rule = Rule(when="errors", above=0.002, then=Act.SLOW)
    assert decide((rule,), (finding(value=0.003),)).act is Act.SLOW
    assert decide((rule,), (finding(value=0.002),)).act is Act.PROMOTE
    assert decide((rule,), (finding(FAIL, value=0.003),)).act is Act.ROLL_BACK
    assert decide((rule,), (finding(UNKNOWN, value=0.003, by="rule"),)).rules[0].above is None


@pytest.mark.parametrize(
    "rule",
    [
        Rule(when="errors", answer=UNKNOWN, then=Act.PROMOTE),
        Rule(when="errors", answer=UNKNOWN, then=Act.SLOW),
        Rule(when=ANY, answer=FAIL, then=Act.PROMOTE),
        Rule(when=ANY, answer=FAIL, then=Act.SLOW),
        Rule(when=ANY, answer=Answer.SKIPPED, then=Act.HOLD),
        Rule(when="goodness", answer=PASS, then=Act.PROMOTE),
        Rule(when="errors", then=Act.HOLD),
        Rule(when="errors", answer=PASS, above=0.1, then=Act.HOLD),
        Rule(when=ANY, above=0.1, then=Act.HOLD),
        Rule(when="errors", above=0.1, then=Act.PROMOTE),
        Rule(when="errors", above=float("nan"), then=Act.HOLD),
        Rule(when="errors", above=-1.0, then=Act.HOLD),
    ],
)
def test_a_rule_that_is_bolder_or_says_nothing_is_refused(rule):
    assert wrong(rule)
    for answer in (UNKNOWN, FAIL):
        assert decide((rule,), (finding(answer),)).act >= Act.HOLD


@given(st.lists(RULES, max_size=6), st.lists(FINDINGS, max_size=5))
def test_no_rules_go_on_without_evidence(rules, found):
    said = decide(rules, found)
    if any(each.answer is not PASS for each in found) or not found:
        assert said.act >= Act.HOLD
    assert said.act >= decide((), [each for each in found if each.answer is PASS] if found else ()).act or found == []
    assert said.because


@given(st.lists(RULES, max_size=6), st.lists(FINDINGS, min_size=1, max_size=5))
def test_the_order_of_findings_decides_nothing(rules, found):
    assert decide(rules, found).act is decide(rules, found[::-1]).act is decide(rules[::-1], found).act
