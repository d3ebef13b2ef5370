"""The operating characteristic of the judge, for people and for programs."""

from __future__ import annotations

from typing import Any

from meshup.model.characteristic import Characteristic, Trial
from meshup.model.text import amount
from meshup.views.documents import document
from meshup.views.table import columns, folded

SIMULATED = "simulated: counts made of seeded chance, judged as a canary gate judges; no proxy was asked"


def text(found: Characteristic, *, width: int) -> str:
    """Show how often the judge stopped what is good, and missed what is bad."""
    rollouts = found.trials[0].runs if found.trials else 0
    each = f"{amount(found.waves, 'wave')}, {amount(found.services, 'service')}, {amount(found.looks, 'look')} a wave"
    about = (
        f"judged {amount(rollouts, 'rollout')} from seed {found.seed}: {each}, {amount(len(found.metrics), 'metric')}"
    )
    rows = [
        (
            each.what,
            f"{each.hits} of {each.runs} {each.word}",
            f"{each.share:.2%}",
            _bound(each),
            "yes" if each.is_kept else "NO",
        )
        for each in found.trials
    ]
    went = f"went through {found.passed}, wanted more data {found.held}, stopped {rollouts - found.passed - found.held}"
    lines = [
        folded(about, width=width),
        columns(rows, header=("release", "the judge", "share", "promised", "kept"), width=width),
        folded(f"good      {went}", width=width),
    ]
    caught = next((each for each in found.trials if each.median), None)
    if caught is not None:
        lines.append(
            folded(f"caught    after {caught.median} requests of each arm in the middle: {caught.what}", width=width)
        )
    lines.append(folded(f"note      {SIMULATED}", width=width))
    lines.append("Next      meshup explain canary")
    return "\n".join(lines)


def _bound(trial: Trial) -> str:
    return f"at {'least' if trial.at_least else 'most'} {trial.bound:.0%}"


def as_document(found: Characteristic) -> dict[str, Any]:
    """Give the same as JSON."""
    return document(
        "rehearse-judge",
        seed=found.seed,
        services=found.services,
        waves=found.waves,
        looks=found.looks,
        metrics=list(found.metrics),
        passed=found.passed,
        held=found.held,
        trials=[
            {
                "release": each.what,
                "word": each.word,
                "runs": each.runs,
                "hits": each.hits,
                "share": each.share,
                "bound": each.bound,
                "at_least": each.at_least,
                "kept": each.is_kept,
                "median_requests": each.median,
            }
            for each in found.trials
        ],
    )
