"""Who was compared with whom at the newest look of a gate: pods of both revisions and what callers sent them, for JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from meshup.model.sampled import read
from meshup.model.samples import OWN, Counts, Look, Sample
from meshup.model.verdict import Judged

ARMS = ("control", "canary")


def arms(judged: Judged) -> list[dict[str, Any]]:
    """Give a row per service and arm; [] of a gate that compares nothing, or has compared nothing yet.

    requests, failed: since the comparison began, as callers tell them, or as the service's own proxies do where no caller
    does (seen_by); null where the evidence holds no number.
    """
    data = judged.readings[-1].data if judged.readings else {}
    if "pairs" not in data or "about" not in data:
        return []
    try:
        return list(_rows(read(data)))
    except ValueError:
        return []


def _rows(look: Look) -> Iterator[dict[str, Any]]:
    for pair in look.pairs:
        samples = [each for each in pair.samples if each.metric == "errors"]
        callers = [each for each in samples if each.view != OWN and any(_called(each, arm) for arm in ARMS)]
        for arm in ARMS:
            found = [_counts(each, arm) for each in callers or samples]
            pods = pair.control if arm == "control" else pair.canary
            yield {
                "service": pair.service,
                "arm": arm,
                "revision": next((each.revision for each in pods), ""),
                "pods": [each.name for each in pods],
                "requests": _sum([each.n for each in found if each is not None]),
                "failed": _sum([each.bad for each in found if each is not None]),
                "seen_by": sorted(each.view for each in callers) or [pair.service],
            }


def _called(sample: Sample, arm: str) -> bool:
    """Tell whether a caller called an arm, or may have: a figure that is no number is no silence."""
    found = _counts(sample, arm)
    return found is not None and found.n != 0


def _counts(sample: Sample, arm: str) -> Counts | None:
    found = sample.control if arm == "control" else sample.canary
    return found if isinstance(found, Counts) else None


def _sum(several: list[float | None]) -> int | None:
    if not several or any(each is None or each - each != 0 for each in several):
        return None
    return round(sum(each for each in several if each is not None))
