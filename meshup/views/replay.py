"""A run judged again, for people and for programs."""

from __future__ import annotations

from typing import Any

from meshup.model.replayed import Again, Replay
from meshup.model.text import amount
from meshup.model.verdict import Verdict
from meshup.views.documents import document
from meshup.views.table import columns, folded

FROM = "from the evidence in the journal; nothing was asked of the cluster but the record"


def text(found: Replay, *, width: int) -> str:
    """Show each verdict beside the one that its evidence makes now, and both in full where they differ."""
    judged = [each for each in found.verdicts if each.now is not None]
    tried = f" with {', '.join(found.terms)}" if found.terms else ""
    lines = [folded(f"replayed  run {found.run}{tried}: {amount(len(judged), 'verdict')} {FROM}", width=width)]
    if judged:
        rows = [(each.gate, each.was.answer.word, _word(each), _same(each), str(each.readings)) for each in judged]
        lines.append(columns(rows, header=("gate", "was", "is", "same", "readings"), width=width))
    for each in judged:
        if not each.same and each.now is not None:
            lines.append(folded(f"was       {each.gate}: {each.was.answer.word}: {each.was.because}", width=width))
            lines.append(folded(f"is        {each.gate}: {each.now.answer.word}: {each.now.because}", width=width))
    left: dict[str, list[str]] = {}
    for each in found.verdicts:
        if each.now is None:
            left.setdefault(each.why, []).append(each.gate)
    lines += [folded(f"left out  {', '.join(names)}: {why}", width=width) for why, names in left.items()]
    differ = sum(not each.same for each in judged)
    if differ:
        lines.append(f"differ    {differ} of {len(judged)}  exit 3")
    else:
        lines.append("same      every verdict, bit for bit" if not found.terms else "same      every answer")
    lines.append("Next      meshup replay --set KIND.TERM=VALUE      what a gate takes: meshup explain KIND")
    return "\n".join(lines)


def _word(each: Again) -> str:
    return each.now.answer.word if each.now is not None else ""


def _same(each: Again) -> str:
    return "yes" if each.same else "NO"


def as_document(found: Replay) -> dict[str, Any]:
    """Give the same as JSON. now: null where a verdict can't be made again, and why says so."""
    return document(
        "replay",
        run=found.run,
        plan=found.plan,
        terms=list(found.terms),
        same=found.same,
        exit=0 if found.same else 3,
        verdicts=[
            {
                "at": each.at,
                "place": each.place,
                "id": each.gate,
                "kind": each.kind,
                "readings": each.readings,
                "was": _verdict(each.was),
                "now": _verdict(each.now) if each.now is not None else None,
                "same": each.same,
                "why": each.why,
            }
            for each in found.verdicts
        ],
    )


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "answer": verdict.answer.word,
        "because": verdict.because,
        "object": verdict.object,
        "names": list(verdict.names),
        "missing": verdict.missing,
    }
