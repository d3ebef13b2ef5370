"""Rules of a runbook in words: "when METRIC ANSWER then ACT". A closed vocabulary without code, read and checked here."""

from __future__ import annotations

import re

from meshup.model.canary import METRICS, Act, Rule
from meshup.model.verdict import Answer

ANY = "any"
WORDS = re.compile(
    r"when (?P<when>\S+) (?:(?P<answer>pass|unknown|fail)|above (?P<above>\S+)) then (?P<then>promote|slow|hold|roll back)"
)
FORM = '"when METRIC pass|unknown|fail|above NUMBER then promote|slow|hold|roll back"'


def read(text: str) -> Rule:
    """Read one rule. Raises ValueError for words that are none, and for a rule that is bolder than the evidence."""
    found = WORDS.fullmatch(text.strip())
    if found is None:
        raise ValueError(f'"{text}" is no rule; one is written as {FORM}')
    above = None
    if found["above"] is not None:
        try:
            above = float(found["above"])
        except ValueError as odd:
            raise ValueError(f'"{found["above"]}" is no number') from odd
    made = Rule(
        when=found["when"],
        then=next(each for each in Act if each.word == found["then"]),
        answer=Answer[found["answer"].upper()] if found["answer"] else None,
        above=above,
    )
    why = wrong(made)
    if why:
        raise ValueError(f'"{text}": {why}')
    return made


def said(rule: Rule) -> str:
    """Write a rule as a runbook does."""
    what = rule.answer.word if rule.answer is not None else f"above {rule.above:g}"
    return f"when {rule.when} {what} then {rule.then.word}"


def wrong(rule: Rule) -> str:
    """Say what is wrong with a rule, "" when nothing is: a rule may be more careful than the usual, never bolder.

    Unknown never promotes or slows, since both go on; fail may hold instead of going back, but never goes on.
    """
    if rule.when != ANY and rule.when not in METRICS:
        return f"{rule.when} is no metric: {ANY}, {', '.join(METRICS)}"
    if (rule.answer is None) is (rule.above is None):
        return "a rule takes an answer or a value above which it acts: one of the two"
    if rule.above is not None:
        if rule.when == ANY:
            return "a value belongs to one metric"
        if rule.above - rule.above != 0 or rule.above < 0:
            return f"{rule.above} is no bound"
        return (
            "promote needs an answer: a value above a bound is no reason to go on" if rule.then is Act.PROMOTE else ""
        )
    if rule.answer is Answer.SKIPPED:
        return "a skip is no reason to act"
    if rule.answer in (Answer.UNKNOWN, Answer.FAIL) and rule.then < Act.HOLD:
        return f"{rule.answer.word} never goes on: hold or roll back"
    return ""
