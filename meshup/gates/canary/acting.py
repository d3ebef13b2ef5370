"""What the rules of a wave make of findings: promote, slow, hold or roll back."""

from __future__ import annotations

from collections.abc import Sequence

from meshup.model.canary import Act, Decision, Finding, Rule
from meshup.model.rules import ANY, wrong
from meshup.model.verdict import Answer

USUAL: tuple[Rule, ...] = (
    Rule(when=ANY, answer=Answer.PASS, then=Act.PROMOTE),
    Rule(when=ANY, answer=Answer.UNKNOWN, then=Act.HOLD),
    Rule(when=ANY, answer=Answer.FAIL, then=Act.ROLL_BACK),
)
"""What stands where the runbook says nothing about an answer."""


def decide(rules: Sequence[Rule], findings: Sequence[Finding]) -> Decision:
    """Give the most careful act that any finding calls for; without a finding that passes it is hold.

    A finding takes the rules that match it: its metric, and its answer or a value above the bound. An answer that no rule
    of the runbook takes acts as USUAL says. Rules that `wrong` refuses are left aside. Never raises.
    """
    good = [rule for rule in rules if not wrong(rule)]
    asked: list[tuple[Act, Rule, Finding]] = []
    for finding in findings:
        own = [rule for rule in good if _takes(rule, finding)]
        if not any(rule.answer is not None for rule in own):
            own += [rule for rule in USUAL if _takes(rule, finding)] or [USUAL[1]]
        asked += [(rule.then, rule, finding) for rule in own]
    if not asked:
        return Decision(act=Act.HOLD, because="nothing was judged; nothing seen is not a pass")
    act = max(each for each, _, _ in asked)
    if act < Act.HOLD and not any(finding.answer is Answer.PASS for finding in findings):
        return Decision(act=Act.HOLD, because="nothing passed", findings=tuple(findings))
    those = [(rule, finding) for each, rule, finding in asked if each is act]
    rule, finding = those[0]
    why = rule.answer.word if rule.answer is not None else f"above {rule.above:g}"
    return Decision(
        act=act,
        because=f"{finding.metric} {why}: {finding.because}",
        rules=tuple(dict.fromkeys(each for each, _ in those)),
        findings=tuple(dict.fromkeys(each for _, each in those)),
    )


def _takes(rule: Rule, finding: Finding) -> bool:
    if rule.when not in (ANY, finding.metric):
        return False
    if rule.answer is not None:
        return rule.answer is finding.answer
    value = finding.canary
    return finding.by != "rule" and rule.above is not None and value is not None and value > rule.above
