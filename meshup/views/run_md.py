"""How a run ended, as Markdown for a comment or a step summary: what to know first, what fits of the tables after it."""

from __future__ import annotations

from collections.abc import Sequence

from meshup.model.events import Outcome
from meshup.model.problem import Exit
from meshup.views.failing import failed, seen
from meshup.views.markdown import COMMENT, code, items, plain, table

GATES = ("gate", "answer", "because")
NOTE = 200
"""Bytes that the lines around a table take, its note of what was cut among them."""
SHORTEST = 4_000
"""Below this much room there is no summary but a pointer."""
WHOLE = "meshup status -o json"
STATES = {Exit.WAITING: "waits", Exit.UNDONE: "was taken back"}


def markdown(outcome: Outcome, *, room: int = COMMENT) -> str:
    """Give a whole summary, in at most `room` bytes: what does not fit is left out by rows, and counted.

    Where there is room for next to nothing it is one line that points to the log; "" where there is not even that.
    """
    state = "done" if outcome.exit == 0 else f"{_state(outcome)}, exit {outcome.exit}"
    run = f" run {code(outcome.run)}" if outcome.run else ""
    title = f"### meshup{run}: {state}"
    if room < SHORTEST:
        short = f"meshup: {state}; the log has the rest, as this summary is full"
        return short if len(short.encode()) < room else ""
    head = [title, ""]
    if outcome.why:
        head += [f"**why** {plain(outcome.why)}", ""]
    details = [f"- {plain(each)}" for each in outcome.details if each not in outcome.why]
    if details:
        head += [*items(details, room=room // 4, rest="the log has them"), ""]
    told = [
        f"- {plain(each)}"
        for each in (*failed(outcome.failing, width=0), *seen(outcome.witnesses, width=0, whole=WHOLE))
    ]
    if told:
        head += [*items(told, room=room // 4, rest="`meshup status -o json` has them"), ""]
    if outcome.likely:
        head += [f"**likely** {plain(outcome.likely)} (evidence, not proof)", ""]
    if outcome.kept:
        head += [f"**cluster** {plain(outcome.kept)}", ""]
    tail = ["", f"**Next** {code(outcome.next[0], limit=0)}"] if outcome.next else []
    left = room - _size([*head, *tail])
    places = table(("place", "how"), outcome.places, room=left // 3, rest="`meshup status` has them")
    left -= _size(places) + NOTE
    gates = table(GATES, _gates(outcome), room=left, rest="`--report json=FILE` has them")
    return "\n".join([*head, *places, "", *gates, *tail])


def _state(outcome: Outcome) -> str:
    word = STATES.get(Exit(outcome.exit), "stopped")
    return f"{word} at {plain(outcome.stopped)}" if outcome.stopped else word


def _gates(outcome: Outcome) -> list[tuple[str, str, str]]:
    """Give the answers, in order; where they will not fit, those that stopped the run matter, so they come first."""
    worst = sorted(outcome.judgements, key=lambda each: -each.judged.verdict.answer)
    return [(each.judged.gate, each.judged.verdict.answer.word, each.judged.verdict.because) for each in worst]


def _size(lines: Sequence[str]) -> int:
    return sum(len(each.encode()) + 1 for each in lines)
