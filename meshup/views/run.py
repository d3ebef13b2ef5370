"""A run as it goes: one line per change of state, one JSON object per event, and the last screen."""

from __future__ import annotations

from typing import Any

from meshup.model.events import (
    ChangeEnded,
    ChangeStarted,
    Event,
    GateAnswered,
    Noted,
    Outcome,
    PlaceEnded,
    PlaceStarted,
    Retried,
    RunStarted,
    StepReached,
    Waits,
)
from meshup.model.journal import Judgement
from meshup.model.verdict import Answer
from meshup.model.wire import dump
from meshup.views.arms import arms
from meshup.views.documents import document, name_of
from meshup.views.failing import failed, failing_document, seen, witness_document
from meshup.views.spans import clock_time, span
from meshup.views.table import amount, folded, with_exit

PLACE_WIDTH = 18


def _line(event: Event, word: str, place: str, text: str) -> str:
    return f"{clock_time(event.at)} {word:<7} {place:<{PLACE_WIDTH}} {text}".rstrip()


def line(event: Event, *, chatty: bool = False) -> str:
    """Give the line of one event, "" when this much detail was not asked for. chatty: every single change too."""
    match event:
        case RunStarted():
            words = {"started": "run", "resumed": "run", "taken-over": "run"}
            how = {"started": "begins", "resumed": "goes on", "taken-over": "goes on, taken over"}[event.how]
            text = f"{event.run} {how}: plan {event.plan}, {amount(event.changes, 'change')}, as {event.user}"
            return _line(event, words[event.how], "", text)
        case PlaceStarted():
            services = f" for {amount(len(event.services), 'service')}" if event.services else ""
            return (
                _line(event, "act", event.place, f"{amount(event.changes, 'change')}{services}")
                if event.changes
                else ""
            )
        case ChangeStarted():
            return _line(event, "act", event.place, event.summary) if chatty else ""
        case ChangeEnded():
            if event.why:
                return _line(event, "fail", event.place, f"{event.summary}: {event.why}")
            return _line(event, "done" if event.wrote else "right", event.place, event.summary) if chatty else ""
        case Waits():
            subject = f"{event.object}: " if event.object else ""
            text = f"{subject}{event.because}; {span(event.elapsed_s)} of {span(event.limit_s)}"
            return _line(event, "wait", event.place, text)
        case GateAnswered():
            verdict = event.judgement.judged.verdict
            return _line(
                event, verdict.answer.word, event.judgement.place, f"{event.judgement.judged.kind}: {verdict.because}"
            )
        case PlaceEnded():
            words_of = {"done": "pass", "undone": "undone", "undoing": "act", "held": "hold"}
            reached = event.reached
            said = {"done": "done", "undone": "back as it was, verified", "undoing": "is being undone", "held": "holds"}
            text = said.get(reached.how, reached.how) + (f": {reached.why}" if reached.why else "")
            return _line(event, words_of.get(reached.how, reached.how), reached.place, text)
        case Retried():
            return _line(
                event, "retry", "", f"{event.request}: {event.why}; try {event.tries}, after {span(event.wait_s)}"
            )
        case Noted():
            return _line(event, event.word, "", event.text)


def live(event: Waits, *, width: int) -> str:
    """Give the line of a wait for a terminal: what does not fit is left out of the reason, never of time and limit."""
    tail = f"; {span(event.elapsed_s)} of {span(event.limit_s)}"
    whole = line(event)
    if len(whole) <= width:
        return whole
    short = f"wait {event.place} {event.object + ': ' if event.object else ''}{event.because}"
    return (
        short + tail if len(short + tail) <= width else short[: max(0, width - len(tail) - 3)].rstrip() + "..." + tail
    )


def record(event: Event) -> dict[str, Any]:
    """Give one event as a JSON object; fields are those of the value, times RFC 3339 UTC."""
    body = dump(event)
    name = body.pop("type")
    words = "".join(f"-{each.lower()}" if each.isupper() else each for each in name).lstrip("-")
    return {"schema": name_of("events"), "event": words, **body}


def judgement_document(each: Judgement) -> dict[str, Any]:
    """Give one gate's answer as JSON; of its evidence only who was compared with whom."""
    verdict = each.judged.verdict
    return {
        "id": each.judged.gate,
        "kind": each.judged.kind,
        "place": each.place,
        "answer": verdict.answer.word,
        "because": verdict.because,
        "object": verdict.object,
        "names": list(verdict.names),
        "waited_s": round(each.judged.waited_s, 3),
        "arms": arms(each.judged),
    }


def step_document(each: StepReached) -> dict[str, Any]:
    """Give how far one step came as JSON."""
    return {
        "place": each.place,
        "step": each.step,
        "changes": each.changes,
        "done": each.done,
        "wrote": each.wrote,
        "how": each.how,
    }


def outcome_document(outcome: Outcome, *, schema: str = "run", **further: Any) -> dict[str, Any]:
    """Give how a run ended as one JSON document."""
    return document(
        schema,
        exit=outcome.exit,
        run=outcome.run,
        plan=outcome.plan,
        kind=outcome.kind,
        stopped=outcome.stopped,
        code=outcome.code,
        why=outcome.why,
        details=list(outcome.details),
        likely=outcome.likely,
        failing=[failing_document(each) for each in outcome.failing],
        seen=[witness_document(each) for each in outcome.witnesses],
        kept=outcome.kept,
        next=outcome.next[0] if outcome.next else "",
        places=[{"place": place, "how": how} for place, how in outcome.places],
        verdicts=[judgement_document(each) for each in outcome.judgements],
        steps=[step_document(each) for each in outcome.steps],
        changes={"planned": outcome.planned, "written": outcome.written, "already_right": outcome.already_right},
        requests=outcome.requests,
        mutations=outcome.mutations,
        took_s=round(outcome.took_s, 3),
        record=outcome.record,
        commands=list(outcome.commands),
        **further,
    )


def ending(outcome: Outcome, *, width: int = 160, whole: str = "meshup status -o json") -> str:
    """Give the last screen: where it stopped and why, what became of the cluster, the next command last.

    whole: the command that shows all of what was kept of a failing wave.
    """
    lines: list[str] = []
    if outcome.record:
        lines.append(folded(f"record    {outcome.record}", width=width))
    if outcome.exit == 0:
        if outcome.planned == 0:
            head = "done      nothing to do"
        else:
            right = f", {outcome.already_right} already right" if outcome.already_right else ""
            head = f"done      {amount(outcome.written, 'change')} written{right}; {span(outcome.took_s)}"
        lines.append(with_exit(head, 0, width=width))
    else:
        code = f" [{outcome.code}]" if outcome.code else ""
        place = f"{outcome.stopped}: " if outcome.stopped else ""
        lines.append(with_exit(f"stopped   {place}{outcome.why}{code}", outcome.exit, width=width))
    lines += [folded(f"          {each}", width=width) for each in outcome.details if each not in outcome.why]
    lines += failed(outcome.failing, width=width)
    if outcome.likely:
        lines.append(folded(f"likely    {outcome.likely} (evidence, not proof)", width=width))
    lines += seen(outcome.witnesses, width=width, whole=whole)
    if outcome.kept:
        lines.append(folded(f"cluster   {outcome.kept}", width=width))
    lines += [f"          {each}" for each in outcome.commands]
    for number, each in enumerate(outcome.next):
        lines.append(f"{'Next' if number == 0 else '':<9} {each}")
    return "\n".join(lines)


def worst(outcome: Outcome) -> Judgement | None:
    """Give the answer that stopped the run, None when none did."""
    bad = [each for each in outcome.judgements if each.judged.verdict.answer > Answer.SKIPPED]
    return max(bad, key=lambda each: each.judged.verdict.answer, default=None)
