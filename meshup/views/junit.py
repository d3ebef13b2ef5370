"""A run as JUnit XML: one case per step and per gate; unknown is a failure, skipped is skipped with its reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from meshup.model.events import Outcome, StepReached
from meshup.model.journal import Judgement
from meshup.model.problem import Exit
from meshup.model.text import amount, clean

FINE = (Exit.DONE, Exit.WAITING)
BADNESS = {"failure": "failures", "error": "errors", "skipped": "skipped"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case. word: "" = passed, failure, error or skipped. sort: of a failure. out: what was seen."""

    name: str
    sort_of: str
    word: str = ""
    sort: str = ""
    because: str = ""
    out: str = ""
    took_s: float = 0.0


def junit(outcome: Outcome) -> str:
    """Give one suite per place: its steps, then its gates.

    Red exactly where the exit code is: a run that neither is done nor waits has a failure or an error in it, if need be
    one that stands for the run itself; a run that waits has that as a skipped case.
    """
    suites: dict[str, list[Case]] = {place: [] for place, _ in outcome.places}
    for step in outcome.steps:
        suites.setdefault(step.place, []).append(_of_step(step, outcome))
    for each in outcome.judgements:
        suites.setdefault(each.place, []).append(_of_gate(each, outcome))
    bad = any(case.word in ("failure", "error") for cases in suites.values() for case in cases)
    if (outcome.exit and not bad) or not any(suites.values()):
        suites.setdefault(outcome.stopped or "run", []).append(_of_run(outcome))
    suites = {place: cases for place, cases in suites.items() if cases}
    whole = [case for cases in suites.values() for case in cases]
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f"<testsuites name={_attr('meshup ' + outcome.plan)}{_counts(whole)}>",
    ]
    for place, cases in suites.items():
        lines += [
            f"  <testsuite name={_attr(place)}{_counts(cases)}>",
            *(line for each in cases for line in _lines(each)),
        ]
        lines.append("  </testsuite>")
    return "\n".join([*lines, "</testsuites>"])


def _of_step(step: StepReached, outcome: Outcome) -> Case:
    out = f"{step.done} of {amount(step.changes, 'change')} done, {step.wrote} written"
    word, because = "", ""
    if step.how in ("undone", "undoing"):
        word, because = "skipped", "its place was taken back" if step.how == "undone" else "is being undone"
    elif step.done < step.changes and step.place == outcome.stopped and not step.how and outcome.exit not in FINE:
        word, because = "failure", outcome.why
    elif step.done < step.changes:
        word, because = "skipped", "not finished" if step.done else "not begun"
    name = f"{step.place}/{step.step}"
    return Case(name=name, sort_of="step", word=word, sort="stopped", because=because, out=out)


def _of_gate(each: Judgement, outcome: Outcome) -> Case:
    """Give a gate's case. What a run waits for, such as an approval, is no failure."""
    verdict = each.judged.verdict
    word = {"fail": "failure", "unknown": "failure", "skipped": "skipped"}.get(verdict.answer.word, "")
    if word == "failure" and outcome.exit in FINE:
        word = "skipped"
    return Case(
        name=each.judged.gate,
        sort_of=each.judged.kind,
        word=word,
        sort=verdict.answer.word,
        because=verdict.because,
        out=verdict.because,
        took_s=each.judged.waited_s,
    )


def _of_run(outcome: Outcome) -> Case:
    word = "" if outcome.exit == Exit.DONE else "skipped" if outcome.exit in FINE else "error"
    sort = outcome.code or f"exit {outcome.exit}"
    return Case(name="run", sort_of="run", word=word, sort=sort, because=outcome.why, out=outcome.kept)


def _counts(cases: list[Case]) -> str:
    count: Mapping[str, int] = {key: sum(each.word == word for each in cases) for word, key in BADNESS.items()}
    return f' tests="{len(cases)}"' + "".join(f' {key}="{number}"' for key, number in count.items())


def _lines(case: Case) -> Iterator[str]:
    yield f'    <testcase name={_attr(case.name)} classname={_attr(case.sort_of)} time="{case.took_s:.1f}">'
    if case.word == "skipped":
        yield f"      <skipped message={_attr(case.because)}/>"
    elif case.word:
        yield f"      <{case.word} type={_attr(case.sort)} message={_attr(case.because)}></{case.word}>"
    yield f"      <system-out>{escape(clean(case.out))}</system-out>"
    yield "    </testcase>"


def _attr(text: str) -> str:
    return quoteattr(clean(text))
