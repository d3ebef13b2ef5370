"""Where things stand: the run, who runs what, and pins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from meshup.model.ledger import Pin
from meshup.model.standing import PlaceStanding, Rehearsal, RunStanding, Standing
from meshup.model.text import clean
from meshup.views.documents import document
from meshup.views.failing import failed, failing_document, seen, witness_document
from meshup.views.run import ending, outcome_document
from meshup.views.spans import bounds, day, moment_text, span
from meshup.views.table import amount, columns, folded
from meshup.views.trial import as_document as trial_document
from meshup.views.trial import tried

NONE = "none"


def _release(value: str) -> str:
    return clean(value) or NONE


def _date(value: datetime | None) -> str:
    return day(value) if value is not None else "-"


def status(found: Standing, *, width: int) -> str:
    """Show the run, its places, and who runs what."""
    where = f"{clean(found.context or 'this cluster')} (id {found.cluster_uid[:8]}..., server {clean(found.server)})"
    lines = [folded(f"cluster   {where} as {clean(found.user)}", width=width)]
    lines += _run(found.run, width=width) if found.run is not None else ["run       none so far"]
    if found.holder:
        lines.append(f"lock      {clean(found.holder)}")
    if found.revisions:
        lines.append(
            "revisions "
            + ", ".join(f"{clean(revision)} ({clean(release) or 'unknown'})" for revision, release in found.revisions)
        )
    rows = []
    for each in found.services:
        runs = ", ".join(f"{_release(release)} x{pods}" for release, pods in each.running.releases) or "no pods"
        mark = "-" if not each.running.releases else "yes" if each.is_right else "no"
        rows.append(
            (
                f"{each.running.namespace}/{clean(each.running.service)}",
                clean(each.running.owner) or "unknown",
                runs,
                mark,
                ", ".join(filter(None, (each.wave, clean(each.word)))) or "-",
                clean(each.pinned) + (" OVERDUE" if each.overdue else "") if each.pinned else "-",
            )
        )
    if found.by:
        other = f"wanted    as runbook {clean(found.by)} of the newest run says ({clean(found.release)}); -f FILE asks another"
        lines.append(folded(other, width=width))
    if rows:
        lines.append(columns(rows, header=("service", "owner", "runs", "as wanted", "wave", "pinned"), width=width))
    lines.append(f"Next      {found.next}")
    return "\n".join(lines)


def _run(run: RunStanding, *, width: int) -> list[str]:
    how = f"{run.word} through {run.through}, as asked" if run.left and run.word == "finished" else run.word
    lines = [
        folded(
            f"run       {run.run} {how}: {run.kind} of plan {run.plan[7:15]} by {clean(run.user)} since {run.started_at[:19]}Z",
            width=width,
        )
    ]
    rows = [(f"   {each.place}", each.how or "not begun", _progress(each), clean(each.because)) for each in run.places]
    if rows:
        lines.append(columns(rows, header=("   place", "how", "changes", "last answer"), width=width))
    lines += [f"open      {clean(each)}: begun, its end is not known" for each in run.open]
    if run.why:
        lines.append(folded(f"stopped   {clean(run.why)}", width=width))
    lines += failed(run.failing, width=width)
    if run.likely:
        lines.append(folded(f"likely    {clean(run.likely)} (evidence, not proof)", width=width))
    lines += seen(run.witnesses, width=width, whole="meshup status -o json")
    return lines


def _progress(place: PlaceStanding) -> str:
    return f"{place.done} of {place.changes}" if place.changes else "-"


def status_document(found: Standing) -> dict[str, Any]:
    """Give the same as JSON."""
    run = found.run
    return document(
        "status",
        run=run.run if run else None,
        state=run.word if run else "none",
        plan=run.plan if run else "",
        user=run.user if run else "",
        exit=run.exit if run else 0,
        why=run.why if run else "",
        likely=run.likely if run else "",
        failing=[failing_document(each) for each in (run.failing if run else ())],
        seen=[witness_document(each) for each in (run.witnesses if run else ())],
        next=found.next,
        places=[
            {"place": each.place, "how": each.how, "changes": each.changes, "done": each.done}
            for each in (run.places if run else ())
        ],
        open=list(run.open if run else ()),
        holder=found.holder,
        services=[
            {
                "service": each.running.service,
                "namespace": each.running.namespace,
                "owner": each.running.owner,
                "releases": {release or NONE: pods for release, pods in each.running.releases},
                "revision": each.running.revision,
                "wave": each.wave,
                "opted_in": clean(each.opted_in),
                "word": clean(each.word),
                "right": each.is_right,
                "pinned": each.pinned,
            }
            for each in found.services
        ],
    )


def pins(found: Sequence[Pin], now: datetime, *, width: int, installed: bool = True, namespace: str = "") -> str:
    """List pins, open ones first. installed: the cluster has their kind; without it there is no record to list.

    namespace: the one whose pins they are, whose owner may do no more than is theirs; "" = all.
    """
    if not installed:
        return "pins      none can be: the kind MeshPin is not in this cluster, or not any more\nNext      meshup ledger install"
    if not found:
        return "pins      none\nNext      nothing; an owner makes one: meshup rollback SERVICE --to RELEASE --reason TEXT --until 7d"
    rows = [
        (
            clean(each.asker),
            f"{each.namespace}/{clean(each.service)}",
            f"{_release(each.from_release)} -> {_release(each.to_release)}",
            *_bounds(each, now),
            _phase(each),
            each.trust,
            clean(each.reason),
        )
        for each in sorted(found, key=lambda pin: (pin.phase in ("Closed", "Failed"), pin.since, pin.name))
    ]
    text = columns(
        rows, header=("user", "service", "from -> to", "since", "until", "phase", "trust", "reason"), width=width
    )
    late = next((each for each in found if _is_late(each, now)), None)
    if late is None:
        return f"{text}\nNext      {_after_pins(found) if namespace else 'meshup report'}"
    move = f"meshup rollback {late.service} -n {late.namespace} --to RELEASE --reason TEXT --until 7d"
    return f"{text}\nNext      {clean(late.user)} moves it on, or says until when it stays: {move}"


def _after_pins(found: Sequence[Pin]) -> str:
    held = next((each for each in found if each.phase == "Active"), None)
    if held is None:
        return "nothing: none of these holds any more"
    return f"nothing; to end one early: meshup unpin {clean(held.service)} -n {held.namespace} --reason TEXT"


def _bounds(pin: Pin, now: datetime) -> tuple[str, str]:
    since, until = bounds(pin.since, pin.until)
    return since, until + (" OVERDUE" if _is_late(pin, now) else "")


def _phase(pin: Pin) -> str:
    """Say how a pin stands; who ended it where that was somebody else than who asked for it."""
    ended = pin.phase == "Closed" and pin.closed_by not in ("", pin.user)
    return f"Closed by {clean(pin.closed_by)}" if ended else pin.phase


def _is_late(pin: Pin, now: datetime) -> bool:
    return pin.until < now and pin.phase in ("Requested", "Active")


def pin_document(each: Pin, now: datetime) -> dict[str, Any]:
    """Give one pin as JSON."""
    return {
        "name": each.name,
        "namespace": each.namespace,
        "service": each.service,
        "user": each.user,
        "on_behalf_of": clean(each.on_behalf_of),
        "on_behalf_trust": each.on_behalf_trust,
        "from": each.from_release or NONE,
        "to": each.to_release or NONE,
        "reason": clean(each.reason),
        "since": moment_text(each.since),
        "until": moment_text(each.until),
        "phase": each.phase,
        "overdue": each.until < now and each.phase in ("Requested", "Active"),
        "trust": each.trust,
        "observed": {release or NONE: pods for release, pods in each.observed},
        "closed_by": each.closed_by,
    }


def rehearsal(found: Rehearsal, *, scenario: str, width: int, assumed: str = "", runbook: str = "") -> str:
    """Show what playing a runbook in memory showed.

    assumed: what was not copied but supposed, "" = nothing. runbook: the file, "" = what init proposes there.
    """
    rows = [(f"   {place}", how) for place, how in found.outcome.places]
    took = f"{span(found.virtual_s)} of virtual time, {amount(found.requests, 'request')}"
    lines = [
        folded(f"rehearsed {scenario}: plan {found.plan.id}, {took}", width=width),
        f"runbook   {runbook or 'what init proposes there; -f FILE plays yours'}",
    ]
    if rows:
        lines.append(columns(rows, header=("   place", "how"), width=width))
    lines += [f"approved  {place}: by the rehearsal itself" for place in found.approved]
    if assumed:
        lines.append(folded(f"assumed   {assumed}", width=width))
    lines += [folded(each, width=width) for each in (tried(found.trial) if found.trial is not None else ())]
    lines.append(f"way back  {_way_back(found)}")
    lines += [folded(f"          left: {clean(each)}", width=width) for each in found.left[:10]]
    whole = "meshup rehearse -o json"
    lines.append(ending(replace(found.outcome, next=_after(found, runbook)), width=width, whole=whole))
    return "\n".join(lines)


def _after(found: Rehearsal, runbook: str) -> tuple[str, ...]:
    """Give what to do after a rehearsal: nothing of it can be resumed."""
    again = f"meshup rehearse -f {runbook}" if runbook else "meshup rehearse"
    if found.exit == 0 and found.trial is not None and not found.trial.is_caught:
        kind = clean(found.trial.bad[0][1]) if found.trial.bad else "KIND"
        harm = "a gate or a soak that sees it, in the stage that enrols"
        return (f"{harm}; then: {again} --bad {kind}", "meshup explain soak")
    if found.exit == 0:
        return (f"meshup plan -f {runbook}" if runbook else "meshup init, then: meshup plan",)
    return (f"mend the cause, or the runbook; then: {again}", "meshup explain " + found.outcome.code)


def _way_back(found: Rehearsal) -> str:
    if found.back is None:
        return "not tried"
    if found.way_back_works:
        return "works: the cluster equals its first state"
    return (
        f"ends with {found.back.exit}: {clean(found.back.why)}"
        if found.back.exit
        else f"leaves {amount(len(found.left), 'difference')}"
    )


def rehearsal_document(found: Rehearsal, *, scenario: str, assumed: str = "") -> dict[str, Any]:
    """Give the same as JSON."""
    return outcome_document(
        found.outcome,
        schema="rehearse",
        scenario=scenario,
        virtual_s=round(found.virtual_s, 3),
        way_back=_way_back(found),
        left=list(found.left),
        assumed=assumed,
        trials=[trial_document(found.trial)] if found.trial is not None else [],
    )
