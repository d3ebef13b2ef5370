"""Tell whether a runbook catches a bad release: the same rehearsal without it is what it is compared with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from meshup.model.events import Event, GateAnswered, Outcome, Watcher
from meshup.model.journal import Judgement
from meshup.model.trial import Suffered, Trial
from meshup.model.verdict import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """What a runbook is tried against.

    bad: as in Trial. suffered: what users had so far. control: how the same rehearsal ended with a good release. later: lets
    watched_s pass after a run that caught nothing.
    """

    bad: tuple[tuple[str, str, str], ...]
    suffered: Callable[[], Suffered]
    control: Outcome
    later: Callable[[], None]
    watched_s: float


class Counting:
    """A watcher that takes down what users had suffered when a gate did not hold, and passes everything on."""

    def __init__(self, to: Watcher, suffered: Callable[[], Suffered]) -> None:
        self._to, self._suffered = to, suffered
        self.held: tuple[Judgement, Suffered] | None = None

    def tell(self, event: Event) -> None:
        """Take one event."""
        if isinstance(event, GateAnswered) and event.judgement.judged.verdict.answer in (Answer.FAIL, Answer.UNKNOWN):
            self.held = (event.judgement, self._suffered())
        self._to.tell(event)


def tried(against: Against, outcome: Outcome, counting: Counting) -> Trial:
    """Judge a run that has ended. A stop that the control has too, at the same place for the same gate, caught nothing."""
    if outcome.exit == 0 or _stop(outcome) == _stop(against.control):
        at = against.suffered()
        against.later()
        return Trial(bad=against.bad, at=at, in_all=against.suffered(), watched_s=against.watched_s)
    in_all = against.suffered()
    held = counting.held
    if held is None or held[0].place != outcome.stopped:
        return Trial(bad=against.bad, at=in_all, in_all=in_all, place=outcome.stopped or "the run", because=outcome.why)
    judgement, at = held
    return Trial(
        bad=against.bad,
        at=at,
        in_all=in_all,
        gate=judgement.judged.kind,
        place=judgement.place,
        because=judgement.judged.verdict.because,
    )


def _stop(outcome: Outcome) -> tuple[str, str]:
    """Name where and by what a run stopped."""
    held = [each for each in outcome.judgements if each.judged.verdict.answer in (Answer.FAIL, Answer.UNKNOWN)]
    here = [each.judged.kind for each in held if each.place == outcome.stopped]
    return (outcome.stopped, here[-1] if here else outcome.code)
