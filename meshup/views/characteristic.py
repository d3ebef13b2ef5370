"""The operating characteristic of the judge, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from meshup.model.characteristic import Characteristic, Trial, Whole
from meshup.model.text import amount, clean
from meshup.views.documents import document
from meshup.views.table import columns, folded

PLAYED = "in memory, from the first install to the end of an upgrade, each wave of it held half-way and compared"
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
    if found.whole is not None:
        lines += [folded(each, width=width) for each in _whole(found.whole)]
    lines.append(folded(f"note      {SIMULATED}", width=width))
    lines.append("Next      meshup explain canary")
    return "\n".join(lines)


def _whole(found: Whole) -> Iterator[str]:
    """Say how the rollouts that were played whole ended, and what users had."""
    ended = f"went through {found.through}, held {found.held}, stopped {found.runs - found.through - found.held}"
    yield f"whole     {PLAYED}: {ended}"
    yield (
        f"users     {found.requests} requests in {found.seconds / 3600:.0f} h of virtual time: {found.failed} failed, "
        f"{found.failed - found.usual} because of a rollout"
    )
    for each in found.costs:
        slowed = f" and {each.slowed} slowed" if each.slowed else ""
        yield (
            f"cost      {each.what}: {each.failed} failed{slowed} of {each.requests} user requests to its pods, in the middle"
        )
    for why in found.why:
        yield f"ended     {clean(why)}"


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
        whole=_whole_document(found.whole) if found.whole is not None else None,
    )


def _whole_document(found: Whole) -> dict[str, Any]:
    return {
        "runs": found.runs,
        "through": found.through,
        "held": found.held,
        "seconds": round(found.seconds, 3),
        "requests": found.requests,
        "failed": found.failed,
        "usual": found.usual,
        "why": [clean(each) for each in found.why],
        "costs": [
            {"release": each.what, "requests": each.requests, "failed": each.failed, "slowed": each.slowed}
            for each in found.costs
        ],
    }
