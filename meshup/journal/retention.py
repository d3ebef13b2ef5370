"""Pins that are over go after their time, and only as they stand in an export."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from meshup.cluster.errors import Conflict, MaybeDone, NotFound
from meshup.cluster.ports import Reader, Writer
from meshup.journal.export import Export, key_of, state_of
from meshup.journal.gather import line_of, relied_on, served
from meshup.journal.ledger import is_open
from meshup.journal.once import TRIES
from meshup.journal.pin import KIND, from_body, ref_of_copy, ref_of_pin
from meshup.model.exports import MOST, STAY_S, Due, Retention
from meshup.model.holds import HoldAt, resting
from meshup.model.ledger import Pin
from meshup.model.objects import Object, Ref, dig


def due(
    cluster: Reader,
    found: Export,
    *,
    path: str,
    now: datetime,
    at: HoldAt,
    stay_s: float = STAY_S,
    most: int = MOST,
) -> Retention:
    """Say which pins go: over for longer than `stay_s`, or more than `most` newer ones are over too. Writes nothing.

    found: an export that was checked. One that is not in it as it is now stays, and so does one that the verdict on a
    release rests on, as `at` has it: a hold is lifted by time and by the platform owner, never by who tidies up.
    """
    known = relied_on(cluster, served(cluster, KIND))
    over = sorted(((pin, body) for pin, body in known if not is_open(pin)), key=lambda each: _ended(each[0]))
    before = now - timedelta(seconds=stay_s)
    old = [each for which, each in enumerate(over) if _ended(each[0])[0] <= before or which < len(over) - most]
    needed = resting((pin for pin, _ in known), now=now, at=at)
    going, left, rested = [], [], []
    for pin, body in old:
        line, why = _in(found, pin, body)
        if (pin.namespace, pin.name) in needed:
            rested.append((pin, needed[pin.namespace, pin.name]))
        elif why:
            left.append((pin, why))
        else:
            going.append(Due(pin=pin, line=line))
    return Retention(
        path=path,
        going=tuple(going),
        left=tuple(left),
        resting=tuple(rested),
        over=len(over),
        open=len(known) - len(over),
        stay_s=stay_s,
        most=most,
        window_s=at.window_s,
        at=now,
    )


def _ended(pin: Pin) -> tuple[datetime, str, str]:
    return pin.closed_at or pin.until, pin.namespace, pin.name


def _in(found: Export, pin: Pin, body: Object) -> tuple[str, str]:
    """Give (hash of the line that holds a record as it is now, why it is in none)."""
    fields = line_of(body, KIND, trust=pin.trust)
    key = key_of(fields)
    if key not in found.states:
        return "", "it is not in the export"
    if found.states[key] != state_of(fields):
        return "", "it changed since the export"
    return found.hashes[key], ""


def let_go(cluster: Writer, going: tuple[Due, ...]) -> Iterator[tuple[Due, str]]:
    """Mark each with the line that holds it, then delete it, by UID, its copy first. Yields (pin, why it stays, "" = gone).

    Safe to repeat: what is marked and still there goes the next time.
    """
    for each in going:
        yield each, _let_go(cluster, each)


def _let_go(cluster: Writer, due: Due) -> str:
    # The other way round, a copy that stayed behind would be taken for a pin whose namespace is gone.
    copy = "" if due.pin.copied else _gone(cluster, ref_of_copy(due.pin), due)
    return copy or _gone(cluster, ref_of_pin(due.pin), due)


def _gone(cluster: Writer, ref: Ref, due: Due) -> str:
    for _ in range(TRIES):
        there = cluster.find(ref)
        if there is None:
            return ""
        now = from_body(there)
        if now.uid != due.pin.uid:
            return "another pin has its name now" if ref == ref_of_pin(due.pin) else ""
        if is_open(now):
            return f"it is {now.phase}"
        version = str(dig(there, "metadata", "resourceVersion"))
        try:
            if now.exported != due.line:
                marked = cluster.update_status(ref, {"exported": due.line}, resource_version=version)
                version = str(dig(marked, "metadata", "resourceVersion"))
            cluster.delete(ref, uid=str(dig(there, "metadata", "uid")), resource_version=version)
        except NotFound:
            return ""
        except (Conflict, MaybeDone):
            continue
        return ""
    return "somebody else keeps changing it"
