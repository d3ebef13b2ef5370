"""How a runbook fared against a release that is bad in a known way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from meshup.model.text import clean
from meshup.model.trial import Suffered, Trial
from meshup.views.spans import span


def tried(found: Trial) -> list[str]:
    """Give what was bad, what caught it, and what it cost users, one line each."""
    lines = [f"bad       {release}: {kind}{f', {values}' if values else ''}" for release, kind, values in found.bad]
    if found.is_caught:
        by = found.gate or "a limit of the run"
        lines.append(f"caught    by {by} at {found.place}, after {_cost(found.at)}: {clean(found.because)}")
        lines.append(f"          {_cost(found.in_all)} until its pods were gone, or the run held")
    else:
        lines.append(f"missed    not caught by any gate of this runbook; {_cost(found.at)} until it ended")
        lines.append(f"          {_cost(found.in_all)} until {span(found.watched_s)} later")
    return lines


def _cost(suffered: Suffered) -> str:
    slowed = f" and {suffered.slowed} slowed" if suffered.slowed else ""
    return f"{suffered.failed} failed{slowed} of {suffered.requests} user requests to its pods"


def as_document(found: Trial) -> Mapping[str, Any]:
    """Give the same as JSON."""
    return {
        "bad": [{"release": release, "kind": kind, "values": values} for release, kind, values in found.bad],
        "caught": found.is_caught,
        "gate": found.gate,
        "place": found.place,
        "because": clean(found.because),
        "watched_s": round(found.watched_s, 3),
        "at": _counts(found.at),
        "in_all": _counts(found.in_all),
    }


def _counts(suffered: Suffered) -> Mapping[str, int]:
    return {"requests": suffered.requests, "failed": suffered.failed, "slowed": suffered.slowed}
