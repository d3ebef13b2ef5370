"""Records of the ledger as evidence: owners of the wave's services who went back from the release since the wave began."""

from __future__ import annotations

from collections.abc import Sequence

from meshup.gates.gate import Eyes
from meshup.journal.ledger import both, is_open
from meshup.model.canary import Finding
from meshup.model.ledger import Pin
from meshup.model.text import amount, clean
from meshup.model.verdict import Answer

METRIC = "rollbacks"


def went_back(eyes: Eyes) -> list[list[str]]:
    """Give [service, what its owner did] of every pin that was made since the wave began and is in effect.

    It counts by where it leads: half-way a service still runs, and its pin is from, the release that the wave leaves. One
    that can't be read may be one more: it is named as well. Raises what a list raises.
    """
    began = eyes.first.at if eyes.first is not None else eyes.since
    members = _members(eyes)
    pins, odd = both(eyes.cluster)
    found = [
        [f"{each.namespace}/{each.service}", _said(each)]
        for each in pins
        if is_open(each)
        and each.to_release != eyes.book.mesh.release
        and f"{each.namespace}/{each.service}" in members
        and began is not None
        and (each.created or each.since).timestamp() >= int(began.timestamp())
    ]
    return found + [[name, f"MeshPin {name} can't be read, and may be of somebody who went back"] for name in odd]


def _members(eyes: Eyes) -> set[str]:
    """Give the services of the wave, those whose owners have left it since among them."""
    name = eyes.place.partition("/")[2]
    found = {service for wave in eyes.book.waves if wave.name == name for service in wave.services}
    return found | {each.id for each in eyes.services}


def _said(pin: Pin) -> str:
    to = pin.to_release or "none"
    return f"{clean(pin.asker, limit=80)} took it back to {to}: {clean(pin.reason, limit=160)}"


def findings(away: Sequence[Sequence[str]], *, most: int) -> tuple[Finding, ...]:
    """Hold what owners went back from: one finding each, once they are more than so many. Never a pass."""
    if len(away) <= most:
        return ()
    after = f"since the wave began; {amount(len(away), 'owner')} went back, at most {most} may"
    return tuple(
        Finding(
            service=str(service),
            metric=METRIC,
            view="",
            answer=Answer.UNKNOWN,
            because=f"{service}: {clean(said, limit=300)}, {after}",
            by="rule",
            n=float(len(away)),
        )
        for service, said in away
    )
