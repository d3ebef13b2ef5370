"""What CI systems read beside the exit code: step outputs and annotations."""

from __future__ import annotations

from meshup.model.events import Outcome
from meshup.views.run import summary_markdown, worst

MOST_ANNOTATIONS = 10


def dotenv(outcome: Outcome) -> str:
    """Give KEY=value lines: changed, stage, verdict, plan id, exit."""
    bad = worst(outcome)
    values = {
        "MESHUP_CHANGED": str(outcome.written > 0).lower(),
        "MESHUP_STAGE": outcome.stopped,
        "MESHUP_VERDICT": bad.judged.verdict.answer.word if bad else "pass",
        "MESHUP_PLAN_ID": outcome.plan,
        "MESHUP_EXIT": str(outcome.exit),
    }
    return "\n".join(f"{key}={value}" for key, value in values.items())


def github(outcome: Outcome) -> str:
    """Give a step summary in Markdown, then at most 10 annotations as workflow commands, worst first."""
    bad = sorted(
        (each for each in outcome.judgements if each.judged.verdict.answer.word in ("fail", "unknown")),
        key=lambda each: -each.judged.verdict.answer,
    )
    lines = [summary_markdown(outcome)]
    for each in bad[:MOST_ANNOTATIONS]:
        text = each.judged.verdict.because.replace("%", "%25").replace("\n", "%0A")
        lines.append(f"::error title={each.judged.gate}::{text}")
    if len(bad) > MOST_ANNOTATIONS:
        lines.append(f"::notice::+{len(bad) - MOST_ANNOTATIONS} more")
    return "\n".join(lines)
