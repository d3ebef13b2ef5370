"""Verdicts as JUnit XML: one case per gate; unknown is a failure, skipped is skipped with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from meshup.model.journal import Judgement


def junit(judgements: Sequence[Judgement], *, name: str) -> str:
    """Give one test suite per place. name: of the whole, usually the plan's id."""
    places: dict[str, list[Judgement]] = {}
    for each in judgements:
        places.setdefault(each.place, []).append(each)
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f"<testsuites name={quoteattr(name)}>"]
    for place, several in places.items():
        bad = sum(each.judged.verdict.answer.word in ("fail", "unknown") for each in several)
        skipped = sum(each.judged.verdict.answer.word == "skipped" for each in several)
        lines.append(
            f'  <testsuite name={quoteattr(place)} tests="{len(several)}" failures="{bad}" skipped="{skipped}">'
        )
        for each in several:
            lines += _case(each)
        lines.append("  </testsuite>")
    return "\n".join([*lines, "</testsuites>"])


def _case(each: Judgement) -> list[str]:
    judged = each.judged
    because = judged.verdict.because
    head = (
        f'    <testcase name={quoteattr(judged.gate)} classname={quoteattr(judged.kind)} time="{judged.waited_s:.1f}">'
    )
    match judged.verdict.answer.word:
        case "fail" | "unknown" as word:
            inside = [f"      <failure type={quoteattr(word)} message={quoteattr(because)}></failure>"]
        case "skipped":
            inside = [f"      <skipped message={quoteattr(because)}/>"]
        case _:
            inside = []
    return [head, *inside, f"      <system-out>{escape(because)}</system-out>", "    </testcase>"]
